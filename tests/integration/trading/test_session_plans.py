"""Sessions that start and stop by an exchange's calendar, by market time, at most once a day whatever happens."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from foundation.errors import Conflict, InvalidInput
from journal.models import Alert, Entry
from market.models import CalendarDay, Exchange
from market.services.instruments import set_tags
from portfolios.models import Member
from portfolios.services.portfolios import set_member
from sessions.models import SessionPlan, TradingSession
from sessions.services import plan_runs, sessions
from sessions.services.calendar import run_calendar
from sessions.services.plans import (
    PLANS_MAX,
    PlanContent,
    create_plan,
    delete_plan,
    disable_plan,
    enable_plan,
    update_plan,
)
from sessions.services.sessions import known_names, start_trading_session, stop_trading_session
from tests.harness.racing import racing
from tests.harness.trading import Desk, Market
from trading.services.stopping import finish_stopping

pytestmark = pytest.mark.integration
# The first week of March 2010; Wednesday is a holiday, Thursday a half day.
WEEK = {"01": "21:00", "02": "21:00", "04": "18:00", "05": "21:00"}


def at(text: str) -> datetime:
    """`01 14:30` is the first of March 2010, in UTC."""
    return datetime.strptime(f"2010-03-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


@pytest.fixture
def desk(market: Market) -> Desk:
    """Alice's portfolio without a session, long before the open of Monday."""
    for day, closes in WEEK.items():
        CalendarDay.objects.create(
            exchange_id="XTST", day=at(f"{day} 00:00").date(), opens_at=at(f"{day} 14:30"),
            closes_at=at(f"{day} {closes}"),
        )  # fmt: skip
    desk = Desk.open(market)
    end(desk)
    look(market, "01 00:00")
    return desk


def end(desk: Desk) -> None:
    """Somebody stops the portfolio's session."""
    running = TradingSession.objects.filter(portfolio=desk.portfolio).exclude(status="stopped").get()
    stop_trading_session(session_id=running.id, actor=desk.owner)
    finish_stopping()


def look(market: Market, text: str) -> None:
    """Market time goes on to this moment, and the sweep looks."""
    market.as_of = at(text) - timedelta(minutes=1)
    market.tick()
    run_calendar()
    finish_stopping()


def plan(desk: Desk, **content: Any) -> SessionPlan:
    content = {"name": "Every day", "exchange": "XTST", **content}
    return create_plan(portfolio_id=desk.portfolio.id, content=PlanContent(**content), actor=desk.owner)


def started(row: SessionPlan) -> list[tuple[int, str]]:
    """Day of the month and status of each session that the plan started."""
    sessions = TradingSession.objects.filter(plan=row).order_by("plan_day")
    return [(session.plan_day.day, session.status) for session in sessions if session.plan_day is not None]


def test_a_session_on_each_trading_day_from_open_to_close(desk: Desk, market: Market) -> None:
    every_day = plan(desk)
    seen = []
    for moment in (
        "01 14:29", "01 14:30", "01 20:59", "01 21:00", "01 22:00", "02 14:30", "02 21:30",
        "03 15:00", "04 14:30", "04 17:59", "04 18:00", "05 14:31",
    ):  # fmt: skip
        look(market, moment)
        running = TradingSession.objects.filter(plan=every_day).exclude(status="stopped")
        seen.append(running.count())
    assert seen == [0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0, 1]
    assert started(every_day) == [(1, "stopped"), (2, "stopped"), (4, "stopped"), (5, "active")]
    last = TradingSession.objects.get(plan=every_day, status="active")
    assert (last.session_name, last.started_by, last.ends_at) == (
        "Every day 2010-03-05",
        desk.owner,
        at("05 21:00"),
    )
    every_day.refresh_from_db()
    assert (every_day.last_day, every_day.last_outcome) == (last.plan_day, "started")


def test_a_session_of_a_plan_trades_and_is_flat_before_the_close(desk: Desk, market: Market) -> None:
    plan(desk, stop_minutes_after_close=-10, config={"on_stop": "flatten"})
    market.advise("AAA")
    look(market, "01 14:30")
    desk.step()
    assert desk.held("AAA") > 0
    look(market, "01 20:50")
    desk.step()
    finish_stopping()
    assert desk.held("AAA") == 0
    assert not TradingSession.objects.exclude(status="stopped").exists()


