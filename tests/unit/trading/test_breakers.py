"""Breakers at their boundaries: reached trips a loss, exceeded trips a rate or a silence, unknown trips nothing."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from foundation.core.canonical import canonical_json
from trading.core.breakers import (
    Breaker,
    LosingRun,
    Silence,
    beat_silence,
    daily_loss,
    drawdown,
    feed_silence,
    losing_streak,
    order_rate,
    rejection_rate,
    unreconciled,
)

NAN = float("nan")
DAY = date(2010, 3, 1)
NOON = datetime(2026, 1, 5, 12, 0, 30, 500, tzinfo=UTC)
TRADE = UUID(int=7)
TEN = Decimal(10)


@pytest.mark.parametrize(
    ("pnl", "limit", "trips"),
    [
        (-9.999999, TEN, False),
        (-10.0, TEN, True),  # reaching it is enough
        (-10.000001, TEN, True),
        (-9.999999999999998, TEN, True),  # 10 % in binary fractions
        (10.0, TEN, False),  # a profit
        (0.0, Decimal(0), False),  # nothing was lost; entries are refused all the same
        (-0.00000001, Decimal(0), True),
        (NAN, TEN, False),
        (-99.0, None, False),
    ],
)
def test_daily_loss(pnl: float, limit: Decimal | None, trips: bool) -> None:
    found = daily_loss(pnl_percentage=pnl, limit=limit, market_day=DAY)
    assert (found is not None) is trips
    if found is not None:
        assert (found.breaker, found.episode) == (Breaker.DAILY_LOSS, "2010-03-01")


@pytest.mark.parametrize(
    ("down", "limit", "trips"),
    [
        (49.999999, Decimal(50), False),
        (50.0, Decimal(50), True),
        (50.000001, Decimal(50), True),
        (0.0, Decimal(0), False),
        (NAN, Decimal(50), False),
        (99.0, None, False),
    ],
)
def test_drawdown(down: float, limit: Decimal | None, trips: bool) -> None:
    found = drawdown(drawdown_percentage=down, limit=limit, peak=Decimal("120000.50000000"))
    assert (found is not None) is trips
    if found is not None:
        assert (found.breaker, found.episode) == (Breaker.DRAWDOWN, "120000.5")


@pytest.mark.parametrize(
    ("losses", "limit", "trips"),
    [(2, Decimal(3), False), (3, Decimal(3), True), (4, Decimal(3), True), (99, None, False)],
)
def test_losing_streak(losses: int, limit: Decimal | None, trips: bool) -> None:
    found = losing_streak(run=LosingRun(losses, TRADE), limit=limit)
    assert (found is not None) is trips
    if found is not None:
        assert (found.breaker, found.episode) == (Breaker.LOSING_STREAK, str(TRADE))


def test_without_a_loss_there_is_no_streak_however_low_the_limit() -> None:
    assert losing_streak(run=LosingRun(), limit=Decimal(0)) is None


@pytest.mark.parametrize(("count", "trips"), [(19, False), (20, False), (21, True)])
def test_rejections_may_reach_their_limit_but_not_exceed_it(count: int, trips: bool) -> None:
    rejected = rejection_rate(rejected=count, limit=Decimal(20), now=NOON)
    assert (rejected is not None) is trips
    if rejected is not None:
        assert rejected.episode == "2026-01-05T12:00:00Z"  # a minute of the clock
    assert rejection_rate(rejected=count, limit=None, now=NOON) is None


@pytest.mark.parametrize(("count", "trips"), [(15, False), (16, True), (21, True)])
def test_messages_trip_when_they_have_used_up_what_is_left_to_entries(count: int, trips: bool) -> None:
    """Of 20 a fifth is kept for reductions: 16 are for entries."""
    sent = order_rate(messages=count, limit=Decimal(20), now=NOON)
    assert (sent is not None) is trips
    if sent is not None:
        assert sent.episode == "2026-01-05T12:00:00Z"
    assert order_rate(messages=count, limit=None, now=NOON) is None


def silent(seconds: float, *, since: float = 3600) -> Silence:
    """Last heard of so long ago; listened to for an hour."""
    return Silence(last=NOON - timedelta(seconds=seconds), since=NOON - timedelta(seconds=since), now=NOON)


@pytest.mark.parametrize(("seconds", "trips"), [(59.999, False), (60.0, False), (60.001, True)])
def test_silence_may_reach_its_limit_but_not_exceed_it(seconds: float, trips: bool) -> None:
    limit, silence = Decimal(60), silent(seconds)
    feed = feed_silence(silence=silence, version=12, any_open=True, limit=limit)
    beat = beat_silence(silence=silence, limit=limit)
    compared = unreconciled(silence=silence, limit=limit)
    assert [found is not None for found in (feed, beat, compared)] == [trips, trips, trips]
    if feed is not None and beat is not None and compared is not None:
        assert (compared.breaker.mode, compared.episode) == ("reduce_only", beat.episode)
        assert feed.episode == f"12 {beat.episode}" and beat.episode == "2026-01-05T11:59:29.999500Z"


def test_no_exchange_open_is_no_silence() -> None:
    assert feed_silence(silence=silent(999), version=12, any_open=False, limit=Decimal(60)) is None


def test_a_limit_on_silence_that_nobody_set_trips_nothing() -> None:
    assert feed_silence(silence=silent(999), version=12, any_open=True, limit=None) is None
    assert beat_silence(silence=silent(999), limit=None) is None


@pytest.mark.parametrize(("since", "trips"), [(60.0, False), (60.001, True)])
def test_silence_counts_from_when_somebody_listened(since: float, trips: bool) -> None:
    hours_ago = silent(9 * 3600, since=since)
    never = Silence(last=None, since=hours_ago.since, now=NOON)
    for silence in (hours_ago, never):
        assert (beat_silence(silence=silence, limit=Decimal(60)) is not None) is trips


def test_the_numbers_can_be_kept_and_the_reason_names_them() -> None:
    tripped = [
        daily_loss(pnl_percentage=-12.5, limit=TEN, market_day=DAY),
        drawdown(drawdown_percentage=51.0, limit=Decimal(50), peak=Decimal(100_000)),
        losing_streak(run=LosingRun(3, TRADE), limit=Decimal(3)),
        rejection_rate(rejected=21, limit=Decimal(20), now=NOON),
        order_rate(messages=601, limit=Decimal(600), now=NOON),
        feed_silence(silence=silent(61), version=2**62, any_open=True, limit=Decimal(60)),
        beat_silence(silence=silent(61), limit=Decimal(60)),
    ]
    for found, fact in zip(tripped, ("12.5", "51", "3", "21", "601", "61.0", "61.0"), strict=True):
        assert found is not None
        assert fact in found.reason and len(found.reason) <= 255
        assert '"limit":"' in canonical_json(found.numbers)
