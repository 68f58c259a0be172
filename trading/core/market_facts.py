"""A market snapshot as the facts that rules ask for. Pure; shapes are float64[S] over the snapshot's symbols."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from market.core.indicators import Places
from market.core.prices import STALE_SECONDS
from market.core.snapshot import MarketSnapshot, RecommendationFrame
from rules.core.clock import time_facts
from rules.core.facts import MarketFacts, Vector


def preferred(snapshot: MarketSnapshot, sources: Sequence[str]) -> RecommendationFrame | None:
    """For each symbol the recommendation that counts: of the first source in `sources` that has one, or,
    when no preference is given, the newest in market time (then the surer one). None: there is none at all.

    Told in the same way for now and for each of the last two completed bars.
    """
    frames = [snapshot.recommendations[name] for name in (sources or sorted(snapshot.recommendations))
              if name in snapshot.recommendations]  # fmt: skip
    if not frames:
        return None

    def pick(choice: Places, *names: str) -> dict[str, Vector]:
        """Of each named array, float64[…, S], what the chosen frame has at each place."""
        return {name: np.take_along_axis(_stacked(frames, name), choice[None], axis=0)[0] for name in names}

    now = _chosen(_stacked(frames, "as_of"), _stacked(frames, "confidence"), by_order=bool(sources))
    at_bars = _chosen(
        _stacked(frames, "completed_as_of"), _stacked(frames, "completed_confidence"), by_order=bool(sources)
    )
    return RecommendationFrame(
        ids=tuple(frames[row].ids[column] for column, row in enumerate(now.tolist())),
        **pick(now, "codes", "confidence", "expected_return", "as_of", "hit_rate"),
        **pick(at_bars, "completed", "completed_confidence", "completed_as_of"),
    )


def _stacked(frames: Sequence[RecommendationFrame], name: str) -> Vector:
    """float64[K, …, S] of one array of K frames."""
    return np.stack([getattr(frame, name) for frame in frames])


def _chosen(as_of: Vector, confidence: Vector, *, by_order: bool) -> Places:
    """intp[…, S]: which of K frames counts, told from float64[K, …, S]; 0 where none has anything."""
    present = np.isfinite(as_of)
    if by_order:
        return np.argmax(present, axis=0)
    newest = np.where(present, as_of, -np.inf)
    newest_only = np.where(newest == newest.max(axis=0), np.nan_to_num(confidence, nan=-1.0), -2.0)
    return np.argmax(newest_only, axis=0)


def fresh_values(snapshot: MarketSnapshot, values: Vector, *, now_epoch: float) -> Vector:
    """float64[…, S] with NaN for the symbols whose quote was received more than STALE_SECONDS ago."""
    return np.where(now_epoch - snapshot.price_received_at <= STALE_SECONDS, values, np.nan)


def fresh_prices(snapshot: MarketSnapshot, *, now_epoch: float) -> dict[int, Decimal]:
    """By instrument, without those that are stale, unknown or not above 0: what protections may act on."""
    fresh = fresh_values(snapshot, snapshot.column("price"), now_epoch=now_epoch)
    prices = {}
    for place in np.flatnonzero(fresh > 0).tolist():  # NaN is not above 0
        price = snapshot.price(snapshot.symbols[place])
        if price is not None:
            prices[snapshot.instrument_ids[place]] = price
    return prices


def market_facts(
    snapshot: MarketSnapshot,
    recommendations: RecommendationFrame | None,
    *,
    timezones: Sequence[str],
    now_epoch: float,
) -> MarketFacts:
    """Market, recommendation and time fields of every symbol; `timezones` in the order of the symbols.

    `now_epoch` is database time: the market fields of a symbol whose quote was received more than
    STALE_SECONDS ago are unknown.
    """
    fresh = fresh_values(snapshot, snapshot.values, now_epoch=now_epoch)
    values = {name: fresh[row] for row, name in enumerate(snapshot.fields)}
    if recommendations is not None:
        values |= {
            "ai_recommendation": recommendations.codes,
            "confidence_score": recommendations.confidence,
            "expected_return_percentage": recommendations.expected_return,
            "recommendation_age_minutes": (snapshot.as_of.timestamp() - recommendations.as_of) / 60.0,
            "source_hit_rate": recommendations.hit_rate,
        }
    values |= time_facts(
        as_of=snapshot.as_of, timezones=timezones, opens_at=snapshot.opens_at, closes_at=snapshot.closes_at
    )
    completed = {
        name: (snapshot.completed[0, row], snapshot.completed[1, row])
        for row, name in enumerate(snapshot.fields)
    }
    if recommendations is not None:
        completed["ai_recommendation"] = (recommendations.completed[0], recommendations.completed[1])
    return MarketFacts(symbols=snapshot.symbols, values=values, completed=completed)
