"""What a decision keeps of its findings, and how it is read again. Pure.

Of an order that every control has approved the same is told again and again but for its numbers: so only the values and
limits are kept, in the order of the controls, and which control each pair belongs to stands here.

    {"controls": 1, "found": [value, limit, value, limit, …], "notes": {"15": "equal orders within 30 s"}}

What a control has refused is kept in full, as a list, and so is whatever does not fit. A list of controls that orders
were approved by stays for ever; who adds, removes or moves a control adds a list, with a new number.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from sys import intern
from typing import Any

from foundation.core.canonical import json_string, plain_decimal
from foundation.core.money import round_money
from trading.core.risk import Finding, finding_text, findings_text

Named = tuple[str, str]
"""a control's code, and of the catalogue the limit that it asks for; empty: none that somebody sets"""


def _named(text: str) -> tuple[Named, ...]:
    """The names are the very ones of the controls, so that comparing them takes no time."""
    lines = [line.partition(" ") for line in text.split("\n") if line]
    return tuple((intern(code), intern(name)) for code, _, name in lines)


LISTS: Mapping[int, tuple[Named, ...]] = {
    1: _named(
        """
HALTED
NOT_PERMITTED
NOT_PERMITTED
NOT_PERMITTED
MARKET_CLOSED
TIME_RESTRICTED
STALE_DATA max_price_age_seconds
STALE_DATA max_recommendation_age_minutes
PRICE_COLLAR max_price_deviation_percentage
PRICE_COLLAR max_price_move_percentage
MAX_ORDER_VALUE max_order_value
MAX_ORDER_QUANTITY max_order_quantity
MAX_MESSAGES max_messages_per_second
MAX_MESSAGES max_messages_per_minute
DUPLICATE_ORDER
DUPLICATE_ORDER
REPEATED_EXECUTION max_rule_executions
INSUFFICIENT_CASH
INSUFFICIENT_POSITION
MAX_POSITION_SIZE max_position_percentage
MAX_POSITION_VALUE max_position_value
MAX_OPEN_POSITIONS max_open_positions
MAX_GROSS_EXPOSURE max_gross_exposure_percentage
MAX_LEVERAGE max_leverage
CAPITAL_CAP
MAX_SECTOR_EXPOSURE max_sector_exposure_percentage
MAX_CORRELATION max_correlation
MIN_DIVERSIFICATION min_effective_holdings
MARKET_CONDITION max_volatility
MARKET_CONDITION min_volume
MARKET_CONDITION min_relative_volume
MARKET_CONDITION max_spread_bps
MAX_DAILY_LOSS max_daily_loss_percentage
MAX_DRAWDOWN max_drawdown_percentage
MAX_LOSING_STREAK max_losing_streak
COOLDOWN entry_cooldown_minutes
MAX_DAILY_TRADES max_daily_trades
MAX_DAILY_TRADES max_daily_trades_per_rule
MAX_DAILY_TRADES max_daily_trades_per_symbol
WASH_TRADE
UNKNOWN_OUTSTANDING
"""
    )
}
NEWEST = max(LISTS)


def kept_text(findings: tuple[Finding, ...]) -> str:
    """Canonical JSON, as it is stored."""
    codes, passed, values, limits, notes, limit_names = zip(*findings, strict=True)
    if not all(passed) or tuple(zip(codes, limit_names, strict=True)) != LISTS[NEWEST]:
        return findings_text(findings)
    pairs = ",".join(
        [f"{_value(value)},{_known(limit)}" for value, limit in zip(values, limits, strict=True)]
    )
    noted = ",".join([f'"{place}":{json_string(note)}' for place, note in enumerate(notes) if note])
    return f'{{"controls":{NEWEST},"found":[{pairs}],"notes":{{{noted}}}}}'


def _value(value: Any) -> str:
    """In its quotes. Numbers are others with each order, words and counts the same few."""
    if isinstance(value, Decimal) and value.is_finite():
        return f'"{plain_decimal(round_money(value))}"'  # digits need no escape
    return _known(value)


@lru_cache(maxsize=4_096, typed=True)
def _known(value: Any) -> str:
    """In its quotes, as limits are: hardly ever another one."""
    return json_string(finding_text(value))


def full_rows(kept: Any) -> Any:
    """Every finding in full, whichever way it is kept; raises KeyError for a list that this code does not know."""
    if not isinstance(kept, dict):
        return kept
    found, notes = kept["found"], kept["notes"]
    return [
        _row(code, found[2 * place], found[2 * place + 1], notes.get(str(place), ""), name)
        for place, (code, name) in enumerate(LISTS[kept["controls"]])
    ]


def _row(code: str, value: str, limit: str, note: str, limit_name: str) -> dict[str, Any]:
    row: dict[str, Any] = {"code": code, "passed": True, "value": value, "limit": limit}
    more = {"limit_name": limit_name, "note": note}
    return row | {key: text for key, text in more.items() if text}
