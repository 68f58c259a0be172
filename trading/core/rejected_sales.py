"""When a protective sale that its broker has rejected is tried again, and when people hear of that. Pure.

The first tries follow fast, for a stop that cannot sell loses money; later ones do not, for a broker that rejects each
of them counts messages, and people who are told of each see none.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

CODE = "BROKER_REJECTED"
WITHIN_SECONDS = 24 * 3600.0
"""Older rejections count no more."""
RETRY_SECONDS, RETRY_SECONDS_MAX = 5.0, 300.0
FORGOTTEN_SECONDS = 2 * RETRY_SECONDS_MAX
"""Nothing was tried for so long: the price has been back, or the market closed. It begins anew."""
TOLD_AGAIN_AFTER = frozenset({6, 17, 77, 149, 221})
"""Rejections in a row: five minutes, an hour, and then every six hours after the first."""


@dataclass(frozen=True)
class Rejections:
    """Of the sales of one position by its protection, in a row. seconds_ago: the last one."""

    count: int
    seconds_ago: float

    @classmethod
    def in_a_row(cls, sales: Iterable[tuple[bool, float]]) -> Self | None:
        """Of sales, the newest first: whether it was rejected, and how many seconds ago. None: it does not go on."""
        last, count, before = None, 0, 0.0
        for rejected, seconds_ago in sales:
            if not rejected or seconds_ago - before >= FORGOTTEN_SECONDS:
                break
            last = seconds_ago if last is None else last
            count, before = count + 1, seconds_ago
        return cls(count, last) if last is not None else None

    @property
    def must_wait(self) -> bool:
        """Twice as long after each, up to five minutes."""
        return self.seconds_ago < min(RETRY_SECONDS * 2 ** min(self.count - 1, 10), RETRY_SECONDS_MAX)

    @property
    def tells_again(self) -> bool:
        return self.count in TOLD_AGAIN_AFTER
