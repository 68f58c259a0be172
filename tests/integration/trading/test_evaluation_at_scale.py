"""A slice costs the same few queries whatever its size; what a process keeps between ticks never outlives its truth."""

import uuid
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from foundation.wakeups import EXPIRES_SECONDS
from market.models import Instrument
from market.services import snapshots
from portfolios.changes import first_look, look_again
from portfolios.core.columns import OwnedColumns
from portfolios.models import Portfolio, PortfolioChange, PortfolioMark, Position, PositionMark, Reservation
from portfolios.services.portfolios import deposit
from rules.selectors import rules_in_force
from rules.services.rules import activate_rule, deactivate_rule, update_rule
from sessions.models import EvaluationRun, EvaluationSlice, TradingSession
from sessions.selectors import sessions_to_evaluate
from sessions.services.sessions import pause_trading_session, resume_trading_session
from tests.harness.databases import CommittedDatabase
from tests.harness.trading import STOP_LOSS, STRONG_BUY_ENTRY, Desk, Market
from trading import tasks
from trading.core.market_facts import STALE_SECONDS
from trading.services import auto_trading, facts, kept_columns, owned
from trading.services.auto_trading import FailedSlice, evaluate_next_slice, evaluate_rules
from trading.services.facts import kept_view, market_view, read_owned, valuation_of
from trading.services.kept_columns import KEEPER, give_back_columns, take_columns
from trading.services.owned import read_columns
from trading.services.worth import Worth, read_worth

pytestmark = pytest.mark.integration


def queries_of_a_tick(market: Market) -> int:
    market.tick()
    with CaptureQueriesContext(
        connection,
    ) as asked:
        run = evaluate_next_slice()
    assert isinstance(run, EvaluationRun) and run.triggered == 0
    return len(asked)


def test_a_slice_of_many_sessions_asks_no_more_than_a_slice_of_one(market: Market) -> None:
    Desk.open(market)
    queries_of_a_tick(market)  # the first one compiles
    alone = queries_of_a_tick(market)
    for _ in range(30):
        Desk.open(market)
    queries_of_a_tick(market)
    together = queries_of_a_tick(market)
    assert EvaluationSlice.objects.count() == 1 and EvaluationRun.objects.latest("id").sessions == 31
    assert together == alone <= 25


def told(worth: Worth, desk: Desk) -> None:
    """The columns say of the desk's portfolio what it says by itself."""
    view = worth.view
    place = list(worth.columns.portfolio_ids).index(desk.portfolio.id)
    alone = valuation_of(read_owned([desk.portfolio.id]), desk.portfolio.id, view)
    for name, fact in alone.portfolio.items():
        np.testing.assert_allclose(
            worth.valued.portfolio[name][place], fact, rtol=1e-9, atol=1e-9, err_msg=name
        )
    owned_facts = worth.owned_facts(worth.columns.portfolio_ids, [None] * len(worth.columns.portfolio_ids))
    mine = np.flatnonzero(owned_facts.held[0] == place)
    assert [owned_facts.held[1][row] for row in mine] == list(alone.positions)
    for row, expected in zip(mine, alone.positions.values(), strict=True):
        for name, fact in expected.items():
            np.testing.assert_allclose(
                owned_facts.positions[name][row], fact, rtol=1e-9, atol=1e-9, err_msg=name
            )
    owners, symbols = owned_facts.awaited()
    assert {symbols[row] for row in np.flatnonzero(owners == place)} == alone.awaited
    beside = worth.diversification(place)
    assert beside.column("sector_exposure_percentage")[:-1] == pytest.approx(
        view.neighbourhood.exposures(alone.sectors)[:-1]
    )


def kept_worth(*desks: Desk) -> Worth:
    """As evaluations of one slice read it, and keep it by their commit."""
    snapshot = snapshots.current()
    assert snapshot is not None
    ids = tuple(sorted(desk.portfolio.id for desk in desks))
    with transaction.atomic():
        worth = read_worth(ids, market_view(snapshot), name="slice")
        give_back_columns(worth.columns, name="slice")
    return worth