def test_only_on_the_weekdays_that_it_names(desk: Desk, market: Market) -> None:
    row = plan(desk, weekdays=["TUESDAY", "FRIDAY"])
    for moment in ("01 15:00", "02 15:00", "02 21:00", "04 15:00", "05 15:00"):
        look(market, moment)
    assert started(row) == [(2, "stopped"), (5, "active")]


def test_whoever_was_down_at_the_open_starts_when_he_is_back(desk: Desk, market: Market) -> None:
    row = plan(desk)
    look(market, "01 17:00")
    look(market, "01 17:01")
    assert started(row) == [(1, "active")]


def test_what_somebody_stops_is_not_started_again_on_its_day(desk: Desk, market: Market) -> None:
    row = plan(desk)
    look(market, "01 14:30")
    end(desk)
    look(market, "01 15:00")
    disable_plan(plan_id=row.id, actor=desk.owner)
    enable_plan(plan_id=row.id, actor=desk.owner)
    look(market, "01 16:00")
    assert started(row) == [(1, "stopped")]
    look(market, "02 14:30")
    assert started(row) == [(1, "stopped"), (2, "active")]


def test_a_persons_session_in_the_way_skips_the_day_and_is_told_once(desk: Desk, market: Market) -> None:
    row = plan(desk)
    mine = start_trading_session(portfolio_id=desk.portfolio.id, config={}, actor=desk.owner)
    for moment in ("01 14:30", "01 14:31", "01 14:32"):
        look(market, moment)
    row.refresh_from_db()
    assert row.last_outcome == f"skipped: session {mine.id} runs already"
    assert Alert.objects.filter(kind="session.plan_skipped").count() == 1
    end(desk)
    look(market, "01 16:00")
    assert started(row) == []
    look(market, "02 14:30")
    assert started(row) == [(2, "active")]


def test_one_that_is_stopping_already_is_waited_for(desk: Desk, market: Market) -> None:
    row = plan(desk)
    mine = start_trading_session(portfolio_id=desk.portfolio.id, config={}, actor=desk.owner)
    stop_trading_session(session_id=mine.id, actor=desk.owner)
    market.as_of = at("01 14:30")
    market.tick()
    run_calendar()
    row.refresh_from_db()
    assert (started(row), row.last_outcome) == ([], f"waits for session {mine.id} to end")
    finish_stopping()
    run_calendar()
    assert started(row) == [(1, "active")] and not Alert.objects.exists()


def test_a_market_that_never_closes_hands_over_from_day_to_day(desk: Desk, market: Market) -> None:
    Exchange.objects.create(code="24/7", name="Always", timezone="UTC")
    for day in (1, 2, 3):
        opens = at("01 00:00") + timedelta(days=day - 1)
        CalendarDay.objects.create(
            exchange_id="24/7", day=opens.date(), opens_at=opens, closes_at=opens + timedelta(days=1)
        )
    row = plan(desk, exchange="24/7", stop_minutes_after_close=10)
    look(market, "01 12:00")
    look(market, "02 00:05")  # both days' hours are on: the first goes on, the second waits
    assert started(row) == [(1, "active")]
    look(market, "02 00:10")
    run_calendar()
    assert started(row) == [(1, "stopped"), (2, "active")]


def test_who_may_not_trade_any_more_has_no_session_started_for_him(desk: Desk, market: Market) -> None:
    row = plan(desk)
    bob = get_user_model().objects.create_user("bob")
    set_member(portfolio=desk.portfolio, user=bob, role="owner", actor=desk.owner)
    Member.objects.filter(user=desk.owner).update(role="viewer")
    for moment in ("01 14:30", "01 14:31"):
        look(market, moment)
    row.refresh_from_db()
    assert (row.is_enabled, started(row)) == (False, [])
    (alert,) = Alert.objects.all()
    assert "alice may not trade in this portfolio any more" in alert.message
    enable_plan(plan_id=row.id, actor=bob)
    look(market, "01 15:00")
    assert started(row) == [(1, "active")]
    assert TradingSession.objects.get(plan=row).started_by == bob


def test_a_config_that_does_not_hold_any_more_skips_the_day_with_the_reason(
    desk: Desk, market: Market
) -> None:
    set_tags(symbol="AAA", tags=["chips"], actor=None)
    row = plan(desk, config={"universe": {"tags": ["chips"]}})
    set_tags(symbol="AAA", tags=[], actor=None)
    look(market, "01 14:30")
    row.refresh_from_db()
    assert started(row) == [] and "config.universe.tags[0]: unknown: 'chips'" in row.last_outcome
    assert Alert.objects.get().kind == "session.plan_skipped"


