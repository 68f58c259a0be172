"""What is remembered: one thing that happened, in one stream, as plain data.

A stream is a portfolio (its id) or the platform. Kinds are dotted lower case, noun before verb in
the past: `session.started`, `trade.filled`, `halt.armed`.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

from foundation.core.quick import quick_init

PLATFORM_STREAM = UUID("00000000-0000-0000-0000-000000000001")
"""The stream of rare events that concern no single portfolio; staff alone see it."""

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
KIND_LENGTH_MAX = 64
MESSAGE_LENGTH_MAX = 2000
_KIND = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


@dataclass(frozen=True)
class AlertSpec:
    """Somebody must be told: which makes an alert of the event, and deliveries of the alert.

    Not `delivered`, it stands in its stream's alerts only: whoever runs the installation hears the same from another.
    """

    severity: Severity
    message: str
    delivered: bool = True

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity must be one of {', '.join(SEVERITIES)}, got {self.severity!r}")
        if not 0 < len(self.message) <= MESSAGE_LENGTH_MAX:
            raise ValueError(f"an alert's message has 1 to {MESSAGE_LENGTH_MAX} characters")


@lru_cache(maxsize=1_024)
def _is_kind(text: str) -> bool:
    return len(text) <= KIND_LENGTH_MAX and _KIND.fullmatch(text) is not None


@quick_init
@dataclass(frozen=True)
class Event:
    """One entry to be.

    `at` is when it happened: market time for what follows the market, database time for the rest;
    aware. `payload` holds JSON values, Decimal, datetime, date, UUID and Enum; never NaN, never a
    secret: it is stored for ever and pushed to clients.
    """

    stream: UUID
    kind: str
    at: datetime
    payload: dict[str, Any]
    alert: AlertSpec | None = None

    def __post_init__(self) -> None:
        if not _is_kind(self.kind):
            raise ValueError(f"an event's kind is dotted lower case, like trade.filled; got {self.kind!r}")
        if self.at.tzinfo is None:
            raise ValueError(f"an event's time must be aware, got {self.at!r}")
