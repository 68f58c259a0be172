"""The ordered classes of advice."""

from enum import IntEnum


class RecommendationClass(IntEnum):
    """Ranks, so that classes compare in order and travel in float arrays (NaN: no advice)."""

    STRONG_SELL = 0
    SELL = 1
    HOLD = 2
    BUY = 3
    STRONG_BUY = 4


CLASS_NAMES: tuple[str, ...] = tuple(member.name for member in RecommendationClass)
