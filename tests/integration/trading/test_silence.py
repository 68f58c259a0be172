"""The dead-man's switch: without market data, or without beat, entries stop."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django_celery_beat.models import PeriodicTask

from foundation import heartbeats
from foundation.clock import database_now
from foundation.errors import Forbidden
from foundation.models import Heartbeat
from foundation.tasks import show_beat_alive
from market.models import CalendarDay, Snapshot
from portfolios.selectors import current_limit_sets, limit_values
from portfolios.services.limits import set_limits
from sessions.models import TradingSession
from tests.harness.trading import Desk, Market
from tests.integration.trading.steps import risk_officer
from trading import tasks
from trading.models import Halt
from trading.services import watching
from trading.services.draining import drain_all
from trading.services.emergency_stop import release
from trading.services.watching import PlatformWatch

pytestmark = pytest.mark.integration
HOUR = 3600.0


def ago(seconds: float) -> datetime:
    return database_now() - timedelta(seconds=seconds)


def quiet(*, feed: float = 0.0, beat: float = 0.0) -> None:
    """The last signs of feed and beat are so many seconds old."""
    Snapshot.objects.update(published_at=ago(feed))
    heartbeats.beat(component="beat")
    Heartbeat.objects.filter(component="beat").update(at=ago(beat))


@pytest.fixture
def watch(desk: Desk) -> PlatformWatch:
    """Of a worker that has been there for an hour, with an open market and Alice's running session."""
    made = PlatformWatch()
    made.since = ago(HOUR)
    quiet()
    return made


def armed() -> list[tuple[str, str, str]]:
    rows = Halt.objects.order_by("armed_at").values_list("armed_by_breaker", "scope", "mode")
    return [tuple(row) for row in rows]  # type: ignore[misc]


@pytest.mark.parametrize(("feed", "beat"), [(0, 0), (58, 58)])
def test_within_the_limit_nothing_happens(watch: PlatformWatch, feed: float, beat: float) -> None:
    quiet(feed=feed, beat=beat)
    assert watch.look() == []


@pytest.mark.parametrize(
    ("silence", "breaker"), [({"feed": 61}, "feed_silence"), ({"beat": 61}, "beat_silence")]
)
def test_silence_beyond_the_limit_stops_entries_everywhere_and_lets_exits_out(
    watch: PlatformWatch, desk: Desk, market: Market, silence: dict[str, float], breaker: str
) -> None:
    market.advise("AAA")
    desk.step()
    quiet(**silence)
    (halt,) = watch.look()
    assert armed() == [(breaker, "platform", "reduce_only")]
    assert 61 <= float(halt.numbers["silent_seconds"]) < 90 and halt.numbers["limit"] == "60"
    assert watch.look() == []  # however often one looks
    drain_all()
    market.advise("BBB")
    desk.step(AAA=90.0)
    assert desk.held("BBB") == 0 and desk.held("AAA") == 0
    assert {row.code for row in desk.decisions() if row.outcome == "refused"} == {"HALTED"}


def test_a_person_of_the_staff_may_release_it_before_its_end(watch: PlatformWatch, desk: Desk) -> None:
    quiet(beat=61)
    (halt,) = watch.look()
    with pytest.raises(Forbidden, match="staff"):
        release(halt_id=halt.id, actor=risk_officer(desk))
    release(halt_id=halt.id, actor=get_user_model().objects.create(username="steffi", is_staff=True))
    assert watch.look() == []


def test_released_in_the_same_silence_it_does_not_trip_again_but_in_the_next(watch: PlatformWatch) -> None:
    steffi = get_user_model().objects.create(username="steffi", is_staff=True)
    quiet(feed=61)
    (first,) = watch.look()
    release(halt_id=first.id, actor=steffi)
    assert watch.look() == []
    quiet(feed=62)  # there was a sign, and silence again
    (second,) = watch.look()
    assert first.episode != second.episode


def test_after_a_restart_of_everything_the_halt_is_in_force_and_no_second_one_is_armed(
    watch: PlatformWatch,
) -> None:
    quiet(beat=HOUR)
    watch.since = ago(2 * HOUR)
    watch.look()
    drain_all()
    again = PlatformWatch()
    again.since = ago(61)
    assert again.look() == []  # the same silence goes on
    row = Halt.objects.get()
    assert row.released_at is None and row.drained_at is not None


def test_a_fresh_start_after_a_night_gives_everybody_the_limits_time(desk: Desk) -> None:
    quiet(feed=9 * HOUR, beat=9 * HOUR)
    fresh = PlatformWatch()
    assert fresh.look() == [] and fresh.since is not None
    fresh.since = ago(58)
    assert fresh.look() == []
    fresh.since = ago(61)
    assert {halt.armed_by_breaker for halt in fresh.look()} == {"feed_silence", "beat_silence"}


def test_a_beat_that_was_never_heard_counts_from_the_first_look(desk: Desk) -> None:
    assert not Heartbeat.objects.filter(component="beat").exists()
    fresh = PlatformWatch()
    assert fresh.look() == []
    fresh.since = ago(61)
    assert [halt.episode for halt in fresh.look()] == ["never"]


