"""Every check of the campaign finds the fault that it is there for, planted in evidence that is clean otherwise.

Alice's portfolio has two orders at a broker: one was filled, one was cancelled there; both were made, sent and booked
by the real services, and the evidence is read from the rows they left.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from foundation.clock import database_now
from portfolios.models import Portfolio, Position, Reservation
from portfolios.services.credentials import ApiKeys, seal_credentials
from tests.faults import checks, evidence
from tests.faults.book_checks import moves_outside_the_table, told_moves
from tests.faults.evidence import Break, Event, Evidence, Fill, Stop
from tests.faults.killer import Kill
from tests.faults.mischief import SimulatorLog, unix
from tests.faults.recovery import Recoveries, median_of_work, worst_and_median, worst_by_kind
from tests.faults.scene import secret_of
from tests.faults.watching import Message, Watch
from tests.harness.at_broker import connect, ordered, report
from tests.harness.simulator import Simulator
from tests.harness.trading import Desk, Market
from tests.simulator.witness import Witness, WitnessedFill, WitnessedOrder
from trading.models import AutoTrade, BrokerMessage, Execution, Halt
from trading.services.emergency_stop import arm
from trading.services.order_management import cancel_trade, move
from trading.services.verification import book_differences

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
D = Decimal
KEY = "KEY00000"
LIMITS = {
    "max_order_value": D(2_000), "max_position_value": D(2_600), "max_open_positions": D(2), "max_daily_trades": D(3),
    "max_messages_per_second": D(2), "max_messages_per_minute": D(4), "max_price_age_seconds": D(8),
}  # fmt: skip


@dataclass
class Planted:
    """What a fault is planted in; `read` again after rows were changed."""

    desk: Desk
    filled: AutoTrade
    cancelled: AutoTrade
    evidence: Evidence

    def read(self) -> None:
        self.evidence = read(self.desk, self.evidence.witness)

    def order(self, trade: AutoTrade) -> WitnessedOrder:
        return self.evidence.witness.orders[KEY, trade.client_order_id]


@pytest.fixture
def clean() -> Planted:
    market = Market()
    market.tick()
    desk = Desk.open(market)
    keys = ApiKeys(key_id=KEY, secret=secret_of(KEY))
    seal_credentials(account=connect(desk), keys=keys, actor=desk.owner)
    trades = [ordered(desk, quantity=10, symbol=symbol) for symbol in ("AAA", "BBB")]
    for trade in trades:
        AutoTrade.objects.filter(pk=trade.pk).update(attempt=1, sent_at=database_now())
        report(trade, "accepted")
    report(trades[0], "filled", 10, fill=10)
    cancel_trade(trade_id=trades[1].pk, actor=desk.owner)
    report(trades[1], "cancelled")
    for trade in trades:
        trade.refresh_from_db()
    execution = Execution.objects.get(trade=trades[0])
    told = WitnessedFill("stream-1", execution.quantity, execution.price, D(10))
    orders = {
        (KEY, trade.client_order_id): WitnessedOrder(
            KEY, trade.client_order_id, f"b{n}", trade.symbol, "buy", trade.quantity, asked=1, accepted=1,
            state=state, fills=fills,
        )
        for n, (trade, state, fills) in enumerate(zip(trades, ("filled", "canceled"), ([told], []), strict=True))
    }  # fmt: skip
    cash = Portfolio.objects.get(pk=desk.portfolio.pk).cash
    witness = Witness(orders=orders, cash={KEY: cash}, positions={KEY: {"AAA": D(10), "BBB": D(0)}})
    return Planted(desk, trades[0], trades[1], read(desk, witness))


def read(desk: Desk, witness: Witness) -> Evidence:
    accounts = {AutoTrade.objects.values_list("account_id", flat=True)[0]: KEY}
    holdings, cash = evidence.read_holdings({desk.portfolio.id: KEY})
    now = database_now().timestamp()
    trades = evidence.read_trades(accounts)
    return Evidence(
        witness=witness, trades=trades, fills=evidence.read_fills(), events=evidence.read_events([desk.portfolio.id]),
        halts=evidence.read_halts(), breaks=evidence.read_breaks(accounts), holdings=holdings, cash=cash,
        cash_history=evidence.read_cash_history(), submits=[(now, KEY, trade.client_order_id) for trade in trades],
        book_differences=book_differences(), limits=LIMITS,
    )  # fmt: skip


def test_what_went_well_is_found_to_be_so(clean: Planted) -> None:
    assert checks.run(clean.evidence) == {name: [] for name in checks.CHECKS}
    assert [trade.status for trade in clean.evidence.trades] == ["filled", "cancelled"]
    assert len(clean.evidence.fills) == 1 and len(clean.evidence.events) > 8
    assert clean.evidence.cash_history[clean.desk.portfolio.id][-1] == clean.evidence.cash[KEY]


# How each fault is planted.


def stays_open(on: Planted) -> None:
    AutoTrade.objects.filter(pk=on.cancelled.pk).update(status="submitting")
    on.read()


def loses_its_reason(on: Planted) -> None:
    AutoTrade.objects.filter(pk=on.cancelled.pk).update(status_reason="")
    on.order(on.cancelled).accepted = 0
    on.read()


def is_nobodys(on: Planted) -> None:
    stranger = WitnessedOrder(
        KEY, "a-stranger", "b9", "AAA", "buy", D(1), asked=1, accepted=1, state="accepted"
    )
    on.evidence.witness.orders[KEY, "a-stranger"] = stranger


def is_taken_twice(on: Planted) -> None:
    on.order(on.filled).accepted = 2


def is_made_twice(on: Planted) -> None:
    twin = replace(on.evidence.trades[0], session_id=uuid.uuid4(), slot=7, origin="rule")
    on.evidence.trades = [*on.evidence.trades, twin, replace(twin, client_order_id="at-other")]


def is_booked_twice(on: Planted) -> None:
    first = Execution.objects.get(trade=on.filled)
    Execution.objects.create(
        account_id=first.account_id, execution_id="another-name", trade=on.filled, quantity=first.quantity,
        price=first.price, fee=0, market_at=first.market_at,
    )  # fmt: skip
    on.read()


def still_works(on: Planted) -> None:
    on.order(on.cancelled).state = "accepted"


def is_in_nobodys_reserve(on: Planted) -> None:
    on.evidence.not_reserved = ["trade x is unknown, and nothing is reserved"]


def told(on: Planted, kind: str, status: str, **more: object) -> Event:
    base = {
        "client_order_id": "at-1", "symbol": "CCC", "trade_type": "buy", "quantity": "10", "status": status,
        "trigger_price": "100",
    }  # fmt: skip
    last = max(event.seq for event in on.evidence.events)
    return Event(on.desk.portfolio.id, last + 1, kind, 0.0, base | more)


def tell(on: Planted, *events: tuple[str, str, Mapping[str, object]]) -> None:
    for kind, status, more in events:
        on.evidence.events = [*on.evidence.events, told(on, kind, status, **more)]


def is_traded_while_unknown(on: Planted) -> None:
    tell(
        on, ("trade.created", "pending", {}), ("trade.submitting", "submitting", {}), ("trade.unknown", "unknown", {}),
        ("trade.created", "pending", {"client_order_id": "at-2", "quantity": "1"}),
    )  # fmt: skip


def passes_a_limit(on: Planted) -> None:
    """10 of AAA are held at 100: 17 more are beyond 2,600, though not beyond 2,000 for one order."""
    tell(on, ("trade.created", "pending", {"symbol": "AAA", "quantity": "17"}))


def trades_too_often(on: Planted) -> None:
    on.evidence.trades = [
        *on.evidence.trades, *(replace(on.evidence.trades[0], client_order_id=f"at-{n}") for n in range(3))
    ]  # fmt: skip


def talks_too_much(on: Planted) -> None:
    on.evidence.messages = [Message(on.desk.portfolio.id, "submit", 100 + n / 10) for n in range(3)]


def overdraws(on: Planted) -> None:
    on.evidence.cash_history = {on.desk.portfolio.id: [D(5), D("-0.01"), D(3)]}


def passes_a_halt(on: Planted) -> None:
    halt = arm(scope="symbol", scope_id="AAA", reason="a test", actor=on.desk.owner)
    Halt.objects.filter(pk=halt.pk).update(drained_at=database_now() - timedelta(seconds=2))
    on.read()


def trusts_an_old_price(on: Planted) -> None:
    AutoTrade.objects.filter(pk=on.filled.pk).update(price_age_ms=8001)
    on.read()


def spoils_the_books(on: Planted) -> None:
    Portfolio.objects.filter(pk=on.desk.portfolio.pk).update(reserved_cash=D(1))
    on.read()


def lacks_approval(on: Planted) -> None:
    decision = on.filled.decision
    decision.checks = [*decision.checks, {"code": "MAX_ORDER_VALUE", "passed": False}]
    decision.save(update_fields=["checks"])
    on.read()


def leaves_a_gap(on: Planted) -> None:
    on.evidence.events = [event for event in on.evidence.events if event.seq != 3]


def jumps(on: Planted) -> None:
    tell(on, ("trade.created", "pending", {"quantity": "1"}), ("trade.filled", "filled", {}),
         ("trade.pending", "pending", {}))  # fmt: skip


def holds_something_else(on: Planted) -> None:
    Position.objects.filter(portfolio=on.desk.portfolio).update(quantity=9)
    on.read()


def has_another_cash(on: Planted) -> None:
    on.evidence.witness.cash[KEY] += D("0.02")


def has_a_break(on: Planted) -> None:
    on.evidence.breaks = [Break(KEY, "position", "AAA: 9 and 10", 100.0, False)]


def tells_a_secret(on: Planted) -> None:
    on.evidence.secrets_in_logs = ["feed.log tells the secret of an account"]


FAULTS: dict[Callable[[Planted], None], str] = {
    stays_open: "unsettled", loses_its_reason: "ended_without_a_reason", is_nobodys: "orders_nobody_sent",
    is_taken_twice: "accepted_twice", is_made_twice: "two_orders_for_one_intent",
    is_booked_twice: "fills_not_as_the_broker_filled", still_works: "ends_the_broker_does_not_know",
    is_in_nobodys_reserve: "exposure_forgotten", is_traded_while_unknown: "symbols_traded_while_unknown",
    passes_a_limit: "beyond_limits_when_decided", trades_too_often: "too_many_trades_a_day",
    talks_too_much: "too_many_messages", overdraws: "cash_below_zero", passes_a_halt: "sent_after_a_drained_halt",
    trusts_an_old_price: "decided_on_old_prices", spoils_the_books: "books_that_differ",
    lacks_approval: "sent_without_approval", leaves_a_gap: "gaps_in_sequences", jumps: "moves_outside_the_table",
    holds_something_else: "positions_that_differ", has_another_cash: "cash_that_differs",
    has_a_break: "breaks_without_a_cause", tells_a_secret: "secrets_told",
}  # fmt: skip


@pytest.mark.parametrize(("plant", "check"), FAULTS.items(), ids=FAULTS.values())
def test_a_planted_fault_is_found(clean: Planted, plant: Callable[[Planted], None], check: str) -> None:
    plant(clean)
    found = checks.run(clean.evidence)
    (counted_as,) = [
        name for name, of_it in checks.CHECKS.items() if check in {one.__name__ for one in of_it}
    ]
    assert any(line.startswith(f"{check}: ") for line in found[counted_as]), found


def test_every_check_has_its_fault() -> None:
    assert set(FAULTS.values()) == {check.__name__ for group in checks.CHECKS.values() for check in group}


# The finer points, in which a check could be blind or cry wolf.


@pytest.mark.parametrize(("old", "new"), [("accepted", "pending"), ("cancelled", "pending"), ("rejected", "accepted"),
                                          ("cancelling", "accepted"), ("accepted", "submitting")])  # fmt: skip
def test_a_move_that_no_word_of_a_broker_explains_is_found(clean: Planted, old: str, new: str) -> None:
    cid = {"client_order_id": "at-2", "trade_id": str(uuid.uuid4())}
    known = next(event.seq for event in reversed(clean.evidence.events))
    clean.evidence.events = [*clean.evidence.events] + [
        Event(clean.desk.portfolio.id, known + n, f"trade.{status}", float(n), cid | {"status": status})
        for n, status in enumerate(("pending", "submitting", old, new), start=1)
    ]
    assert f"at-2: {old} → {new}" in moves_outside_the_table(clean.evidence)


def test_nothing_is_to_be_sent_again_but_what_was_not_sent_and_what_is_in_doubt() -> None:
    assert {old for old, new in told_moves() if new == "submitting"} == {"pending", "unknown"}
    assert {old for old, new in told_moves() if new == "pending"} == {"submitting"}


def test_what_the_broker_never_had_may_end_with_a_reason_but_not_be_filled_or_rejected(
    clean: Planted,
) -> None:
    clean.order(clean.cancelled).accepted = 0
    assert checks.ends_the_broker_does_not_know(clean.evidence) == []
    for status in ("filled", "rejected"):
        trade = replace(clean.evidence.trades[1], status=status)
        assert checks.ends_the_broker_does_not_know(replace(clean.evidence, trades=[trade])), status
    clean.order(clean.cancelled).refusals.append("insufficient buying power")
    rejected = replace(clean.evidence.trades[1], status="rejected")
    assert checks.ends_the_broker_does_not_know(replace(clean.evidence, trades=[rejected])) == []


def test_a_fill_that_was_not_booked_is_found_as_well_as_one_that_was_booked_otherwise(clean: Planted) -> None:
    assert checks.fills_not_as_the_broker_filled(replace(clean.evidence, fills=[]))
    other = Fill(clean.filled.id, "stream-1", D(10), D("100.01"))
    assert checks.fills_not_as_the_broker_filled(replace(clean.evidence, fills=[other]))


def test_a_symbol_may_be_traded_again_once_it_is_known_and_another_one_always(clean: Planted) -> None:
    tell(
        clean, ("trade.created", "pending", {}), ("trade.unknown", "unknown", {}),
        ("trade.created", "pending", {"client_order_id": "at-2", "symbol": "BBB"}),
        ("trade.accepted", "accepted", {}), ("trade.created", "pending", {"client_order_id": "at-3"}),
    )  # fmt: skip
    assert checks.symbols_traded_while_unknown(clean.evidence) == []


def test_working_buys_count_against_a_limit_until_they_end(clean: Planted) -> None:
    """16 more of AAA just fit; with them working no other does, and when they are over one does again."""
    tell(clean, ("trade.created", "pending", {"symbol": "AAA", "quantity": "16"}))
    assert checks.beyond_limits_when_decided(clean.evidence) == []
    more = ("trade.created", "pending", {"client_order_id": "at-2", "symbol": "AAA", "quantity": "1"})
    before = clean.evidence.events
    tell(clean, more)
    assert checks.beyond_limits_when_decided(clean.evidence) == ["at-2: max_position_value: 2700 of 2600"]
    clean.evidence.events = before
    tell(clean, ("trade.cancelled", "cancelled", {"symbol": "AAA"}), more)
    assert checks.beyond_limits_when_decided(clean.evidence) == []


def test_a_third_position_and_a_sale_of_more_than_is_held_are_found(clean: Planted) -> None:
    tell(clean, ("trade.created", "pending", {}),
         ("trade.created", "pending", {"client_order_id": "at-2", "symbol": "DDD"}),
         ("trade.created", "pending", {"client_order_id": "at-3", "symbol": "AAA", "trade_type": "sell",
                                       "quantity": "11"}))  # fmt: skip
    found = checks.beyond_limits_when_decided(clean.evidence)
    assert found == ["at-2: max_open_positions: 3 of 2", "at-3: sells 11 of 10 AAA"]


def test_messages_are_counted_in_any_window_and_second_sendings_excused(clean: Planted) -> None:
    def messages(*times: float) -> Evidence:
        sent = [Message(clean.desk.portfolio.id, "submit", at) for at in times]
        cancels = [Message(clean.desk.portfolio.id, "cancel", at) for at in times]
        return replace(clean.evidence, messages=[*sent, *cancels])

    assert checks.too_many_messages(messages(100.0, 100.5, 101.0)) == []
    assert len(checks.too_many_messages(messages(100.0, 100.5, 100.99))) == 1
    assert len(checks.too_many_messages(messages(0, 10, 20, 30, 59))) == 1
    assert checks.too_many_messages(messages(0, 10, 20, 30, 61)) == []
    excused = messages(100.0, 100.5, 100.99)
    again = Event(clean.desk.portfolio.id, 99, "trade.submitting", 100.9, {"attempt": 2})
    assert checks.too_many_messages(replace(excused, events=[again])) == []


@pytest.mark.parametrize(
    ("mode", "scope", "released", "found"),
    [
        ("halt", "platform", None, 2),
        ("halt", "portfolio", None, 2),
        ("reduce_only", "symbol", None, 1),
        ("halt", "symbol", 90.0, 0),  # it was sent after the release
    ],
)
def test_only_what_a_drained_halt_covers_is_a_breach(
    clean: Planted, mode: str, scope: str, released: float | None, found: int
) -> None:
    scopes = {"platform": "", "portfolio": str(clean.desk.portfolio.id), "symbol": "AAA"}
    submits = [
        (at, KEY, trade.client_order_id)
        for at, trade in zip((100.0, 101.0), clean.evidence.trades, strict=True)
    ]
    halted = replace(
        clean.evidence, submits=submits, halts=[Stop(scope, scopes[scope], mode, 80.0, released)]
    )
    assert len(checks.sent_after_a_drained_halt(halted)) == found
    undrained = replace(halted, halts=[Stop(scope, scopes[scope], mode, None, None)])
    assert checks.sent_after_a_drained_halt(undrained) == []


def test_a_break_has_a_cause_only_where_the_broker_lied_to_that_account(clean: Planted) -> None:
    known = replace(clean.evidence, lied=lambda key, since, until: key == KEY and since <= 99.0 <= until)
    closed, still_open = Break(KEY, "cash", "x", 100.0, False), Break(KEY, "cash", "x", 100.0, True)
    assert checks.breaks_without_a_cause(replace(known, breaks=[closed])) == []
    assert checks.breaks_without_a_cause(replace(known, breaks=[still_open]))
    assert checks.breaks_without_a_cause(replace(known, breaks=[replace(closed, key="OTHER")]))
    assert checks.breaks_without_a_cause(replace(known, breaks=[replace(closed, found_at=400.0)]))


def test_the_watch_sees_an_unknown_order_without_its_reservation(
    clean: Planted, simulator: Simulator
) -> None:
    trade = ordered(clean.desk, quantity=1, symbol="CCC")
    move([trade], "pending", "submitting")
    move([trade], "submitting", "unknown")
    watch = Watch(simulator, SimulatorLog(simulator.log_path), seed=1)
    watch._look_deep()
    assert watch.not_reserved == []
    Reservation.objects.filter(owner_id=trade.id).delete()
    watch._look_deep()
    assert len(watch.not_reserved) == 2 and str(trade.id) in watch.not_reserved[0]
    assert [message.kind for message in watch.messages] == ["submit", "submit", "cancel", "submit"]


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_the_watch_sees_an_unknown_order_whose_exposure_is_not_fully_reserved(
    clean: Planted, simulator: Simulator, side: str
) -> None:
    trade = ordered(clean.desk, side=side, quantity=2, symbol="CCC" if side == "buy" else "AAA")
    move([trade], "pending", "submitting", "unknown")
    reserved = Reservation.objects.get(owner_id=trade.id)
    Reservation.objects.filter(owner_id=trade.id).update(
        cash=reserved.cash / 4, quantity=reserved.quantity / 4
    )
    found = [line for line in book_differences() if str(trade.id) in line]
    assert len(found) == 1 and "and less is reserved for" in found[0]


def test_the_simulators_log_tells_whom_it_lied_to_and_what_was_sent(
    clean: Planted, simulator: Simulator
) -> None:
    told = SimulatorLog(simulator.log_path)
    simulator.log_path.write_text(
        '{"n": 1, "at": "2026-11-25T18:00:00.5Z", "what": "mischief", "name": "nan", "account": "KEY1"}\n'
        '{"n": 2, "at": "2026-11-25T18:00:01Z", "what": "mischief", "name": "hang", "account": "KEY2"}\n'
        '{"n": 3, "at": "2026-11-25T18:00:02Z", "what": "request", "endpoint": "submit", "account": "KEY1",'
        ' "client_order_id": "at-1"}\n'
        '{"n": 4, "at": "2026-11-25T18:00:02Z", "what": "accepted", "foreign": false, "client_order_id": "at-1"}\n'
        '{"n": 5, "at": "2026-11-25T18:00:02Z", "what": "accepted", "foreign": true, "client_order_id": "x-1"}\n'
        '{"n": 6, "wh'
    )
    told.read()
    noon = unix("2026-11-25T18:00:00Z")
    assert told.lied("KEY1", since=noon, until=noon + 1) and not told.lied(
        "KEY1", since=noon + 1, until=noon + 9
    )
    assert not told.lied("KEY2", since=noon, until=noon + 9), "to hang is no lie"
    assert (told.submits, told.done) == ([(noon + 2, "KEY1", "at-1")], {"nan": 1, "hang": 1})
    assert told.taken == {"at-1"}


def test_recovery_is_the_time_until_others_work_and_the_trade_is_taken_up(clean: Planted) -> None:
    trade, account = clean.filled.id, uuid.uuid4()
    cid = {"trade_id": str(trade), "client_order_id": clean.filled.client_order_id}
    events = [
        Event(clean.desk.portfolio.id, 1, "trade.submitting", 10.0, cid | {"status": "submitting"}),
        Event(clean.desk.portfolio.id, 2, "trade.unknown", 19.0, cid | {"status": "unknown"}),
        Event(clean.desk.portfolio.id, 3, "trade.filled", 30.0, cid | {"status": "filled"}),
    ]
    signs = {"worker.broker": [(9.0, "vm:3"), (11.0, "vm:1"), (11.5, "vm:3"), (13.5, "vm:2")]}
    recoveries = Recoveries(signs, events, {trade: [18.0]}, {account: [5.0, 20.0]})
    kill = Kill(10.5, "send.sent", "worker_broker", 1, (trade,), account=account, with_trade=True)
    found = recoveries.of([kill])
    assert [one.seconds for one in found] == [3.0, 7.5, 9.5], (
        "neither the dead one's own sign counts, nor a sibling's"
    )
    assert worst_and_median(found) == (9.5, 7.5) and median_of_work(found) == 8.5
    assert worst_by_kind(found) == {"account": 9.5, "trade": 7.5, "worker_broker": 3.0}
    wish = Event(clean.desk.portfolio.id, 4, "trade.cancel_requested", 12.0, cid | {"status": "submitting"})
    wished = Recoveries(signs, [*events, wish], {trade: [18.0]}, {account: [5.0, 20.0]})
    assert [one.seconds for one in wished.of([kill])] == [3.0, 7.5, 9.5], "nor a person's wish"
    siblings = Recoveries(
        {"worker.broker": signs["worker.broker"][:3]}, events, {trade: [18.0]}, {account: [20.0]}
    )
    assert siblings.of([kill])[0].seconds == 1.0, "where no other came any more"
    beat = Kill(10.5, "beat", "beat", 7)
    by_a_worker = Recoveries({"beat": [(9.0, "vm:3"), (14.0, "vm:3"), (300.0, "vm:8")]}, [], {}, {})
    assert [one.seconds for one in by_a_worker.of([beat])] == [3.5], "its sign is given by a worker"
    same_number = Recoveries(
        {"worker.broker": [(9.0, "vm:2"), (1000.0, "vm:3"), (1013.5, "vm:2"), (1060.0, "vm:4")]}, [], {}, {}
    )
    killed = Kill(1010.5, "send.sent", "worker_broker", 3, ())
    assert [one.seconds for one in same_number.of([killed])] == [3.0], "a process id is given again"
    second = Kill(14.0, "reconcile.asked", "", 9, account=account)
    at_it = recoveries.of([Kill(10.5, "reconcile.asked", "", 8, account=account), second])
    assert [one.seconds for one in at_it] == [3.5, 6.0], "who dies at it in turn had taken it up"
    later = Kill(31.0, "send.after_record", "worker_broker", 2, (trade,))
    gone = recoveries.of([later])
    assert [one.seconds for one in gone] == [None], "a trade that has ended needs nobody"
    assert worst_by_kind([*found, *gone]) == {"account": 9.5, "trade": 7.5, "worker_broker": None}


def test_messages_of_brokers_are_there_to_measure_by(clean: Planted) -> None:
    assert BrokerMessage.objects.filter(trade=clean.filled).exists()
