"""The points of portfolios' equity curves: the only writer of `EquityPoint`.

A point is made by one statement that reads cash, what is held and what was paid in together, so that they belong to
each other without a lock. No point is made while a price of something held is not known, or counts in other units
than the books (a split that is not booked yet): a curve has a gap rather than a wrong step.
"""

import time
import uuid
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection

from foundation.clock import database_now
from foundation.loading import selected
from market.core.prices import LastPrices, last_prices, prices_of_any_age
from market.core.snapshot import MarketSnapshot, SnapshotFormatError
from market.selectors import market_now
from market.services import snapshots
from portfolios.models import EquityPoint
from portfolios.selectors import unsettled_splits

log = structlog.get_logger(__name__)

# Portfolios whose old day is thinned by one statement.
THIN_PORTFOLIOS = 1_000
THIN_SECONDS = 5.0

# Prices are of one market time. A split with an ex time since then may be in the books already, but not in them.
_WORTH = """
    WITH market AS (
        SELECT * FROM unnest(%(instruments)s::bigint[], %(prices)s::numeric[]) AS m (instrument_id, price)
    ), worth AS (
        SELECT p.id, p.cash, p.paid_in, coalesce(sum(held.cost), 0) AS cost,
               coalesce(sum(round(held.quantity * market.price, 8)), 0) AS exposure
        FROM portfolios_portfolio AS p
        LEFT JOIN portfolios_position AS held ON held.portfolio_id = p.id AND held.quantity > 0
        LEFT JOIN market ON market.instrument_id = held.instrument_id
        WHERE p.id = ANY(%(portfolios)s::uuid[]) AND NOT EXISTS (
            SELECT FROM market_corporateaction
            WHERE kind = 'split' AND ex_at > %(at)s
                AND ex_at <= (SELECT as_of FROM market_snapshots ORDER BY version DESC LIMIT 1))
        GROUP BY p.id
        HAVING bool_and(held.id IS NULL OR market.price IS NOT NULL)
            AND coalesce(greatest(sum(held.cost), sum(held.quantity * market.price)), 0) < 1000000000000
    )
"""
_READ = f"{_WORTH} SELECT cash, exposure, cost, paid_in FROM worth"  # noqa: S608 - the text above
_NOTE = f"""{_WORTH}
    INSERT INTO portfolios_equitypoint (portfolio_id, at, bucket, cash, exposure, cost, paid_in)
    SELECT id, %(at)s, %(bucket)s::timestamptz, cash, exposure, cost, paid_in FROM worth ORDER BY id
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - the text above


def note_points(portfolio_ids: Collection[uuid.UUID], prices: LastPrices, *, bucket: datetime | None) -> int:
    """A point of each portfolio that has none in this interval yet (None: beside the cadence); returns how many.

    One statement, whatever the number of portfolios. Those with an unsettled split are left out by the caller.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, {**_parameters(portfolio_ids, prices), "bucket": bucket})
        return cursor.rowcount


def _parameters(portfolio_ids: Collection[uuid.UUID], prices: LastPrices) -> dict[str, Any]:
    return {
        "portfolios": list(portfolio_ids),
        "at": prices.at,
        "instruments": prices.instrument_ids,
        "prices": prices.prices,
    }


def note_boundary(portfolio_id: uuid.UUID) -> None:
    """What the portfolio is worth as a session begins or ends. Its lock is held, so that nothing of the session, and
    nothing of another one, has happened yet.

    It is measured now or never, so its prices may be of any age: without this point what is sold after the last one
    would be told as realised, and as not realised yet besides.
    """
    prices = _prices_now(portfolio_id, prices_of_any_age)
    if prices is not None:
        note_points([portfolio_id], prices, bucket=None)


def note_flow(portfolio_id: uuid.UUID) -> None:
    """What it is worth with the money that has just come in or gone out, if it has a curve; under its lock.

    Else what is earned until the next point would be measured by the capital before it. So its prices may be of any
    age: a little of what is earned is counted on the wrong side of the money then, and not all of it.
    """
    if EquityPoint.objects.filter(portfolio_id=portfolio_id).exists():
        prices = _prices_now(portfolio_id, prices_of_any_age)
        if prices is not None:
            note_points([portfolio_id], prices, bucket=None)


