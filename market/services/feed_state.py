"""What the feed keeps in memory, rebuilt from the tables whenever it starts or something failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from market.core.calendar import ExchangeCalendar
from market.core.features import RING, FeatureState
from market.core.fields import FIELD_NAMES
from market.core.recommendation import RecommendationClass
from market.core.snapshot import MarketSnapshot, RecommendationFrame
from market.core.ticks import QuoteTick
from market.models import Instrument, Quote
from market.selectors import CurrentAdvice, calendars, current_advice, recent_bars


@dataclass(frozen=True, eq=False)
class FeedState:
    """The active instruments in the order of a snapshot's columns, their calendars, the running features."""

    instruments: tuple[Instrument, ...]
    calendars: Mapping[str, ExchangeCalendar]
    features: FeatureState

    def fingerprint(self) -> tuple[tuple[object, ...], ...]:
        return fingerprint(self.instruments)


def active_instruments() -> tuple[Instrument, ...]:
    return tuple(Instrument.objects.filter(is_active=True).order_by("symbol"))


def fingerprint(instruments: tuple[Instrument, ...]) -> tuple[tuple[object, ...], ...]:
    """Differs when the feed must rebuild its state: another instrument, exchange or tick."""
    return tuple((row.pk, row.symbol, row.exchange_id, row.tick_size) for row in instruments)


def load_state() -> FeedState:
    """Instruments, calendars, the last bars and quotes, from PostgreSQL."""
    instruments = active_instruments()
    features = FeatureState([instrument.symbol for instrument in instruments])
    symbols = {instrument.pk: instrument.symbol for instrument in instruments}
    for identity, history in recent_bars(instrument_ids=list(symbols), count_max=RING).items():
        features.load_history(symbols[identity], history.bars, last_at=float(history.at[-1]))
    for quote in Quote.objects.filter(instrument__in=symbols):
        tick = QuoteTick(
            symbol=symbols[quote.instrument_id],
            bid=quote.bid,
            ask=quote.ask,
            last=quote.last,
            volume=quote.volume,
        )
        features.quote([tick], at=quote.market_time.timestamp(), received_at=quote.received_at.timestamp())
    codes = sorted({instrument.exchange_id for instrument in instruments})
    return FeedState(instruments=instruments, calendars=calendars(codes=codes), features=features)


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
            [day is not None and day.opens_at <= as_of <= day.closes_at for day in days], dtype=np.bool_
        ),
        opens_at=np.array([day.opens_at.timestamp() if day else np.nan for day in days]),
        closes_at=np.array([day.closes_at.timestamp() if day else np.nan for day in days]),
        recommendations=_frames(state.instruments, current_advice(as_of=as_of)),
    )


def _frames(
    instruments: tuple[Instrument, ...], advice: list[CurrentAdvice]
) -> dict[str, RecommendationFrame]:
    """One frame for each source that has unexpired advice on at least one instrument."""
    column = {instrument.pk: position for position, instrument in enumerate(instruments)}
    by_source: dict[str, dict[int, CurrentAdvice]] = {}
    for row in advice:
        if row.instrument_id in column:
            by_source.setdefault(row.source, {})[column[row.instrument_id]] = row
    frames = {}
    for source, rows in by_source.items():
        codes, confidence, expected, as_of = (np.full(len(instruments), np.nan) for _ in range(4))
        ids: list[str | None] = [None] * len(instruments)
        for position, row in rows.items():
            codes[position] = RecommendationClass[row.recommendation]
            confidence[position] = row.confidence
            if row.expected_return_percentage is not None:
                expected[position] = row.expected_return_percentage
            as_of[position] = row.as_of.timestamp()
            ids[position] = row.id
        frames[source] = RecommendationFrame(
            codes=codes, confidence=confidence, expected_return=expected, as_of=as_of, ids=tuple(ids)
        )
    return frames
