"""Tables of the market room: what is known (`tables`), and what was wrong or missing on its way in (`intake`)."""

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
    Recommendation,
    RecommendationOutcome,
    RecommendationPull,
    RecommendationSource,
    Snapshot,
    SourceScore,
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
    "Snapshot",
    "SourceScore",
]