def test_what_is_kept_follows_every_change_of_the_books(market: Market) -> None:
    """Two portfolios; what one does is read again, whatever it was, and the other's stays."""
    KEEPER.forget()
    market.tick()
    busy, idle = Desk.open(market), Desk.open(market)
    for desk in (busy, idle):
        told(kept_worth(busy, idle), desk)
    market.advise("AAA")
    steps = (
        lambda: busy.evaluate(),  # a working buy: cash is reserved
        lambda: busy.step(AAA=104.0),  # filled, and a new peak
        lambda: busy.step(AAA=99.0),
        lambda: deposit(portfolio_id=busy.portfolio.id, amount=Decimal("123.45"), actor=busy.owner),
        lambda: busy.step(AAA=80.0),  # the stop sells
    )
    for step in steps:
        market.tick()
        step()
        for desk in (busy, idle):
            told(kept_worth(busy, idle), desk)
    assert busy.trades(), "something happened"


def test_only_what_has_changed_is_read_again(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    KEEPER.forget()
    market.tick()
    busy, idle = Desk.open(market), Desk.open(market)
    kept_worth(busy, idle)
    genuine, asked = owned._read_all, []

    def noting(portfolio_ids: Any) -> Any:
        asked.append(list(portfolio_ids))
        return genuine(portfolio_ids)

    monkeypatch.setattr(owned, "_read_all", noting)
    kept_worth(busy, idle)
    assert asked == []
    deposit(portfolio_id=busy.portfolio.id, amount=Decimal(1), actor=busy.owner)
    kept_worth(busy, idle)
    assert asked == [[busy.portfolio.id]]


def seen_to_change(act: Callable[[], object]) -> list[tuple[set[uuid.UUID], bool]]:
    """Of each statement in `act`, whose portfolios it changed, and whether only their marks."""
    before = PortfolioChange.objects.count()
    act()
    rows = PortfolioChange.objects.order_by("id")[before:]
    return [(set(row.portfolio_ids), row.is_mark) for row in rows]


def test_the_database_tells_whose_statement_changes_what_is_owned(desk: Desk, market: Market) -> None:
    """By whatever statement, one mended by hand, too; and of nobody else."""
    market.tick()
    Desk.open(market)
    desk.evaluate()
    owner, other = desk.portfolio.id, ({desk.portfolio.id}, False)
    amount = Decimal("5")
    assert seen_to_change(lambda: deposit(portfolio_id=owner, amount=amount, actor=desk.owner)) == [
        other, ({owner}, True)
    ]  # fmt: skip
    instrument = Instrument.objects.get(symbol="AAA")
    units = {"quantity": 1, "cost": 100, "average_cost": 100, "opened_at": market.as_of}
    row = Position(portfolio_id=owner, instrument=instrument, **units)
    assert seen_to_change(row.save) == [other]
    assert seen_to_change(lambda: Position.objects.filter(pk=row.pk).update(quantity=2)) == [other]
    mark = PositionMark(position=row, opened_at=market.as_of, peak_price=100)
    assert seen_to_change(lambda: mark.save(force_insert=True)) == [({owner}, True)]
    assert seen_to_change(lambda: PositionMark.objects.filter(pk=row.pk).update(peak_price=120)) == [
        ({owner}, True)
    ]
    assert seen_to_change(mark.delete) == [({owner}, True)]
    assert seen_to_change(row.delete) == [other]
    promise = Reservation(
        owner_id=uuid.uuid4(), portfolio_id=owner, instrument=instrument, cash=5, quantity=0
    )
    assert seen_to_change(lambda: promise.save(force_insert=True)) == [other]
    assert seen_to_change(promise.delete) == [other]
    assert seen_to_change(lambda: Portfolio.objects.filter(pk=owner).update(cash=7)) == [other]
    assert seen_to_change(lambda: Portfolio.objects.filter(pk=None).update(cash=7)) == []


def test_marks_that_others_have_noted_are_read_again(market: Market) -> None:
    KEEPER.forget()
    market.tick()
    busy, idle = Desk.open(market), Desk.open(market)
    for desk in (busy, idle):
        desk.evaluate()
    kept_worth(busy, idle)
    PortfolioMark.objects.filter(pk=busy.portfolio.pk).update(peak_equity=Decimal(250_000))
    told(kept_worth(busy, idle), busy)


def test_an_evaluation_keeps_the_marks_that_it_has_noted(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prices rise at each tick, and with them the marks of both; what is kept is as true as what is read."""
    KEEPER.forget()
    market.tick()
    first, second = Desk.open(market), Desk.open(market)
    market.advise("AAA")
    first.step()
    assert first.held("AAA") > 0 and second.held("AAA") > 0
    market.advise("AAA", "HOLD")
    first.step()
    monkeypatch.setattr(kept_columns, "read_stored", None)
    for price in (101.0, 103.0, 102.0, 107.0):
        market.tick(AAA=price)
        run = evaluate_next_slice()
        assert isinstance(run, EvaluationRun) and run.triggered == 0
        kept = KEEPER.columns((first.session.slice_id,))
        anew = read_columns(kept.portfolio_ids)
        assert len(anew.owner) == 2, "both hold"
        for field in fields(OwnedColumns):
            np.testing.assert_array_equal(
                getattr(kept, field.name), getattr(anew, field.name), err_msg=field.name
            )


def test_what_an_undone_evaluation_has_noted_is_not_kept(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    KEEPER.forget()
    market.tick()
    desk = Desk.open(market)
    desk.step()
    assert (desk.session.slice_id,) in KEEPER
    market.tick(AAA=150.0)
    monkeypatch.setattr(auto_trading, "record_run", None)
    assert isinstance(evaluate_next_slice(), FailedSlice)
    assert (desk.session.slice_id,) not in KEEPER


def test_who_has_not_looked_for_long_keeps_nothing(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changed may be pruned by then."""
    market.tick()
    desk = Desk.open(market)
    kept_worth(desk)
    Portfolio.objects.filter(pk=desk.portfolio.pk).update(cash=Decimal(77))
    forgotten_changes()
    assert kept_worth(desk).columns.cash.tolist() == [100_000.0], "this test forgets what it must"
    monkeypatch.setattr(kept_columns, "LOOKED", timedelta(0))
    assert kept_worth(desk).columns.cash.tolist() == [77.0]


def forgotten_changes() -> None:
    PortfolioChange.objects.all().delete()


def test_over_another_connection_everything_is_read_anew(market: Market) -> None:
    """It may be another server, one that was restored, or a standby that has become the first."""
    market.tick()
    desk = Desk.open(market)
    kept_worth(desk)
    Portfolio.objects.filter(pk=desk.portfolio.pk).update(cash=Decimal(77))
    forgotten_changes()
    connection.close()
    assert kept_worth(desk).columns.cash.tolist() == [77.0]


def test_a_portfolio_is_kept_with_one_slice_only(market: Market) -> None:
    """Else the marks that it rises by in the new one would be unknown in the old one, should it come back."""
    market.tick()
    desk, other = Desk.open(market), Desk.open(market)
    ids = tuple(sorted([desk.portfolio.id, other.portfolio.id]))
    for asked, name in ((ids, "old"), ((desk.portfolio.id,), "new")):
        with transaction.atomic():
            give_back_columns(take_columns(asked, name=name), name=name)
    assert "new" in KEEPER and "old" not in KEEPER


def test_a_change_is_told_once_however_long_an_older_transaction_is_open(
    market: Market, committed_db: CommittedDatabase
) -> None:
    market.tick()
    desk = Desk.open(market)
    with committed_db.as_owner() as elsewhere:
        elsewhere.execute("BEGIN")
        elsewhere.execute("SELECT pg_current_xact_id()")
        with transaction.atomic():
            last = first_look()
        Portfolio.objects.filter(pk=desk.portfolio.pk).update(cash=Decimal(77))
        told = []
        for _ in range(3):
            with transaction.atomic():
                last, changed = look_again(last, own=())
            told.append(len(changed))
    assert told == [1, 0, 0]


@pytest.mark.parametrize("younger_commits", [True, False])
def test_what_one_has_written_oneself_since_the_look_is_told_once(
    market: Market, committed_db: CommittedDatabase, younger_commits: bool
) -> None:
    """Also where somebody who began later has committed by then: PostgreSQL counts one's own number as seen."""
    market.tick()
    desk, other = Desk.open(market), Desk.open(market)
    told = []
    with committed_db.as_owner() as elsewhere:
        with transaction.atomic():
            first_look()  # which gives it a number
            if younger_commits:
                elsewhere.execute(
                    "UPDATE portfolios_portfolio SET cash = 5 WHERE id = %s", [other.portfolio.id]
                )
            last = first_look()
            Portfolio.objects.filter(pk=desk.portfolio.pk).update(cash=Decimal(77))
        for _ in range(3):
            with transaction.atomic():
                last, changed = look_again(last, own=[last.transaction])
            told.append(changed)
    assert told == [[[desk.portfolio.id]], [], []]


def test_what_commits_late_is_told_then(market: Market, committed_db: CommittedDatabase) -> None:
    """Its number is older than what was looked at meanwhile."""
    market.tick()
    desk = Desk.open(market)
    told = []
    with committed_db.as_owner() as elsewhere:
        with elsewhere.transaction():
            elsewhere.execute("UPDATE portfolios_portfolio SET cash = 77 WHERE id = %s", [desk.portfolio.id])
            with transaction.atomic():
                last = first_look()
            Portfolio.objects.filter(pk=Desk.open(market).portfolio.pk).update(cash=5)
            with transaction.atomic():
                last, _ = look_again(last, own=())
        with transaction.atomic():
            last, told = look_again(last, own=())
    assert told == [[desk.portfolio.id]]


def rules_evaluated(desk: Desk, market: Market) -> int:
    market.tick()
    run = evaluate_next_slice()
    assert isinstance(run, EvaluationRun)
    assert run.rules == len(
        [row for row in rules_in_force([desk.portfolio.id]) if desk.refresh().session.status == "active"
         or row.rule_type != "entry"]
    )  # fmt: skip
    return run.rules


def test_a_change_of_rules_counts_at_the_next_tick(desk: Desk, market: Market) -> None:
    """New, changed, switched off and on, paused and resumed."""
    assert rules_evaluated(desk, market) == 2
    third = desk.add_rule(conditions=STRONG_BUY_ENTRY["conditions"], actions=STRONG_BUY_ENTRY["actions"])
    assert rules_evaluated(desk, market) == 3
    deactivate_rule(rule_id=third.id, actor=desk.owner)
    assert rules_evaluated(desk, market) == 2
    activate_rule(rule_id=third.id, actor=desk.owner)
    assert rules_evaluated(desk, market) == 3
    pause_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert rules_evaluated(desk, market) == 1
    resume_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert rules_evaluated(desk, market) == 3


def test_a_changed_threshold_counts_at_the_next_tick(desk: Desk, market: Market) -> None:
    market.advise("AAA", confidence=0.7)
    market.tick()
    evaluate_next_slice()
    assert desk.trades() == []
    rule = desk.portfolio.trading_rules.get(rule_type="entry")
    easier = rule.content() | {"conditions": [STRONG_BUY_ENTRY["conditions"][0]]}
    update_rule(rule_id=rule.id, rule=easier, actor=desk.owner)
    market.tick()
    evaluate_next_slice()
    assert len(desk.trades()) == 1


def test_without_changes_nobody_asks_for_rules(
    desk: Desk, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    market.tick()
    evaluate_next_slice()
    group = sessions_to_evaluate(desk.session.slice_id)
    assert sessions_to_evaluate(desk.session.slice_id) is group, "sessions are kept, too"
    snapshot = snapshots.current()
    assert snapshot is not None

    def asked(portfolio_ids: Any) -> Any:
        raise AssertionError("the program is known")

    monkeypatch.setattr(auto_trading, "rules_in_force", asked)
    worth = read_worth(group.portfolio_ids, market_view(snapshot))
    assert evaluate_rules(group, worth) == ([], 2)


def test_what_is_made_of_a_snapshot_is_made_once(market: Market) -> None:
    market.tick()
    snapshot = snapshots.current()
    assert snapshot is not None
    first = kept_view(snapshot)
    assert kept_view(snapshot).neighbourhood is first.neighbourhood
    added = Instrument.objects.create(
        symbol="NEW", name="New", exchange_id="XTST", tick_size=Decimal("0.01"), lot_size=Decimal(1)
    )
    assert added.id in kept_view(snapshot).instruments, "somebody may hold it before the next snapshot"
    market.tick()
    following = snapshots.current()
    assert following is not None
    assert kept_view(following).snapshot is following


def test_a_quote_that_has_become_stale_since_is_no_fact_any_more(market: Market) -> None:
    market.price_age_seconds = STALE_SECONDS + 60
    market.tick()
    snapshot = snapshots.current()
    assert snapshot is not None
    now = market_view(snapshot)
    earlier = replace(now, now_epoch=now.now_epoch - 120, prices=dict.fromkeys(now.prices, 100.0))
    facts._last_view[:] = [earlier]
    assert all(np.isnan(price) for price in kept_view(snapshot).prices.values())


# --- several workers -----------------------------------------------------------------------------------


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(tasks, "watch_platform", lambda: None)
    monkeypatch.setattr(tasks, "wake", lambda name, queue: names.append(name))
    return names


def two_slices(market: Market) -> None:
    first, _ = Desk.open(market), Desk.open(market)
    second = EvaluationSlice.objects.create()
    TradingSession.objects.filter(pk=first.session.pk).update(slice=second)
    market.tick()


def test_who_sees_more_work_wakes_one_more_worker_once(market: Market, woken: list[str]) -> None:
    two_slices(market)
    tasks.evaluate_due()
    assert EvaluationRun.objects.count() == 2
    assert woken == ["trading.tasks.evaluate_due"]


def test_who_does_the_last_slice_wakes_nobody(market: Market, woken: list[str]) -> None:
    Desk.open(market, rules=(STOP_LOSS,))
    market.tick()
    tasks.evaluate_due()
    assert EvaluationRun.objects.count() == 1 and woken == []


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (EXPIRES_SECONDS / 2, 1),  # the message to the helper waits still: it goes on
        (EXPIRES_SECONDS * 2, 2),  # nobody took it, and it is gone
    ],
)
def test_a_run_that_ends_before_the_work_does_leaves_a_message(
    market: Market, woken: list[str], monkeypatch: pytest.MonkeyPatch, seconds: float, expected: int
) -> None:
    two_slices(market)
    moments = iter([1_000.0, 1_000.0, 1_000.0, 1_000.0 + tasks.EVALUATE_SECONDS, 1_000.0 + seconds])
    monkeypatch.setattr(tasks, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    monkeypatch.setattr(tasks, "beat_if_due", lambda component: None)
    monkeypatch.setattr(tasks, "evaluate_next_slice", first_run(market))
    tasks.evaluate_due()
    assert len(woken) == expected


def first_run(market: Market) -> Any:
    """The run of one slice, made beforehand: the clock above is for the task alone."""
    run = evaluate_next_slice()
    return lambda **_: run
