"""Tables of the market room: what is known (`tables`), what is advised (`advice`), what was wrong on its way in
(`intake`) and what is missing (`gaps`)."""

from market.models.advice import (
    Recommendation,
    RecommendationOutcome,
    RecommendationPull,
    RecommendationSource,
    RecommenderModel,
    SourceScore,
)
from market.models.gaps import MarketGap
from market.models.intake import MarketRevision, QuarantinedQuote, QuarantineTotal
from market.models.tables import (
    TAG_LENGTH_MAX,
    TOO_LARGE,
    Bar,
    CalendarDay,
    CorporateAction,
    Exchange,
    Instrument,
    Quote,
    Snapshot,
)

__all__ = [
    "TAG_LENGTH_MAX",
    "TOO_LARGE",
    "Bar",
    "CalendarDay",
    "CorporateAction",
    "Exchange",
    "Instrument",
    "MarketGap",
    "MarketRevision",
    "QuarantineTotal",
    "QuarantinedQuote",
    "Quote",
    "Recommendation",
    "RecommendationOutcome",
    "RecommendationPull",
    "RecommendationSource",
    "RecommenderModel",
    "Snapshot",
    "SourceScore",
]
