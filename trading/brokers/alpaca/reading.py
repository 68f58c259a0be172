"""What an answer says, read field by field: each reader returns a checked value or raises BadReport with the payload.

Payloads come here with the keys struck out (`struck`), so that no record, log or error can hold them.
"""

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from foundation.core.money import PLACES
from portfolios.services.credentials import ApiKeys
from trading.brokers.protocol import BadReport

NUMBER_MAX = Decimal(10) ** 12  # the columns end there
NUMBER_TEXT_MAX = 40
TEXT_MAX = 200
PAYLOAD_CHARACTERS_MAX = 20_000
SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9./-]{0,31}")
SIDES = {"buy": "buy", "sell": "sell", "sell_short": "sell"}
STRUCK = "[struck out]"


def struck(value: Any, keys: ApiKeys) -> Any:
    """The same document without the keys."""
    if isinstance(value, str):
        return value.replace(keys.secret, STRUCK).replace(keys.key_id, STRUCK)
    if isinstance(value, list):
        return [struck(item, keys) for item in value]
    if isinstance(value, dict):
        return {struck(key, keys): struck(item, keys) for key, item in value.items()}
    return value


def plain(payload: Any) -> Any:
    """As JSON that can be stored: Decimals as text, and of what is too long its beginning."""
    text = json.dumps(payload, default=str, allow_nan=False)
    if len(text) > PAYLOAD_CHARACTERS_MAX:
        return {"cut_off": text[:PAYLOAD_CHARACTERS_MAX]}
    return json.loads(text)


def bad(reason: str, payload: Any) -> BadReport:
    return BadReport(reason, payload=plain(payload))


def document(payload: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(payload, dict):
        raise bad(f"{what} is no object", payload)
    return payload


def rows(payload: Any, what: str) -> list[Any]:
    if not isinstance(payload, list):
        raise bad(f"{what} is no list", payload)
    return payload


def text(payload: Mapping[str, Any], name: str) -> str:
    """Not empty."""
    value = payload.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_MAX:
        raise bad(f"{name} is no text of 1 to {TEXT_MAX} characters", payload)
    return value


def symbol(payload: Mapping[str, Any]) -> str:
    value = text(payload, "symbol")
    if not SYMBOL.fullmatch(value):
        raise bad("symbol is none", payload)
    return value


def side(payload: Mapping[str, Any]) -> str:
    value = SIDES.get(text(payload, "side"))
    if value is None:
        raise bad("side is neither buy nor sell", payload)
    return value


def number(payload: Mapping[str, Any], name: str) -> Decimal:
    """Finite and within our columns."""
    value = payload.get(name)
    if isinstance(value, str) and 0 < len(value) <= NUMBER_TEXT_MAX:
        try:
            value = Decimal(value)
        except InvalidOperation:
            raise bad(f"{name} is no number", payload) from None
    if not isinstance(value, Decimal) or not value.is_finite() or abs(value) >= NUMBER_MAX:
        raise bad(f"{name} is no number below 10^12", payload)
    return value


def quantity(payload: Mapping[str, Any], name: str, *, zero: bool = False) -> Decimal:
    """Positive, or zero where that is allowed, in at most eight places: units are never rounded."""
    value = number(payload, name)
    if value < 0 or (value == 0 and not zero):
        raise bad(f"{name} must be positive", payload)
    if value != value.quantize(PLACES):
        raise bad(f"{name} has more than eight places", payload)
    return value.quantize(PLACES)


def price(payload: Mapping[str, Any], name: str) -> Decimal:
    """Positive, rounded to eight places."""
    value = number(payload, name).quantize(PLACES)
    if value <= 0:
        raise bad(f"{name} must be positive", payload)
    return value


def moment(payload: Mapping[str, Any], name: str) -> datetime:
    """Aware; Alpaca's nanoseconds are cut to microseconds."""
    value = payload.get(name)
    try:
        at = (
            datetime.fromisoformat(value)
            if isinstance(value, str) and len(value) <= NUMBER_TEXT_MAX
            else None
        )
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise bad(f"{name} is no time with a zone", payload)
    return at


def day(payload: Mapping[str, Any], name: str) -> date:
    """Alpaca tells a day alone, or as a moment on it."""
    try:
        return date.fromisoformat(text(payload, name)[:10])
    except ValueError:
        raise bad(f"{name} is no day", payload) from None
