"""The built-in recommender at work: advice on the newest completed bar of every active instrument."""

from datetime import UTC, datetime

import structlog

from market.core import model, recommender
from market.core.recommendation import RecommendationItem
from market.models import Bar, Instrument, Recommendation, RecommendationSource, RecommenderModel
from market.selectors import close_after, recent_bars
from market.services.recommendations import consult
from market.services.training import aligned_bars, model_in_use

log = structlog.get_logger(__name__)

SOURCE = "baseline"
DESCRIPTION = (
    "Built in: will the price be higher in five sessions? A calibrated logistic regression on indicators, or "
    "frequencies until it is trained; see docs/recommendations.md."
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
        advice, version = _advised(
            [instrument.pk for instrument, _ in newest], max(at for _, at in newest), now
        )
        items = []
        for instrument, bar_at in wanted:
            advised = advice.get(instrument.pk)
            expires_at = close_after(
                exchange=instrument.exchange_id, moment=bar_at, sessions=VALIDITY_SESSIONS
            )
            if advised is not None and expires_at > now:
                items.append(_item(instrument, bar_at, expires_at, advised, version))
        return items


def recommend_latest() -> int:
    """Recommend on the newest completed bars; returns how many were stored.

    Idempotent (the external id is `SYMBOL:date` of the bar), so any number of wake-ups and sweeps is harmless.
    """
    return consult(Baseline(), description=DESCRIPTION)


def _advised(
    identities: list[int], as_of: datetime, now: datetime
) -> tuple[dict[int, recommender.Advice], str]:
    """By instrument, with the version of what advises: the model in use, else the frequencies."""
    learned = model_in_use(now)
    parameters = _parameters(learned) if learned is not None else None
    count = recommender.HISTORY_BARS_MAX if parameters is None else model.HISTORY_NEEDED
    histories = recent_bars(instrument_ids=identities, count_max=count)
    bars, at = aligned_bars(list(histories.values()))
    if learned is None or parameters is None:
        version = recommender.MODEL_VERSION
        advice = recommender.recommend(close=bars[_CLOSE], at=at, as_of=as_of.timestamp())
    else:
        version = learned.version
        advice = model.advise(parameters, bars=bars, at=at, as_of=as_of.timestamp())
    order = list(histories)
    return {order[advised.column]: advised for advised in advice}, version


def _parameters(learned: RecommenderModel) -> model.Parameters | None:
    """None for a model of another version of this code, which goes on with the frequencies until it has trained."""
    try:
        return model.Parameters.from_json(learned.parameters or {})
    except (ValueError, TypeError) as error:
        log.warning("model_not_usable", version=learned.version, error=str(error))
        return None


def _item(
    instrument: Instrument, bar_at: datetime, expires_at: datetime, advised: recommender.Advice, version: str
) -> RecommendationItem:
    return RecommendationItem(
        external_id=_external_id(instrument, bar_at),
        symbol=instrument.symbol,
        recommendation=advised.recommendation.name,
        confidence=advised.confidence,
        expected_return_percentage=advised.expected_return_percentage,
        as_of=bar_at,
        expires_at=expires_at,
        model_version=version,
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
