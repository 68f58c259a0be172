"""What the feed keeps in memory, rebuilt from the tables whenever it starts or something failed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property

import numpy as np
from django.conf import settings
from django.db.models import OuterRef, Subquery

from market.core.calendar import ExchangeCalendar
from market.core.features import RING, FeatureState
from market.core.fields import FIELD_NAMES
from market.core.indicators import Floats
from market.core.quote_checks import QuoteChecker, Reference, Split
from market.core.quote_units import in_units_of
from market.core.recommendation import RecommendationClass
from market.core.snapshot import MarketSnapshot, RecommendationFrame
from market.core.ticks import QuoteTick, Tick
from market.models import Bar, CorporateAction, Instrument, Quote, RecommendationSource
from market.scores import hit_rates
from market.selectors import (
    CurrentAdvice,
    advice_at_bars,
    calendars,
    current_advice,
    market_now,
    market_revision,
    recent_bars,
)
from market.services.silence import Silence, last_moved

Fingerprint = tuple[int, tuple[tuple[object, ...], ...]]

Revisions = tuple[tuple[str, int], ...]
"""by source; moves with whatever is stored of it"""


@dataclass(eq=False)
class AdviceAtBars:
    """The advice that counted when the last two bars completed; kept until a bar completes or advice comes in.

    Advice about a completed bar may come in late, so a push of any source asks for a new look.
    """

    _rows: list[tuple[int, CurrentAdvice]] = field(default_factory=list)
    _key: tuple[object, ...] | None = None

    def read(
        self, *, instrument_ids: list[int], bar_at: Floats, revisions: Revisions
    ) -> list[tuple[int, CurrentAdvice]]:
        """`revisions` are those of before: what is pushed in between is read now, and once more the next time."""
        key = (bar_at.tobytes(), revisions)
        if key != self._key:
            self._rows = advice_at_bars(instrument_ids=instrument_ids, bar_at=bar_at)
            self._key = key
        return self._rows


@dataclass(eq=False)
class HitRates:
    """How often the advice of each source has come true; kept until an outcome is settled or the day changes."""

    _rates: Mapping[str, float] = field(default_factory=dict)
    _key: tuple[object, ...] | None = None

    def read(self, *, as_of: datetime, revisions: Revisions) -> Mapping[str, float]:
        key = (as_of.astimezone(UTC).date(), revisions)
        if key != self._key:
            self._rates = hit_rates(as_of=as_of)
            self._key = key
        return self._rates


@dataclass(eq=False)
class Units:
    """In whose units the history is: of all splits and dividends before `upcoming`, which are in order."""

    upcoming: list[datetime]
    passed: datetime | None = None

    def change_with(self, tick: Tick) -> bool:
        """Whether an ex date has come, or a bar completed late, of before one that had come."""
        late = self.passed is not None and any((bar.at or tick.at) < self.passed for bar in tick.bars)
        while self.upcoming and self.upcoming[0] <= tick.at:
            self.passed, late = self.upcoming.pop(0), True
        return late


@dataclass(frozen=True, eq=False)
class FeedState:
    """The active instruments in the order of a snapshot's columns, their calendars, the running features.

    `checker` knows what was believed last; `revision` is the market's when the state was read.
    """

    instruments: tuple[Instrument, ...]
    calendars: Mapping[str, ExchangeCalendar]
    features: FeatureState
    checker: QuoteChecker
    units: Units
    silence: Silence
    revision: int = 0
    advice: AdviceAtBars = field(default_factory=AdviceAtBars)
    hit_rates: HitRates = field(default_factory=HitRates)

    @cached_property
    def identities(self) -> Mapping[str, int]:
        """Symbol -> primary key."""
        return {instrument.symbol: instrument.pk for instrument in self.instruments}

    def take(self, tick: Tick, *, received_at: datetime) -> None:
        """What is stored already, into the features; the past of before an ex date is read again in its new units, and
        who has not been quoted since keeps his price in them."""
        at = tick.at.timestamp()
        self.features.quote(tick.quotes, at=at, received_at=received_at.timestamp())
        self.features.complete(tick.bars, at=at)
        if self.units.change_with(tick):
            load_history(self.features, self.identities, as_of=tick.at)
            self.features.revalue(self.last_quotes(at=tick.at))

    def last_quotes(self, *, at: datetime) -> list[QuoteTick]:
        """The newest quote of each symbol, with its own time and in the units of market time `at`."""
        calendar = {row.symbol: self.calendars.get(row.exchange_id) for row in self.instruments}
        return [
            in_units_of(quote, at=at, splits=splits, calendar=calendar[quote.symbol])
            for quote, splits in self.checker.last_quotes()
        ]

    def is_outdated(self) -> bool:
        """Whether the state must be rebuilt: another instrument, exchange, tick, or another past (see revision)."""
        return (self.revision, fingerprint(self.instruments)) != present_fingerprint()


def active_instruments() -> tuple[Instrument, ...]:
    return tuple(Instrument.objects.filter(is_active=True).order_by("symbol"))


def present_fingerprint() -> Fingerprint:
    return market_revision(), fingerprint(active_instruments())


def fingerprint(instruments: tuple[Instrument, ...]) -> tuple[tuple[object, ...], ...]:
    return tuple((row.pk, row.symbol, row.exchange_id, row.tick_size) for row in instruments)


def load_state() -> FeedState:
    """Instruments, calendars, the last bars and quotes, from PostgreSQL."""
    revision = market_revision()  # first: what changes in between is read now, and noticed the next time
    instruments = active_instruments()
    features = FeatureState([instrument.symbol for instrument in instruments])
    symbols = {instrument.pk: instrument.symbol for instrument in instruments}
    checker = _checker(symbols)
    now = market_now()
    load_history(features, {symbol: key for key, symbol in symbols.items()}, as_of=now)
    for quote in Quote.objects.filter(instrument__in=symbols):
        tick = QuoteTick(
            symbol=symbols[quote.instrument_id],
            bid=quote.bid,
            ask=quote.ask,
            last=quote.last,
            volume=quote.volume,
            at=quote.market_time,
        )
        checker.know_quote(tick, halted=quote.halted)
        features.quote([tick], at=quote.market_time.timestamp(), received_at=quote.received_at.timestamp())
    codes = sorted({instrument.exchange_id for instrument in instruments})
    state = FeedState(
        instruments=instruments,
        calendars=calendars(codes=codes),
        features=features,
        checker=checker,
        units=Units(_ex_dates(symbols, after=now)),
        silence=Silence(last_moved()),
        revision=revision,
    )
    if now is not None:
        features.revalue(state.last_quotes(at=now))
    return state


def load_history(features: FeatureState, identities: Mapping[str, int], *, as_of: datetime | None) -> None:
    symbols = {identity: symbol for symbol, identity in identities.items()}
    for identity, history in recent_bars(instrument_ids=list(symbols), count_max=RING, as_of=as_of).items():
        features.load_history(symbols[identity], history.bars, at=history.at)


def _ex_dates(symbols: Mapping[int, str], *, after: datetime | None) -> list[datetime]:
    rows = CorporateAction.objects.filter(instrument__in=symbols, withdrawn_at=None)
    if after is not None:
        rows = rows.filter(ex_at__gt=after)
    return sorted(set(rows.values_list("ex_at", flat=True)))


def _checker(symbols: Mapping[int, str]) -> QuoteChecker:
    """It knows the newest bars and the splits; the quotes are told to it where they are read."""
    splits: dict[str, list[Split]] = {}
    rows = CorporateAction.objects.filter(
        kind=CorporateAction.Kind.SPLIT, instrument__in=symbols, withdrawn_at=None
    )
    for row in rows.order_by("ex_at"):
        assert row.new_units is not None and row.old_units is not None
        splits.setdefault(symbols[row.instrument_id], []).append(
            Split(row.ex_at, row.new_units, row.old_units)
        )
    checker = QuoteChecker(
        symbols=symbols.values(),
        jump_percentage=Decimal(str(settings.FEED_JUMP_PERCENTAGE)),
        confirmations=int(settings.FEED_JUMP_CONFIRMATIONS),
        splits=splits,
        as_of=market_now(),
    )
    of_instrument = Bar.objects.filter(instrument=OuterRef("pk"), interval=Bar.Interval.DAY).order_by("-at")
    newest = Instrument.objects.filter(pk__in=symbols).annotate(
        bar_at=Subquery(of_instrument.values("at")[:1]), bar_close=Subquery(of_instrument.values("close")[:1])
    )
    for symbol, at, close in newest.exclude(bar_at=None).values_list("symbol", "bar_at", "bar_close"):
        checker.know_bar(symbol, Reference(at, close))
    return checker


def build_snapshot(state: FeedState, *, as_of: datetime) -> MarketSnapshot:
    """The state at a market time, with the advice known then. Version 0: publishing gives the real one."""
    features = state.features
    sessions = {code: calendar.session_of(as_of) for code, calendar in state.calendars.items()}
    days = [sessions.get(instrument.exchange_id) for instrument in state.instruments]
    return MarketSnapshot(
        version=0,
        as_of=as_of,
        symbols=features.symbols,
        instrument_ids=tuple(instrument.pk for instrument in state.instruments),
        fields=FIELD_NAMES,
        values=features.values(),
        completed=features.completed(),
        market_time=features.market_time,
        price_received_at=features.received_at,
        bid=features.bid,
        ask=features.ask,
        is_open=np.array(
            [
                day is not None
                and day.opens_at <= as_of <= day.closes_at
                and instrument.symbol not in state.checker.halted
                for instrument, day in zip(state.instruments, days, strict=True)
            ],
            dtype=np.bool_,
        ),
        opens_at=np.array([day.opens_at.timestamp() if day else np.nan for day in days]),
        closes_at=np.array([day.closes_at.timestamp() if day else np.nan for day in days]),
        recommendations=_frames(state, as_of=as_of),
        bar_at=features.bar_at,
    )


def _frames(state: FeedState, *, as_of: datetime) -> dict[str, RecommendationFrame]:
    """One frame for each source with advice on at least one instrument: now, or when its last two bars
    completed.
    """
    identities = [instrument.pk for instrument in state.instruments]
    column = {identity: position for position, identity in enumerate(identities)}
    current: dict[str, list[CurrentAdvice]] = {}
    at_bars: dict[str, list[tuple[int, CurrentAdvice]]] = {}
    revisions = tuple(RecommendationSource.objects.order_by("name").values_list("name", "revision"))
    rates = state.hit_rates.read(as_of=as_of, revisions=revisions)
    for row in current_advice(as_of=as_of):
        if row.instrument_id in column:
            current.setdefault(row.source, []).append(row)
    bar_at = state.features.bar_at
    for bar, row in state.advice.read(instrument_ids=identities, bar_at=bar_at, revisions=revisions):
        at_bars.setdefault(row.source, []).append((bar, row))
    return {
        source: _frame(
            column, current.get(source, []), at_bars.get(source, []), hit_rate=rates.get(source, np.nan)
        )
        for source in sorted(current.keys() | at_bars.keys())
    }


def _frame(
    column: Mapping[int, int],
    current: list[CurrentAdvice],
    at_bars: list[tuple[int, CurrentAdvice]],
    *,
    hit_rate: float,
) -> RecommendationFrame:
    codes, confidence, expected, as_of = (np.full(len(column), np.nan) for _ in range(4))
    completed, completed_confidence, completed_as_of = (np.full((2, len(column)), np.nan) for _ in range(3))
    ids: list[str | None] = [None] * len(column)
    for row in current:
        position = column[row.instrument_id]
        codes[position] = RecommendationClass[row.recommendation]
        confidence[position] = row.confidence
        if row.expected_return_percentage is not None:
            expected[position] = row.expected_return_percentage
        as_of[position] = row.as_of.timestamp()
        ids[position] = row.id
    for bar, row in at_bars:
        place = bar, column[row.instrument_id]
        completed[place] = RecommendationClass[row.recommendation]
        completed_confidence[place] = row.confidence
        completed_as_of[place] = row.as_of.timestamp()
    return RecommendationFrame(
        codes=codes,
        confidence=confidence,
        expected_return=expected,
        as_of=as_of,
        ids=tuple(ids),
        completed=completed,
        completed_confidence=completed_confidence,
        completed_as_of=completed_as_of,
        hit_rate=np.where(np.isfinite(codes), hit_rate, np.nan),
    )