def test_one_that_breaks_keeps_no_other_from_starting(
    desk: Desk, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Desk.open(market, owner="bob")
    end(other)
    broken, sound = plan(desk), plan(other)

    def start(*, portfolio_id: uuid.UUID, **how: Any) -> TradingSession:
        if portfolio_id == desk.portfolio.id:
            raise RuntimeError("the database is busy")
        return start_trading_session(portfolio_id=portfolio_id, **how)

    monkeypatch.setattr(plan_runs, "start_trading_session", start)
    look(market, "01 14:30")
    assert (started(broken), started(sound)) == ([], [(1, "active")])
    monkeypatch.undo()
    look(market, "01 14:31")
    assert started(broken) == [(1, "active")]  # not decided yet, so it was looked at again


def test_a_sweep_reads_the_names_of_all_configs_once(
    desk: Desk, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Desk.open(market, owner="bob")
    end(other)
    rows = [plan(each, config={"universe": {"symbols": ["AAA"]}}) for each in (desk, other)]
    read: list[bool] = []

    def names() -> Any:
        read.append(True)
        return known_names()

    for module in (sessions, plan_runs):
        monkeypatch.setattr(module, "known_names", names)
    look(market, "01 14:29")
    assert read == []
    look(market, "01 14:30")
    assert [started(row) for row in rows] == [[(1, "active")], [(1, "active")]]
    assert len(read) == 1


def test_several_sweeps_at_once_start_one_session(desk: Desk, market: Market) -> None:
    rows = [plan(desk, name=f"Plan {number}") for number in range(2)]
    market.as_of = at("01 14:30")
    market.tick()
    with racing(*[run_calendar] * 4) as racers:
        racers.race()
    assert racers.errors == []
    assert sum(len(started(row)) for row in rows) == 1
    assert Entry.objects.filter(kind="session.plan_skipped").count() == 1  # of the other plan


def test_a_deleted_plans_session_goes_on_to_its_end(desk: Desk, market: Market) -> None:
    row = plan(desk)
    look(market, "01 14:30")
    session = TradingSession.objects.get(plan=row)
    delete_plan(plan_id=row.id, actor=desk.owner)
    look(market, "01 20:59")
    session.refresh_from_db()
    assert (session.status, session.plan_id) == ("active", None)
    look(market, "01 21:00")
    session.refresh_from_db()
    assert session.status == "stopped"


def test_a_changed_plan_is_as_it_says_then_and_in_the_name_of_who_changed_it(
    desk: Desk, market: Market
) -> None:
    row = plan(desk)
    bob = get_user_model().objects.create_user("bob")
    set_member(portfolio=desk.portfolio, user=bob, role="trader", actor=desk.owner)
    content = PlanContent(name="Late", exchange="XTST", start_minutes_before_open=-60)
    update_plan(plan_id=row.id, content=content, actor=bob)
    look(market, "01 15:29")
    assert started(row) == []
    look(market, "01 15:30")
    session = TradingSession.objects.get(plan=row)
    assert (session.session_name, session.started_by) == ("Late 2010-03-01", bob)
    kinds = (
        Entry.objects.filter(kind__startswith="session.plan").order_by("seq").values_list("kind", flat=True)
    )
    assert list(kinds) == ["session.plan_created", "session.plan_changed"]


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ({"name": ""}, "name"),
        ({"exchange": "XTSX"}, "exchange"),
        ({"start_minutes_before_open": 721}, "start_minutes_before_open"),
        ({"stop_minutes_after_close": -721}, "stop_minutes_after_close"),
        ({"weekdays": ["MONDAY", "FUNDAY"]}, "weekdays[1]"),
        ({"config": {"on_stop": "sell"}}, "config.on_stop"),
        ({"config": {"ends_at": "2030-01-01T00:00:00Z"}}, "config.ends_at"),  # the plan says it
        ({"config": []}, "config"),
    ],
)
def test_bad_content_is_refused_with_its_path(desk: Desk, content: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        plan(desk, **content)
    assert [row["path"] for row in caught.value.errors or []] == [path]


def test_names_are_taken_once_and_plans_have_an_end(desk: Desk) -> None:
    plan(desk)
    with pytest.raises(Conflict, match="another plan") as caught:
        plan(desk)
    assert caught.value.code == "name_taken"
    for number in range(1, PLANS_MAX):
        plan(desk, name=f"Plan {number}")
    with pytest.raises(Conflict) as caught:
        plan(desk, name="One more")
    assert caught.value.code == "too_many_plans"
