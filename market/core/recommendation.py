"""The ordered classes of advice, and the boundary behind which whoever advises stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Protocol


class RecommendationClass(IntEnum):
    """Ranks, so that classes compare in order and travel in float arrays (NaN: no advice)."""

    STRONG_SELL = 0
    SELL = 1
    HOLD = 2
    BUY = 3
    STRONG_BUY = 4


CLASS_NAMES: tuple[str, ...] = tuple(member.name for member in RecommendationClass)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationItem:
    """Advice as a source gives it. Times are market time and aware."""

    external_id: str
    symbol: str
    recommendation: str
    confidence: float
    expected_return_percentage: float | None = None
    target_price: Decimal | None = None
    stop_price: Decimal | None = None
    as_of: datetime | None = None
    """when omitted: the market's present time"""
    expires_at: datetime | None = None
    """when omitted: the close of the first session that opens after `as_of`"""
    model_version: str = ""


class RecommendationService(Protocol):
    """Whoever advises when asked: a model of this installation, or a service elsewhere.

    It only answers. What it says is checked and stored by `market.services.recommendations`, in the same way as
    what a source pushes by itself; so nobody who advises can write anything here.
    """

    @property
    def name(self) -> str:
        """The source under which its advice is stored."""
        ...

    def advice(self, now: datetime) -> Sequence[RecommendationItem]:
        """What it advises at the market time `now`; empty when it has nothing new.

        Asking again is harmless: the same advice has the same `external_id`.
        """
        ...
