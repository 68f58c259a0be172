"""One message of the stream, in our words. Nothing is judged here: what cannot be read is kept as it was said."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

UNREADABLE = datetime(1, 1, 1)  # noqa: DTZ001  a time without a zone, which no check believes
NO_PRICE = frozenset("BCHNPRUVWZ47")
"""conditions of trades that were not made at the market's present price: average, derivative, contingent, late, …"""
_SYMBOL = re.compile(r"[A-Z]{1,5}(\.[A-Z]{1,4}){0,2}")
HALTED, RESUMED = frozenset({"H", "P", "2"}), frozenset({"T", "3"})
"""status codes of UTP (letters) and CTA (numbers)"""


@dataclass(frozen=True, slots=True)
class SaidQuote:
    symbol: str
    at: datetime
    bid: Any
    ask: Any


@dataclass(frozen=True, slots=True)
class SaidTrade:
    symbol: str
    at: datetime
    price: Any
    size: Any
    sets_price: bool


@dataclass(frozen=True, slots=True)
class SaidDay:
    """The day so far; `at` is where the day begins at the exchange."""

    symbol: str
    at: datetime
    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any


@dataclass(frozen=True, slots=True)
class SaidStatus:
    """`halted`: None where the status changes nothing."""

    symbol: str
    halted: bool | None


Said = SaidQuote | SaidTrade | SaidDay | SaidStatus


def read(message: Mapping[str, Any]) -> Said | None:
    """None for messages of a kind that was not asked for."""
    symbol = message.get("S")
    if not isinstance(symbol, str):
        return None
    at = moment(message.get("t"))
    match message.get("T"):
        case "q":
            return SaidQuote(symbol, at, message.get("bp"), message.get("ap"))
        case "t":
            conditions = message.get("c")
            odd = isinstance(conditions, list) and any(
                code in NO_PRICE for code in conditions if _is_code(code)
            )
            return SaidTrade(symbol, at, message.get("p"), message.get("s"), sets_price=not odd)
        case "d":
            return SaidDay(symbol, at, *(message.get(name) for name in "ohlcv"))
        case "s":
            code = message.get("sc")
            halted = True if code in HALTED else False if code in RESUMED else None
            return SaidStatus(symbol, halted)
        case _:
            return None


def is_symbol(text: str) -> bool:
    """Whether Alpaca may have it: AAPL, BRK.B, BAC.PRK. It understands nothing of a question or a subscription with one
    symbol that is malformed, so such a one would take the others' prices away."""
    return _SYMBOL.fullmatch(text) is not None


def _is_code(code: object) -> bool:
    return isinstance(code, str)


def moment(text: object) -> datetime:
    """RFC 3339 with nanoseconds; UNREADABLE where it is none, or has no zone."""
    if not isinstance(text, str) or len(text) > 40:
        return UNREADABLE
    try:
        parsed = datetime.fromisoformat(text)  # digits beyond microseconds are cut
    except ValueError:
        return UNREADABLE
    return parsed.astimezone(UTC) if parsed.tzinfo is not None else UNREADABLE


def is_number(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite()
