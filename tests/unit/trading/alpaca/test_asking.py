"""Asking Alpaca: whole answers or none, page after page, and every number looked at."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.harness.alpaca_wire import (
    AlpacaWire,
    Answer,
    Request,
    account_document,
    dribble,
    fill_document,
    hang_up,
    order_document,
    reply,
    silence,
    whole,
)
from tests.unit.trading.alpaca.conftest import DEADLINE_SECONDS
from trading.brokers.alpaca import asking
from trading.brokers.alpaca.broker import CAPABILITIES, AlpacaBroker, replacement_id
from trading.brokers.alpaca.translation import STATUSES, order_of
from trading.brokers.protocol import (
    Accepted,
    AskFailed,
    BadReport,
    BrokerExecution,
    BrokerOrder,
    CancelRefused,
    CancelRequested,
    ForeignReport,
    NotConnected,
    OwnReport,
    Rejected,
    Unknown,
)
from trading.core.order_states import OrderState
from trading.core.orders import OrderTerms, OrderType, TimeInForce

D = Decimal
SINCE = datetime(2026, 11, 25, 14, 0, tzinfo=UTC)
NOT_FOUND = {"code": 40410000, "message": "order not found"}
MIDNIGHT = {"code": 42210000, "message": 'order is already in "filled" state'}


def at(seconds: float) -> str:
    return (SINCE + timedelta(seconds=seconds)).isoformat()


# --- one order --------------------------------------------------------------------------------


def test_an_order_is_found_by_its_client_id(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    filled = {"status": "partially_filled", "filled_qty": "4", "filled_avg_price": "101.123456789"}
    wire.answers.append(reply(200, order_document(client_order_id="a/b?c", **filled)))
    order = broker.order_by_client_id("a/b?c")
    assert wire.requests[0].path == "/v2/orders:by_client_order_id"
    assert wire.requests[0].query == {"client_order_id": "a/b?c"}
    assert order == BrokerOrder(
        client_order_id="a/b?c", broker_order_id="61e69015-8549-4bfd-b9c3-01e75843f47d", symbol="AAA", side="buy",
        quantity=D(10), filled_quantity=D(4), state=OrderState.PARTIALLY_FILLED, average_price=D("101.12345679"),
        submitted_at=datetime(2026, 11, 25, 14, 30, 0, 123456, tzinfo=UTC),
        changed_at=datetime(2026, 11, 25, 14, 30, 0, 223456, tzinfo=UTC),
    )  # fmt: skip


def test_no_order_of_that_id_is_none(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    wire.answers.append(reply(404, NOT_FOUND))
    assert broker.order_by_client_id("one") is None


def test_another_order_than_was_asked_for_is_a_bad_report(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    wire.answers.append(reply(200, order_document(client_order_id="two")))
    with pytest.raises(BadReport, match="another order"):
        broker.order_by_client_id("one")


FAILURES: list[tuple[str, Answer]] = [
    ("404 of a proxy", reply(404, body=b"<html>no such page</html>")),
    ("404 of a gateway", reply(404, {"message": "no Route matched with those values"})),
    ("401 of a proxy", reply(401, body=b"<html>who are you?</html>")),
    ("403 of a firewall", reply(403, body=b"<html>blocked</html>")),
    ("429", reply(429, {"code": 42910000, "message": "rate limit exceeded"}, Retry_After="2")),
    ("500", reply(500, {"message": "internal server error"})),
    ("504", reply(504)),
    ("redirect", reply(302, None, Location="http://127.0.0.1:1/")),
    ("no JSON", reply(200, body=b"fine")),
    ("closed", hang_up),
    ("silence", silence),
    ("dribble", dribble(whole(200, order_document()))),
]


@pytest.mark.parametrize("answer", [row[1] for row in FAILURES], ids=[row[0] for row in FAILURES])
def test_a_question_that_is_not_answered_fails_and_is_not_repeated(
    wire: AlpacaWire, broker: AlpacaBroker, answer: Answer
) -> None:
    wire.answers.append(answer)
    began = time.monotonic()
    with pytest.raises(AskFailed):
        broker.order_by_client_id("one")
    assert time.monotonic() - began < DEADLINE_SECONDS + 1.5
    assert len(wire.requests) == 1


def test_who_is_limited_learns_when_to_ask_again(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    wire.answers.append(reply(429, {"message": "rate limit exceeded"}, Retry_After="2"))
    with pytest.raises(AskFailed) as failure:
        broker.positions()
    assert failure.value.retry_after_seconds == 2


@pytest.mark.parametrize("status", [401, 403])
def test_refused_keys_are_said_so(wire: AlpacaWire, broker: AlpacaBroker, status: int) -> None:
    wire.answers.append(reply(status, {"message": "forbidden."}))
    with pytest.raises(NotConnected, match="refuses the keys"):
        broker.account()


# --- states -----------------------------------------------------------------------------------

STATES = {
    "new": ("accepted", "partially_filled"),
    "accepted": ("accepted", "partially_filled"),
    "pending_new": ("accepted", "partially_filled"),
    "accepted_for_bidding": ("accepted", "partially_filled"),
    "pending_review": ("accepted", "partially_filled"),
    "held": ("accepted", "partially_filled"),
    "stopped": ("accepted", "partially_filled"),
    "suspended": ("accepted", "partially_filled"),
    "pending_replace": ("accepted", "partially_filled"),
    "done_for_day": ("accepted", "partially_filled"),
    "calculated": ("accepted", "partially_filled"),
    "partially_filled": ("partially_filled", "partially_filled"),
    "pending_cancel": ("cancelling", "cancelling"),
    "canceled": ("cancelled", "cancelled"),
    "expired": ("expired", "expired"),
    "replaced": ("cancelled", "cancelled"),
    "rejected": ("rejected", "rejected"),
}


@pytest.mark.parametrize("status", STATES)
def test_each_status_is_a_state(status: str) -> None:
    untouched, partly = STATES[status]
    assert order_of(order_document(status=status)).state == untouched
    some = order_document(status=status, filled_qty="3", filled_avg_price="1")
    assert order_of(some).state == partly


def test_all_filled_is_filled() -> None:
    whole_order = {"filled_qty": "10", "filled_avg_price": "1"}
    assert order_of(order_document(status="filled", **whole_order)).state == "filled"
    assert order_of(order_document(status="calculated", **whole_order)).state == "filled"
    with pytest.raises(BadReport):
        order_of(order_document(status="filled", filled_qty="9", filled_avg_price="1"))


def test_the_table_has_every_status_and_says_why() -> None:
    assert STATUSES.keys() == STATES.keys() | {"filled"}
    assert all(why for _, why in STATUSES.values())


def test_a_replaced_order_tells_by_which(broker: AlpacaBroker) -> None:
    order = order_of(order_document(status="replaced", replaced_by="9a1b"))
    assert order.reason == "replaced by 9a1b"


def test_it_can_do_all_that_we_have_words_for() -> None:
    assert CAPABILITIES.order_types == set(OrderType) and CAPABILITIES.times_in_force == set(TimeInForce)
    assert CAPABILITIES.replaces and CAPABILITIES.streams and CAPABILITIES.has_network


# --- cancelling and replacing -----------------------------------------------------------------


def working(**changes: Any) -> BrokerOrder:
    return order_of(order_document(**changes))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (reply(204), CancelRequested),
        (reply(404, NOT_FOUND), CancelRefused),
        (reply(422, MIDNIGHT), CancelRefused),
        (reply(404, body=b"<html></html>"), Unknown),
        (reply(404, {"message": "no Route matched with those values"}), Unknown),
        (reply(400, {"message": "what?"}), Unknown),
        (reply(401, {"message": "unauthorized."}), Unknown),
        (reply(429, {"message": "rate limit exceeded"}), Unknown),
        (reply(500), Unknown),
        (hang_up, Unknown),
        (silence, Unknown),
    ],
)
def test_a_cancel_is_asked_for_once(
    wire: AlpacaWire, broker: AlpacaBroker, answer: Answer, outcome: type[object]
) -> None:
    wire.answers.append(answer)
    assert isinstance(broker.cancel(working()), outcome)
    assert [(request.method, request.path) for request in wire.requests] == [
        ("DELETE", "/v2/orders/61e69015-8549-4bfd-b9c3-01e75843f47d")
    ]


def test_an_id_that_would_be_another_address_is_not_asked(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    with pytest.raises(BadReport):
        broker.cancel(working(id="../account"))
    assert not wire.requests


def test_a_replacement_is_a_new_order_whose_id_is_known_before(
    wire: AlpacaWire, broker: AlpacaBroker
) -> None:
    wire.answers.append(reply(200, order_document(id="new", client_order_id="one.r1", qty="7", type="limit")))
    terms = OrderTerms(OrderType.LIMIT, limit_price=D("9.50"))
    outcome = broker.replace(working(), quantity=D(7), terms=terms)
    assert isinstance(outcome, Accepted) and outcome.order.broker_order_id == "new"
    (request,) = wire.requests
    assert request.method == "PATCH"
    assert request.json == {
        "qty": "7", "time_in_force": "day", "limit_price": "9.5", "client_order_id": "one.r1",
    }  # fmt: skip
    assert (replacement_id("one.r1"), replacement_id("a.road")) == ("one.r2", "a.road.r1")


@pytest.mark.parametrize(
    ("answer", "outcome"), [(reply(422, MIDNIGHT), Rejected), (reply(504), Unknown), (hang_up, Unknown)]
)
def test_a_replacement_may_be_refused_or_unknown(
    wire: AlpacaWire, broker: AlpacaBroker, answer: Answer, outcome: type[object]
) -> None:
    wire.answers.append(answer)
    assert isinstance(broker.replace(working(), quantity=D(7), terms=OrderTerms()), outcome)


# --- lists of orders --------------------------------------------------------------------------


class Orders:
    """Serves `/v2/orders` as Alpaca does: `after` excludes, oldest first, at most `limit`."""

    def __init__(self, wire: AlpacaWire, rows: list[dict[str, Any]]) -> None:
        self.rows, self.wire = rows, wire
        wire.on_request = self.prepare

    def prepare(self, request: Request) -> None:
        if request.path == "/v2/orders":
            after = request.query.get("after")
            edge = datetime.fromisoformat(after) if after else datetime.min.replace(tzinfo=UTC)
            rows = [row for row in self.rows if datetime.fromisoformat(row["submitted_at"]) > edge]
            limit = int(request.query["limit"])
            self.wire.routes[request.path] = (200, rows[:limit])


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ORDERS_IN_PAGE", 3)
    monkeypatch.setattr(asking, "ACTIVITIES_IN_PAGE", 3)


def some_orders(count: int, *, second: Callable[[int], float] = float) -> list[dict[str, Any]]:
    return [
        order_document(id=f"order-{number}", client_order_id=f"c{number}", submitted_at=at(second(number)))
        for number in range(count)
    ]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("count", [0, 2, 3, 4, 6, 7])
def test_every_page_is_read(wire: AlpacaWire, broker: AlpacaBroker, count: int) -> None:
    Orders(wire, some_orders(count))
    assert [order.client_order_id for order in broker.orders_since(SINCE)] == [f"c{n}" for n in range(count)]
    first = wire.requests[0].query
    assert first == {
        "status": "all",
        "limit": "3",
        "direction": "asc",
        "nested": "false",
        "after": first["after"],
    }
    assert datetime.fromisoformat(first["after"]) < SINCE  # an order of exactly then is told, too
    assert len(broker.open_orders()) == count
    assert wire.requests[-1].query["status"] == "open"


@pytest.mark.usefixtures("small_pages")
def test_orders_of_one_instant_on_the_edge_of_two_pages_are_not_lost(
    wire: AlpacaWire, broker: AlpacaBroker
) -> None:
    Orders(wire, some_orders(5, second=lambda number: number // 2))
    assert len(broker.open_orders()) == 5


@pytest.mark.usefixtures("small_pages")
def test_more_of_one_instant_than_a_page_holds_is_no_answer(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    Orders(wire, some_orders(4, second=lambda number: 0))
    with pytest.raises(AskFailed, match="does not end"):
        broker.open_orders()


@pytest.mark.usefixtures("small_pages")
def test_half_a_list_is_no_answer(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    wire.answers += [reply(200, some_orders(3)), reply(500)]
    with pytest.raises(AskFailed):
        broker.open_orders()


@pytest.mark.usefixtures("small_pages")
def test_a_list_that_tells_the_same_page_again_is_no_answer(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    wire.routes["/v2/orders"] = (200, some_orders(3))
    wire.routes["/v2/account/activities/FILL"] = (200, fills_of_one_order(3))
    with pytest.raises(AskFailed, match="does not end"):
        broker.open_orders()
    assert len(wire.requests) == 2
    for since in (SINCE, SINCE + timedelta(days=1)):  # a page that is too old altogether is none either
        with pytest.raises(AskFailed, match="does not end"):
            broker.executions_since(since)


def test_a_day_of_more_than_forty_pages_of_fills_is_read(
    wire: AlpacaWire, connect: Callable[..., AlpacaBroker]
) -> None:
    """Each part of a fill is a row: forty orders in a hundred parts each fill as many pages."""
    Fills(wire, fills_of_one_order(4100))
    order = order_document(qty="4100", status="filled", filled_qty="4100", filled_avg_price="101.5")
    wire.routes[f"/v2/orders/{order['id']}"] = (200, order)
    told = connect(wire.url, deadline_seconds=10).executions_since(SINCE)
    assert len({execution.execution_id for execution in told}) == 4100


def test_more_orders_than_it_remembers_cost_one_list(
    wire: AlpacaWire, broker: AlpacaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "KNOWN_ORDERS_MAX", 2)
    wire.routes["/v2/orders"] = (200, some_orders(5))
    Fills(
        wire,
        [fill_document(id=f"2026::{n}", order_id=f"order-{n}", transaction_time=at(n)) for n in range(5)],
    )
    assert {e.client_order_id for e in broker.executions_since(SINCE)} == {f"c{n}" for n in range(5)}
    assert len(wire.requests) == 2


# --- what is not ours -------------------------------------------------------------------------

OURS = {"id": "ours", "client_order_id": "at-1", "submitted_at": at(1)}
SOMEBODYS = {"id": "theirs", "client_order_id": "5c9c2b26", "submitted_at": at(2)}
ODD_ORDERS: dict[str, dict[str, Any]] = {
    "in dollars": {"qty": None, "notional": "100", "filled_qty": "0.571234567", "filled_avg_price": "175.06"},
    "in nine places": {"qty": "0.571234567"},
    "in legs": {"symbol": "", "side": "", "order_class": "mleg"},
    "of a new status": {"status": "enlightened"},
}


@pytest.mark.parametrize("odd", ODD_ORDERS.values(), ids=ODD_ORDERS)
def test_an_order_of_somebody_elses_that_cannot_be_read_hides_none_of_ours(
    wire: AlpacaWire, broker: AlpacaBroker, odd: dict[str, Any]
) -> None:
    half = {"status": "partially_filled", "filled_qty": "4", "filled_avg_price": "101.5"}
    wire.routes["/v2/orders"] = (200, [order_document(**OURS, **half), order_document(**SOMEBODYS, **odd)])
    fill = {"qty": "4", "cum_qty": "4", "type": "partial_fill"}
    Fills(
        wire,
        [
            fill_document(id="2026::1", order_id="ours", **fill),
            fill_document(id="2026::2", order_id="theirs", qty="0.571234567", cum_qty="0.571234567"),
        ],
    )
    for orders in (broker.open_orders(), broker.orders_since(SINCE)):
        ours, theirs = orders
        assert isinstance(ours, BrokerOrder) and ours.client_order_id == "at-1"
        assert isinstance(theirs, ForeignReport) and not theirs.is_fill
        assert (theirs.key, theirs.at, theirs.payload["client_order_id"]) == (
            "theirs", SINCE + timedelta(seconds=2), "5c9c2b26",
        )  # fmt: skip
    our_fill, their_fill = broker.executions_since(SINCE)
    assert isinstance(our_fill, BrokerExecution) and our_fill.client_order_id == "at-1"
    assert isinstance(their_fill, ForeignReport) and their_fill.is_fill
    assert (their_fill.key, their_fill.payload["qty"]) == ("2026::2", "0.571234567")


def test_a_fill_that_cannot_be_read_of_an_order_that_is_not_ours_is_told_as_that(
    wire: AlpacaWire, broker: AlpacaBroker
) -> None:
    Fills(wire, [fill_document(qty="0.571234567", cum_qty="0.571234567")])
    order = order_document(client_order_id="5c9c2b26", status="filled", filled_qty="10", filled_avg_price="1")
    wire.routes[f"/v2/orders/{order['id']}"] = (200, order)
    (told,) = broker.executions_since(SINCE)
    assert isinstance(told, ForeignReport) and "eight places" in str(told)


def test_an_order_of_ours_that_cannot_be_read_hides_no_other(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    """Alpaca has a status more."""
    odd = order_document(**OURS, status="pending_something")
    wire.routes["/v2/orders"] = (
        200,
        [odd, order_document(**OURS | {"id": "other", "client_order_id": "at-2"})],
    )
    Fills(
        wire,
        [
            fill_document(id="2026::1", order_id="ours", qty="4", cum_qty="4"),
            fill_document(id="2026::2", order_id="other"),
        ],
    )
    for orders in (broker.open_orders(), broker.orders_since(SINCE)):
        told, other = orders
        assert isinstance(told, OwnReport) and "status is not known" in str(told)
        assert (told.key, told.client_order_id, told.is_fill) == ("ours", "at-1", False)
        assert isinstance(other, BrokerOrder)
    other_fill, fill = broker.executions_since(SINCE)
    assert isinstance(fill, OwnReport) and (fill.client_order_id, fill.is_fill) == ("at-1", True)
    assert isinstance(other_fill, BrokerExecution)
    wire.routes["/v2/orders:by_client_order_id"] = (200, odd)
    with pytest.raises(BadReport, match="status is not known"):
        broker.order_by_client_id("at-1")


BAD_LISTS = [{}, "orders", [7], [None], [order_document(client_order_id=None, qty=None)],
             [order_document(client_order_id="at-1", id=None)]]  # fmt: skip


@pytest.mark.parametrize("document", BAD_LISTS, ids=str)
def test_a_list_with_what_is_no_order_or_nobody_can_name_is_a_bad_report(
    wire: AlpacaWire, broker: AlpacaBroker, document: Any
) -> None:
    wire.answers.append(reply(200, document))
    with pytest.raises(BadReport):
        broker.open_orders()


# --- executions -------------------------------------------------------------------------------


class Fills:
    """Serves the account's fills: begins after `page_token`."""

    def __init__(self, wire: AlpacaWire, rows: list[dict[str, Any]]) -> None:
        self.rows, self.wire = rows, wire
        wire.on_request = self.prepare

    def prepare(self, request: Request) -> None:
        if request.path == "/v2/account/activities/FILL":
            token, rows = request.query.get("page_token"), self.rows
            if token:
                rows = rows[[row["id"] for row in rows].index(token) + 1 :]
            self.wire.routes[request.path] = (200, rows[: int(request.query["page_size"])])


