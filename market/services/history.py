"""Taking in daily bars of the past: by hand, from a file, or to fill a gap. Stored bars are never rewritten."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, transaction

from foundation.clock import database_now
from foundation.errors import Conflict, InvalidInput
from journal.core.events import PLATFORM_STREAM, Event
from journal.services.journal import append
from market.core.adjustment import PRICE_PLACES, VOLUME_PLACES, DayBar
from market.core.calendar import TradingDay
from market.core.plausibility import Reason, bar_fault
from market.core.share_units import units_of
from market.models import CalendarDay, Instrument
from market.selectors import BAR_LATE, market_now
from market.services import revision
from market.services.load import replay_start
from market.services.simulated import simulation_start

ROWS_MAX = 5_000
"""in one transaction, so that none runs long"""
Numbers = tuple[Decimal, Decimal, Decimal, Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class RefusedBar:
    """`place`: the bar's number in what was given; `name`: the part of it that is wrong."""

    place: int
    name: str
    message: str
    is_conflict: bool = False


@dataclass(frozen=True, slots=True)
class ImportResult:
    stored: int
    same: int
    """stored before, with the same numbers"""
    refused: tuple[RefusedBar, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    place: int
    instrument_id: int
    session: TradingDay
    numbers: Numbers


@transaction.atomic
def import_bars(
    bars: Sequence[DayBar],
    *,
    actor: AbstractBaseUser | None,
    source: str,
    adjusted_through: date | None = None,
) -> ImportResult:
    """Store what is new and can be true, and say of each other bar why not. Repeating it changes nothing.

    At most ROWS_MAX. A bar belongs to a trading day of its instrument's exchange and is known from that day's close
    on. While a feed publishes, none is taken that completes after the market's present time: the future enters by the
    feed. A day that has a bar with other numbers keeps it. `source` says where they are from, for the journal.
    adjusted_through: splits and dividends until the end of that day are in the prices (left out: each bar is as it was
    traded).
    """
    assert len(bars) <= ROWS_MAX
    _one_at_a_time()
    wanted, refused = _placed(bars)
    known = _stored(wanted)
    fresh: dict[tuple[int, date], _Wanted] = {}
    same = 0
    for item in wanted:
        key = (item.instrument_id, item.session.day)
        there = known.get(item.place) or (fresh[key].numbers if key in fresh else None)
        if there is None:
            fresh[key] = item
        elif there == item.numbers:
            same += 1
        else:
            message = "has a bar with other numbers already, and bars are never rewritten"
            refused.append(RefusedBar(item.place, "day", message, is_conflict=True))
    basis = units_of(adjusted_through) if adjusted_through is not None else None
    stored = _insert(list(fresh.values()), basis)
    for key, item in list(fresh.items()):
        if (item.instrument_id, item.session.closes_at) not in stored:
            del fresh[key]
            message = "got a bar from the feed at this very moment; import it again to compare"
            refused.append(RefusedBar(item.place, "day", message, is_conflict=True))
    if fresh:
        revision.bump()
        _tell(fresh, bars, actor=actor, source=source)
    return ImportResult(len(fresh), same, tuple(sorted(refused, key=lambda row: row.place)))


@transaction.atomic
def import_all(
    bars: Sequence[DayBar], *, actor: AbstractBaseUser, source: str, adjusted_through: date | None = None
) -> ImportResult:
    """The same, all or nothing.

    Raises InvalidInput with a path for each error (`bars[3].high`), Conflict where stored bars say something else.
    """
    if not 0 < len(bars) <= ROWS_MAX:
        message = f"must have 1 to {ROWS_MAX} bars; send more in several requests"
        raise InvalidInput(f"bars: {message}.", errors=[{"path": "bars", "message": message}])
    result = import_bars(bars, actor=actor, source=source, adjusted_through=adjusted_through)
    if result.refused:
        errors = [
            {"path": f"bars[{row.place}].{row.name}", "message": row.message} for row in result.refused[:100]
        ]
        text = f"{errors[0]['path']}: {errors[0]['message']}. Nothing was stored."
        if all(row.is_conflict for row in result.refused):
            raise Conflict(text, errors=errors)
        raise InvalidInput(text, errors=errors)
    return result


def _one_at_a_time() -> None:
    """So that what two imports have in common is compared, not met as an error of the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('import of bars', 0))")


def _placed(bars: Sequence[DayBar]) -> tuple[list[_Wanted], list[RefusedBar]]:
    """Those that can be true, each at its instrument and session, and what is wrong with the others."""
    symbols = {bar.symbol for bar in bars if bar.symbol.isprintable()}  # no NUL, which PostgreSQL has not
    instruments = {row.symbol: row for row in Instrument.objects.filter(symbol__in=symbols)}
    sessions = _sessions(bars, {row.exchange_id for row in instruments.values()})
    until = _horizon()
    wanted: list[_Wanted] = []
    refused: list[RefusedBar] = []
    for place, bar in enumerate(bars):
        instrument = instruments.get(bar.symbol)
        if instrument is None:
            refused.append(RefusedBar(place, "symbol", f"{bar.symbol[:40]!r} is not known here"))
            continue
        reason, detail = bar_fault(bar)
        if reason is not None:
            # The words begin with the part that is wrong, unless its parts contradict each other.
            part = "high" if reason == Reason.INCOHERENT_BAR else detail.split(" ", 1)[0]
            refused.append(RefusedBar(place, part, detail))
            continue
        session = sessions.get((instrument.exchange_id, bar.day))
        if session is None:
            message = f"{bar.day} is no known trading day of {instrument.exchange_id} (see load_calendar)"
            refused.append(RefusedBar(place, "day", message))
        elif session.closes_at > until:
            message = f"the market's time is {until.isoformat()}; what comes later enters by the feed"
            refused.append(RefusedBar(place, "day", message))
        else:
            wanted.append(_Wanted(place, instrument.pk, session, _numbers(bar)))
    return wanted, refused


def _horizon() -> datetime:
    """What completes later is not taken: market time, or before the first snapshot when the feed will begin."""
    now = market_now()
    if now is not None:
        return now
    if settings.MARKET_FEED == "replay":
        return datetime.combine(replay_start(), time.min, tzinfo=UTC)
    if settings.MARKET_FEED == "simulated":
        return datetime.combine(simulation_start(), time.min, tzinfo=UTC)
    return database_now()


def _numbers(bar: DayBar) -> Numbers:
    prices = (bar.open, bar.high, bar.low, bar.close)
    o, h, low, c = (price.quantize(PRICE_PLACES) for price in prices)
    return o, h, low, c, bar.volume.quantize(VOLUME_PLACES)


def _sessions(bars: Sequence[DayBar], exchanges: set[str]) -> Mapping[tuple[str, date], TradingDay]:
    days = CalendarDay.objects.filter(exchange__in=exchanges, day__in={bar.day for bar in bars})
    return {
        (code, day): TradingDay(day=day, opens_at=opens_at, closes_at=closes_at)
        for code, day, opens_at, closes_at in days.values_list("exchange_id", "day", "opens_at", "closes_at")
    }


def _stored(wanted: Sequence[_Wanted]) -> dict[int, Numbers]:
    """By place: the numbers of the bar that the day has already, whenever exactly it completed."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT wanted.place, bar.open, bar.high, bar.low, bar.close, bar.volume
            FROM unnest(%s::int[], %s::bigint[], %s::timestamptz[], %s::timestamptz[])
                 AS wanted (place, instrument_id, opens_at, closes_at)
            JOIN market_bar AS bar ON bar.instrument_id = wanted.instrument_id AND bar.interval = '1d'
                AND bar.at > wanted.opens_at AND bar.at <= wanted.closes_at + %s::interval
            """,
            [
                [item.place for item in wanted],
                [item.instrument_id for item in wanted],
                [item.session.opens_at for item in wanted],
                [item.session.closes_at for item in wanted],
                BAR_LATE,
            ],
        )
        return {row[0]: row[1:] for row in cursor.fetchall()}


def _insert(rows: Sequence[_Wanted], basis: datetime | None) -> set[tuple[int, datetime]]:
    """Returns (instrument, time) of what was stored: the feed may have been quicker by a moment."""
    if not rows:
        return set()
    columns = list(zip(*(item.numbers for item in rows), strict=True))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO market_bar (instrument_id, interval, at, open, high, low, close, volume, basis)
            SELECT instrument_id, '1d', at, open, high, low, close, volume, %s
            FROM unnest(%s::bigint[], %s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[],
                        %s::numeric[], %s::numeric[])
                 AS fresh (instrument_id, at, open, high, low, close, volume)
            ON CONFLICT (instrument_id, interval, at) DO NOTHING
            RETURNING instrument_id, at
            """,
            [
                basis,
                [item.instrument_id for item in rows],
                [item.session.closes_at for item in rows],
                *(list(column) for column in columns),
            ],
        )
        return set(cursor.fetchall())


def _tell(
    fresh: Mapping[tuple[int, date], _Wanted],
    bars: Sequence[DayBar],
    *,
    actor: AbstractBaseUser | None,
    source: str,
) -> None:
    days = [day for _, day in fresh]
    symbols = sorted({bars[item.place].symbol for item in fresh.values()})
    payload = {
        "source": source, "actor": actor.get_username() if actor else "system", "bars": len(fresh),
        "symbols": symbols[:20], "symbol_count": len(symbols), "first_day": min(days), "last_day": max(days),
    }  # fmt: skip
    append([Event(PLATFORM_STREAM, "market.bars_imported", database_now(), payload)])
