"""A plan that could not start on a day until its hours were over: the day is skipped, and somebody is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from journal.models import Alert
from market.models import CalendarDay
from sessions.models import SessionPlan, TradingSession
from sessions.services import plan_runs
from sessions.services.calendar import run_calendar
from sessions.services.plans import PlanContent, create_plan, disable_plan, enable_plan, update_plan
from sessions.services.sessions import start_trading_session, stop_trading_session
from tests.harness.trading import Desk, Market
from trading.services.stopping import finish_stopping

pytestmark = pytest.mark.integration
HOURS = PlanContent(name="Every day", exchange="XTST")


def at(text: str) -> datetime:
    """`01 14:30` is the first of March 2010, in UTC."""
    return datetime.strptime(f"2010-03-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def look(market: Market, text: str) -> None:
    """Market time goes on to this moment, and the sweep looks."""
    market.as_of = at(text) - timedelta(minutes=1)
    market.tick()
    run_calendar()


@pytest.fixture
def desk(market: Market) -> Desk:
    """Alice's portfolio before the open of Monday, with a session that has begun to stop and has not ended."""
    for day in ("01", "02"):
        CalendarDay.objects.create(
            exchange_id="XTST", day=at(f"{day} 00:00").date(), opens_at=at(f"{day} 14:30"),
            closes_at=at(f"{day} 21:00"),
        )  # fmt: skip
    look(market, "01 00:00")
    desk = Desk.open(market)
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    return desk


@pytest.fixture
def plan(desk: Desk) -> SessionPlan:
    return create_plan(portfolio_id=desk.portfolio.id, content=HOURS, actor=desk.owner)


def told() -> list[str]:
    return list(
        Alert.objects.filter(kind="session.plan_skipped").order_by("id").values_list("message", flat=True)
    )


def days_started(plan: SessionPlan) -> list[Any]:
    rows = TradingSession.objects.filter(plan=plan).order_by("plan_day")
    return [row.plan_day.day for row in rows if row.plan_day is not None]


def test_a_day_through_which_it_waited_is_told_once_and_the_next_one_starts(
    desk: Desk, plan: SessionPlan, market: Market
) -> None:
    for moment in ("01 14:30", "01 20:59"):
        look(market, moment)
    plan.refresh_from_db()
    assert (plan.last_day, plan.undecided_day, told()) == (None, at("01 00:00").date(), [])
    for moment in ("01 21:00", "01 21:01"):
        look(market, moment)
    plan.refresh_from_db()
    assert (plan.last_day, plan.undecided_day) == (at("01 00:00").date(), None)
    (message,) = told()
    assert message == (
        "The plan Every day started no session on 2010-03-01: its hours ended before it could start: "
        f"waits for session {desk.session.id} to end"
    )
    finish_stopping()
    look(market, "02 14:30")
    assert days_started(plan) == [2] and len(told()) == 1


def test_what_ends_in_time_is_no_reason_to_tell_anybody(
    desk: Desk, plan: SessionPlan, market: Market
) -> None:
    look(market, "01 14:30")
    finish_stopping()
    look(market, "01 15:00")
    look(market, "01 21:00")
    plan.refresh_from_db()
    assert (days_started(plan), plan.undecided_day, told()) == ([1], None, [])


def test_a_start_that_breaks_each_time_is_told_too(
    desk: Desk, plan: SessionPlan, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish_stopping()

    def start(**given: Any) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(plan_runs, "start_trading_session", start)
        look(market, "01 14:30")
    look(market, "01 21:00")
    (message,) = told()
    assert "a fault of the platform keeps it from starting" in message


def test_who_changed_or_disabled_it_meanwhile_misses_nothing(
    desk: Desk, plan: SessionPlan, market: Market
) -> None:
    look(market, "01 14:30")
    disable_plan(plan_id=plan.pk, actor=desk.owner)
    look(market, "01 21:00")
    enable_plan(plan_id=plan.pk, actor=desk.owner)
    look(market, "01 22:00")
    assert told() == []
    look(market, "02 14:30")
    later = PlanContent(name="Every day", exchange="XTST", start_minutes_before_open=-60)
    update_plan(plan_id=plan.pk, content=later, actor=desk.owner)
    finish_stopping()
    look(market, "02 15:30")
    assert (days_started(plan), told()) == ([2], [])


def test_a_session_that_a_person_started_is_still_told_at_once(
    desk: Desk, plan: SessionPlan, market: Market
) -> None:
    finish_stopping()
    mine = start_trading_session(portfolio_id=desk.portfolio.id, config={}, actor=desk.owner)
    look(market, "01 14:30")
    assert told() == [f"The plan Every day started no session on 2010-03-01: session {mine.id} runs already"]
