"""The built-in recommender at work: advice on the newest completed bar of every active instrument."""

from datetime import UTC, datetime

import numpy as np

from market.core import recommender
from market.core.indicators import Floats
from market.core.recommendation import RecommendationItem
from market.models import Bar, Instrument, Recommendation, RecommendationSource
from market.selectors import BarHistory, close_after, recent_bars
from market.services.recommendations import consult

SOURCE = "baseline"
DESCRIPTION = (
    "Built in: how often did the price rise within five sessions after days like today? "
    "Empirical frequencies with shrinkage; see market/core/recommender.py."
)
VALIDITY_SESSIONS = recommender.HORIZON
_CLOSE = 3


def ensure_source() -> None:
    """The built-in source exists from the start, so that a session can prefer it before it has spoken."""
    RecommendationSource.objects.get_or_create(name=SOURCE, defaults={"description": DESCRIPTION})


class Baseline:
    """The model behind the boundary of all that advise."""

    name = SOURCE

    def advice(self, now: datetime) -> list[RecommendationItem]:
        """Where the newest completed bar has no baseline advice yet.

        An instrument whose advice would already have expired (its bars have ended) gets none.
        """
        newest = _newest_bars()
        wanted = _without_advice(newest)
        if not wanted:
            return []
        histories = recent_bars(
            instrument_ids=[instrument.pk for instrument, _ in newest],
            count_max=recommender.HISTORY_BARS_MAX,
        )
        identities = list(histories)
        close, at = _aligned([histories[identity] for identity in identities])
        as_of = max(bar_at for _, bar_at in newest)
        advice = {
            identities[advised.column]: advised
            for advised in recommender.recommend(close=close, at=at, as_of=as_of.timestamp())
        }
        items = []
        for instrument, bar_at in wanted:
            advised = advice.get(instrument.pk)
            expires_at = close_after(
                exchange=instrument.exchange_id, moment=bar_at, sessions=VALIDITY_SESSIONS
            )
            if advised is not None and expires_at > now:
                items.append(_item(instrument, bar_at, expires_at, advised))
        return items


def recommend_latest() -> int:
    """Recommend on the newest completed bars; returns how many were stored.

    Idempotent (the external id is `SYMBOL:date` of the bar), so any number of wake-ups and sweeps is harmless.
    """
    return consult(Baseline(), description=DESCRIPTION)


def _item(
    instrument: Instrument, bar_at: datetime, expires_at: datetime, advised: recommender.Advice
) -> RecommendationItem:
    return RecommendationItem(
        external_id=_external_id(instrument, bar_at),
        symbol=instrument.symbol,
        recommendation=advised.recommendation.name,
        confidence=advised.confidence,
        expected_return_percentage=advised.expected_return_percentage,
        as_of=bar_at,
        expires_at=expires_at,
        model_version=recommender.MODEL_VERSION,
    )


def _external_id(instrument: Instrument, bar_at: datetime) -> str:
    return f"{instrument.symbol}:{bar_at.astimezone(UTC).date().isoformat()}"


def _newest_bars() -> list[tuple[Instrument, datetime]]:
    """Active instruments that have a bar, each with the time of its newest."""
    active = {instrument.pk: instrument for instrument in Instrument.objects.filter(is_active=True)}
    times = (
        Bar.objects.filter(instrument__in=active, interval=Bar.Interval.DAY)
        .order_by("instrument_id", "-at")
        .distinct("instrument_id")
        .values_list("instrument_id", "at")
    )
    return [(active[identity], at) for identity, at in times]


def _without_advice(newest: list[tuple[Instrument, datetime]]) -> list[tuple[Instrument, datetime]]:
    known = set(
        Recommendation.objects.filter(
            source=SOURCE, external_id__in=[_external_id(instrument, at) for instrument, at in newest]
        ).values_list("external_id", flat=True)
    )
    return [(instrument, at) for instrument, at in newest if _external_id(instrument, at) not in known]


def _aligned(histories: list[BarHistory]) -> tuple[Floats, Floats]:
    """Closes and times as float64[T, S], each column aligned at its newest bar, NaN above."""
    length = max(len(history.at) for history in histories)
    close = np.full((length, len(histories)), np.nan)
    at = np.full((length, len(histories)), np.nan)
    for column, history in enumerate(histories):
        close[length - len(history.at) :, column] = history.bars[:, _CLOSE]
        at[length - len(history.at) :, column] = history.at
    return close, at