def fills_of_one_order(count: int) -> list[dict[str, Any]]:
    return [
        fill_document(
            id=f"2026::{number}", qty="1", cum_qty=str(number + 1), transaction_time=at(number),
            type="partial_fill",
        )
        for number in range(count)
    ]  # fmt: skip


@pytest.mark.usefixtures("small_pages")
def test_every_fill_is_read_and_its_order_is_asked_for_once(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    Fills(wire, fills_of_one_order(7))
    order = order_document(status="partially_filled", filled_qty="7", filled_avg_price="101.5")
    wire.routes[f"/v2/orders/{order['id']}"] = (200, order)
    told = broker.executions_since(SINCE)
    assert [execution.quantity for execution in told] == [1] * 7
    assert [execution.execution_id for execution in told] == [f"{order['id']}:{n}" for n in range(1, 8)]
    assert {(e.client_order_id, e.symbol, e.side, e.price, e.fee) for e in told} == {
        ("one", "AAA", "buy", D("101.5"), D(0))
    }
    assert told[0].at == SINCE
    asked = [request.path for request in wire.requests]
    assert asked.count(f"/v2/orders/{order['id']}") == 1
    broker.executions_since(SINCE)
    assert [request.path for request in wire.requests].count(f"/v2/orders/{order['id']}") == 1


def test_fills_of_one_millisecond_come_in_the_order_in_which_they_filled(
    wire: AlpacaWire, broker: AlpacaBroker
) -> None:
    """Alpaca lists them in any order (issue 170 of alpacahq/Alpaca-API)."""
    rows = [
        fill_document(id=f"2026::{cumulative}", qty=quantity, cum_qty=cumulative, transaction_time=at(1))
        for quantity, cumulative in (("1", "10"), ("6", "6"), ("3", "9"))
    ]
    Fills(wire, rows)
    order = order_document(status="filled", filled_qty="10", filled_avg_price="101.5")
    wire.routes[f"/v2/orders/{order['id']}"] = (200, order)
    assert [execution.quantity for execution in broker.executions_since(SINCE)] == [6, 3, 1]


def test_what_was_filled_earlier_is_left_out(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    Fills(wire, [fill_document(transaction_time=at(-0.001))])
    assert broker.executions_since(SINCE) == []
    assert datetime.fromisoformat(wire.requests[0].query["after"]) < SINCE


def test_fills_of_many_orders_cost_one_list(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    orders = some_orders(5)
    Fills(
        wire,
        [fill_document(id=f"2026::{n}", order_id=f"order-{n}", transaction_time=at(n)) for n in range(5)],
    )
    wire.routes["/v2/orders"] = (200, orders)
    assert {e.client_order_id for e in broker.executions_since(SINCE)} == {f"c{n}" for n in range(5)}
    assert len(wire.requests) == 2


BAD_FILLS: list[dict[str, Any]] = [
    {"symbol": "BBB"},
    {"side": "sell"},
    {"qty": "NaN"},
    {"qty": "-10"},
    {"qty": "0"},
    {"price": "0"},
    {"price": "nan"},
    {"price": None},
    {"cum_qty": "9"},  # less than this fill alone
    {"cum_qty": "11"},  # more than was ordered
    {"type": "trade_bust"},
    {"activity_type": "DIV"},
    {"order_id": None},
    {"transaction_time": "now"},
]
NOT_EVEN_NAMED = ("order_id", "transaction_time")


@pytest.mark.parametrize("changes", BAD_FILLS, ids=str)
def test_a_fill_that_cannot_be_is_never_used(
    wire: AlpacaWire, broker: AlpacaBroker, changes: dict[str, Any]
) -> None:
    Fills(wire, [fill_document(**changes)])
    order = order_document(client_order_id="at-1", status="filled", filled_qty="10", filled_avg_price="101.5")
    wire.routes[f"/v2/orders/{order['id']}"] = (200, order)
    if changes.keys() & set(NOT_EVEN_NAMED):
        with pytest.raises(BadReport):
            broker.executions_since(SINCE)
        return
    (told,) = broker.executions_since(SINCE)
    assert isinstance(told, OwnReport) and told.client_order_id == "at-1"


def test_a_fill_of_an_order_that_is_not_known_there_is_a_bad_report(
    wire: AlpacaWire, broker: AlpacaBroker
) -> None:
    Fills(wire, [fill_document()])
    with pytest.raises(BadReport, match="does not know"):
        broker.executions_since(SINCE)


def test_a_fill_of_a_moment_ago_whose_order_does_not_show_yet_is_no_answer_and_no_bad_report(
    wire: AlpacaWire, broker: AlpacaBroker
) -> None:
    """What one part of a broker has written, another shows a little later: nobody has to explain that."""
    now = datetime.now(UTC)
    Fills(wire, [fill_document(transaction_time=now.isoformat())])
    with pytest.raises(AskFailed, match="does not show yet"):
        broker.executions_since(now - timedelta(minutes=5))
    late = now - timedelta(seconds=61)
    Fills(wire, [fill_document(transaction_time=late.isoformat())])
    with pytest.raises(BadReport, match="does not know"):
        broker.executions_since(now - timedelta(minutes=5))


# --- positions and account --------------------------------------------------------------------


def position(**changes: Any) -> dict[str, Any]:
    return {"symbol": "AAA", "qty": "12.5", "side": "long", "avg_entry_price": "100", **changes}


@pytest.mark.parametrize(
    ("changes", "quantity"),
    [
        ({}, "12.5"),
        ({"qty": "0.571234567"}, "0.571234567"),
        ({"qty": "-3", "side": "short"}, "-3"),
        ({"qty": "3", "side": "short"}, "-3"),
    ],
)
def test_a_position_has_a_sign(
    wire: AlpacaWire, broker: AlpacaBroker, changes: dict[str, Any], quantity: str
) -> None:
    wire.answers.append(reply(200, [position(**changes)]))
    (told,) = broker.positions()
    assert (told.symbol, told.quantity) == ("AAA", D(quantity))


@pytest.mark.parametrize(
    "rows",
    [
        [position(qty="-3")],
        [position(qty="0")],
        [position(qty="NaN")],
        [position(side="both")],
        [position(symbol="")],
        [position(), position()],
        {"AAA": position()},
    ],
    ids=str,
)
def test_positions_that_cannot_be_are_a_bad_report(wire: AlpacaWire, broker: AlpacaBroker, rows: Any) -> None:
    wire.answers.append(reply(200, rows))
    with pytest.raises(BadReport):
        broker.positions()


def test_the_account_tells_its_number_currency_and_cash(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    wire.answers.append(reply(200, account_document()))
    account = broker.account()
    assert (account.account_number, account.currency, account.cash) == ("PA3WIRE00001", "USD", D("100000.25"))
    assert account.trading_objection == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"trading_blocked": True},
        {"account_blocked": True},
        {"trade_suspended_by_user": True},
        {"status": "ACCOUNT_UPDATED"},
    ],
    ids=str,
)
def test_an_account_that_may_not_trade_says_why(
    wire: AlpacaWire, broker: AlpacaBroker, changes: dict[str, Any]
) -> None:
    wire.answers.append(reply(200, account_document(**changes)))
    assert broker.account().trading_objection


@pytest.mark.parametrize(
    "changes",
    [
        {"account_number": "PA3OTHER0001"},
        {"cash": "NaN"},
        {"cash": None},
        {"cash": "1e13"},
        {"currency": "dollars"},
        {"trading_blocked": None},
        {"trading_blocked": "false"},
        {"status": None},
    ],
    ids=str,
)
def test_an_account_that_cannot_be_is_a_bad_report(
    wire: AlpacaWire, broker: AlpacaBroker, changes: dict[str, Any]
) -> None:
    wire.answers.append(reply(200, account_document(**changes)))
    with pytest.raises(BadReport):
        broker.account()