def equity_now(portfolio_id: uuid.UUID) -> EquityPoint | None:
    """The portfolio now, as a point that is not stored; None where that is not known. No lock."""
    return _equity_at(portfolio_id, _prices_now(portfolio_id, _fresh))


def equity_at_last_prices(portfolio_id: uuid.UUID) -> EquityPoint | None:
    """The same at the last prices, of whatever age."""
    return _equity_at(portfolio_id, _prices_now(portfolio_id, prices_of_any_age))


def _equity_at(portfolio_id: uuid.UUID, prices: LastPrices | None) -> EquityPoint | None:
    if prices is None:
        return None
    rows = selected(_READ, _parameters([portfolio_id], prices))
    if not rows:
        return None
    cash, exposure, cost, paid_in = rows[0]
    return EquityPoint(
        portfolio_id=portfolio_id, at=prices.at, cash=cash, exposure=exposure, cost=cost, paid_in=paid_in
    )


def _fresh(snapshot: MarketSnapshot) -> LastPrices:
    return last_prices(snapshot, now_epoch=database_now().timestamp())


def _prices_now(
    portfolio_id: uuid.UUID, prices_of: Callable[[MarketSnapshot], LastPrices]
) -> LastPrices | None:
    """Neither money nor a session hangs on a snapshot that this code cannot read; a curve then has one point less."""
    try:
        snapshot = snapshots.current()
    except SnapshotFormatError:
        log.exception("equity_unknown", portfolio_id=str(portfolio_id))
        return None
    if snapshot is None or unsettled_splits([portfolio_id]):
        return None
    return prices_of(snapshot)


# Of a day: the last, the lowest and the highest, by what was earned until then.
_THIN = """
    WITH of_the_day AS (
        SELECT id, least(
            row_number() OVER (PARTITION BY portfolio_id ORDER BY at DESC, id DESC),
            row_number() OVER (PARTITION BY portfolio_id ORDER BY cash + exposure - paid_in, at, id),
            row_number() OVER (PARTITION BY portfolio_id ORDER BY cash + exposure - paid_in DESC, at, id)
        ) AS place
        FROM portfolios_equitypoint
        WHERE portfolio_id = ANY(%(portfolios)s::uuid[]) AND at >= %(first)s AND at < %(end)s AND bucket IS NOT NULL
    ), kept AS (
        UPDATE portfolios_equitypoint AS p SET bucket = NULL FROM of_the_day AS d WHERE d.id = p.id AND d.place = 1
    )
    DELETE FROM portfolios_equitypoint AS p USING of_the_day AS d WHERE d.id = p.id AND d.place > 1
"""


def thin_points(*, seconds: float = THIN_SECONDS) -> int:
    """Of days that are older than EQUITY_FULL_DAYS, in market time, keep a few points; returns how many went.

    The last point, the lowest and the highest, so that returns by day and what was lost from one day to another stay
    as they were. A kept one has no interval any more, and is not looked at again. What is not done within so many
    seconds is left for the next time.
    """
    now, gone, until = market_now(), 0, time.monotonic() + seconds
    if now is None:
        return 0
    limit = (now - timedelta(days=settings.EQUITY_FULL_DAYS)).astimezone(UTC)
    end_of_old = limit.replace(hour=0, minute=0, second=0, microsecond=0)
    while time.monotonic() < until:
        ((oldest,),) = selected("SELECT min(bucket) FROM portfolios_equitypoint")
        if oldest is None or oldest >= end_of_old:
            break
        first = oldest.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        owners = EquityPoint.objects.filter(bucket=oldest).order_by("portfolio_id")
        with connection.cursor() as cursor:
            parameters = {
                "portfolios": list(owners.values_list("portfolio_id", flat=True)[:THIN_PORTFOLIOS]),
                "first": first,
                "end": first + timedelta(days=1),
            }
            cursor.execute(_THIN, parameters)
            gone += cursor.rowcount
    return gone