def test_without_a_running_session_nothing_trips(watch: PlatformWatch) -> None:
    TradingSession.objects.update(status="stopped", end_time=database_now())
    quiet(feed=HOUR / 2, beat=HOUR / 2)
    assert watch.look() == []


def test_a_closed_market_is_not_silent(watch: PlatformWatch, market: Market) -> None:
    market.is_open = False
    market.tick()
    quiet(feed=HOUR / 2)
    assert watch.look() == []


@pytest.mark.parametrize(("minutes", "trips"), [(31, False), (29, True)])
def test_a_feed_that_died_at_night_is_silent_once_the_exchange_has_opened(
    watch: PlatformWatch, market: Market, minutes: int, trips: bool
) -> None:
    """Silent for half an hour since a snapshot of a closed market, from which the opening was so many minutes away."""
    market.is_open = False
    market.tick()
    opens_at = market.as_of + timedelta(minutes=minutes)
    CalendarDay.objects.create(
        exchange_id="XTST", day=opens_at.date(), opens_at=opens_at, closes_at=opens_at + timedelta(hours=6)
    )
    quiet(feed=HOUR / 2)
    assert [halt.armed_by_breaker for halt in watch.look()] == (["feed_silence"] if trips else [])


def test_a_market_that_never_was_is_not_silent(watch: PlatformWatch) -> None:
    Snapshot.objects.all().delete()
    assert watch.look() == []


def test_a_feed_whose_data_has_ended_is_not_silent_while_it_says_so(watch: PlatformWatch) -> None:
    quiet(feed=HOUR / 2)
    heartbeats.beat(component="feed.finished")
    assert watch.look() == []
    Heartbeat.objects.filter(component="feed.finished").update(at=ago(61))  # now it is gone itself
    assert [halt.armed_by_breaker for halt in watch.look()] == ["feed_silence"]


def test_a_feed_that_only_lives_is_silent(watch: PlatformWatch) -> None:
    quiet(feed=61)
    heartbeats.beat(component="feed")
    assert [halt.armed_by_breaker for halt in watch.look()] == ["feed_silence"]


def test_a_limit_that_is_taken_away_trips_nothing(watch: PlatformWatch) -> None:
    values = limit_values(current_limit_sets([("platform", None)])["platform", None])
    silences = dict.fromkeys(("max_feed_silence_seconds", "max_beat_silence_seconds"))
    set_limits(scope="platform", values=values | silences, actor=None)
    quiet(feed=HOUR / 2, beat=HOUR / 2)
    assert watch.look() == []


def test_a_portfolio_that_bears_less_silence_is_stopped_earlier(
    watch: PlatformWatch, desk: Desk, market: Market
) -> None:
    other = Desk.open(market, owner="dora")
    for scope, key in (("portfolio", desk.portfolio.id), ("portfolio", other.portfolio.id)):
        seconds = Decimal(20) if key == desk.portfolio.id else Decimal(600)  # more than the platform bears
        set_limits(scope=scope, scope_id=key, values={"max_beat_silence_seconds": seconds}, actor=desk.owner)
    quiet(beat=19)
    assert watch.look() == []
    quiet(beat=21)
    (halt,) = watch.look()
    assert (halt.scope, halt.scope_id) == ("portfolio", str(desk.portfolio.id))
    quiet(beat=61)
    assert [halt.scope for halt in watch.look()] == ["platform"]


def test_every_evaluation_and_execution_looks_first_though_not_more_than_once_a_second(
    desk: Desk, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep comes from beat itself, and would not notice its end."""
    clock = [0.0]
    watch = PlatformWatch(monotonic=lambda: clock[0])
    monkeypatch.setattr(watching, "WATCH", watch)
    looks: list[None] = []
    monkeypatch.setattr(watch, "look", lambda: looks.append(None))
    for seconds, count in ((1.0, 1), (1.9, 1), (2.0, 2)):
        clock[0] = seconds
        tasks.evaluate_due()
        tasks.execute_due()
        assert len(looks) == count


def test_the_same_task_that_finds_beat_dead_makes_no_entry_any_more(
    desk: Desk, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = PlatformWatch()
    watch.since = ago(HOUR)
    monkeypatch.setattr(watching, "WATCH", watch)
    market.advise("AAA")
    market.tick()
    quiet(beat=61)
    tasks.evaluate_due()
    (decision,) = desk.decisions()
    assert (decision.outcome, decision.code) == ("refused", "HALTED")


def test_who_cannot_watch_still_lets_exits_out(
    desk: Desk, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("the database is busy")

    monkeypatch.setattr(watching, "signs_of_life", broken)
    monkeypatch.setattr(watching, "WATCH", PlatformWatch())
    market.advise("AAA")
    market.tick()
    tasks.evaluate_due()
    tasks.execute_due()
    tasks.watch_breakers()
    assert desk.held("AAA") > 0


def test_beats_sign_of_life_is_a_task_that_beat_sends(desk: Desk) -> None:
    row = PeriodicTask.objects.get(task="foundation.tasks.show_beat_alive")
    assert (row.enabled, row.interval.every, row.interval.period, row.queue) == (
        True,
        5,
        "seconds",
        "execution",
    )
    show_beat_alive()
    assert Heartbeat.objects.get(component="beat").at > ago(10)
