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
from typing import Any

from foundation.core.canonical import json_string, plain_decimal
from foundation.core.money import round_money
from trading.core.risk import Finding, finding_text, findings_text

Named = tuple[str, str]
"""a control's code, and of the catalogue the limit that it asks for; empty: none that somebody sets"""


def _named(text: str) -> tuple[Named, ...]:
    return tuple((code, name) for code, _, name in (line.partition(" ") for line in text.split("\n") if line))


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
    kept = [_kept(finding, finding.passed) for finding in findings]
    if tuple([named for named, _, _ in kept]) != LISTS[NEWEST]:
        return findings_text(findings)
    pairs = ",".join([pair for _, pair, _ in kept])
    notes = ",".join([f'"{place}":{note}' for place, (_, _, note) in enumerate(kept) if note])
    return f'{{"controls":{NEWEST},"found":[{pairs}],"notes":{{{notes}}}}}'


@lru_cache(maxsize=65_536)  # most are word for word those of the order before
def _kept(finding: Finding, passed: bool) -> tuple[Named | None, str, str]:
    """Which control it is of (None: it did not pass), value and limit, and the note. `passed` apart: True and 1 are one
    key of a cache."""
    named = (finding.code.value, finding.limit_name) if passed else None
    note = json_string(finding.note) if finding.note else ""
    return named, f"{_quoted(finding.value)},{_quoted(finding.limit)}", note


def _quoted(value: Any) -> str:
    if isinstance(value, Decimal) and value.is_finite():
        return f'"{plain_decimal(round_money(value))}"'  # digits need no escape
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
