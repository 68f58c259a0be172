"""The last word before an order exists: Approved, or Refused with a stable code and its numbers.

A list of small functions in the order of the controls. Each gets the request on *fresh* state and gives a
Finding: passed or not, with value and limit. A fact that a check needs and that is unknown refuses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from foundation.core.canonical import plain_decimal
from foundation.core.money import round_money
from portfolios.core.limits import EffectiveLimits


class RefusalCode(StrEnum):
    HALTED = "HALTED"
    NO_LIMIT_SET = "NO_LIMIT_SET"
    NOT_PERMITTED = "NOT_PERMITTED"
    MARKET_CLOSED = "MARKET_CLOSED"
    STALE_DATA = "STALE_DATA"
    MAX_ORDER_VALUE = "MAX_ORDER_VALUE"
    MAX_ORDER_QUANTITY = "MAX_ORDER_QUANTITY"
    INSUFFICIENT_CASH = "INSUFFICIENT_CASH"
    INSUFFICIENT_POSITION = "INSUFFICIENT_POSITION"
    MAX_POSITION_SIZE = "MAX_POSITION_SIZE"
    MAX_OPEN_POSITIONS = "MAX_OPEN_POSITIONS"
    MAX_GROSS_EXPOSURE = "MAX_GROSS_EXPOSURE"
    MAX_DAILY_LOSS = "MAX_DAILY_LOSS"
    MAX_DAILY_TRADES = "MAX_DAILY_TRADES"
    UNKNOWN_OUTSTANDING = "UNKNOWN_OUTSTANDING"


@dataclass(frozen=True)
class RiskRequest:
    """An order that somebody wants, on fresh state under the portfolio's lock.

    Money in the base currency, quantities in units, ages in seconds of database time, percentages of
    equity. `cost` is the cash that a buy reserves (value, slippage and fee). Working and unknown orders count
    at full exposure in `position_value`, `gross_exposure`, `free_cash` and `free_quantity`.
    """

    side: str
    quantity: Decimal
    price: Decimal
    cost: Decimal
    equity: Decimal
    free_cash: Decimal
    free_quantity: Decimal
    position_value: Decimal
    gross_exposure: Decimal
    open_positions: int
    opens_position: bool
    daily_trades: int
    daily_pnl_percentage: Decimal
    price_age_seconds: Decimal
    market_open: bool
    instrument_active: bool
    protective: bool  # a flatten or a position's own protection
    halt: str | None  # "halt" or "reduce_only", with its reason in halt_reason
    halt_reason: str
    unknown_on_symbol: int
    limits: EffectiveLimits

    @property
    def value(self) -> Decimal:
        return self.quantity * self.price

    @property
    def reduces(self) -> bool:
        """A sell of what is held: nothing that limits size, exposure or loss may block it."""
        return self.side == "sell"


@dataclass(frozen=True)
class Finding:
    code: RefusalCode
    passed: bool
    value: Any
    limit: Any
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        row = {"code": self.code.value, "passed": self.passed, "value": self.value, "limit": self.limit}
        return {**row, "note": self.note} if self.note else row


@dataclass(frozen=True)
class Approved:
    """The only thing that order management makes a trade from. Names what the order must name."""

    request: RiskRequest
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Refused:
    code: RefusalCode
    detail: str
    findings: tuple[Finding, ...]


def _halted(r: RiskRequest) -> Finding:
    passed = r.halt is None or (r.halt == "reduce_only" and r.reduces)
    return Finding(RefusalCode.HALTED, passed, r.halt or "none", "none", r.halt_reason)


def _permitted(r: RiskRequest) -> Finding:
    passed = r.instrument_active or r.reduces
    return Finding(
        RefusalCode.NOT_PERMITTED, passed, "active" if r.instrument_active else "inactive", "active"
    )


def _market_open(r: RiskRequest) -> Finding:
    return Finding(RefusalCode.MARKET_CLOSED, r.market_open, "open" if r.market_open else "closed", "open")


def _unknown_outstanding(r: RiskRequest) -> Finding:
    return Finding(RefusalCode.UNKNOWN_OUTSTANDING, r.unknown_on_symbol == 0, r.unknown_on_symbol, 0)


def _sufficient_cash(r: RiskRequest) -> Finding:
    passed = r.reduces or r.cost <= r.free_cash
    return Finding(RefusalCode.INSUFFICIENT_CASH, passed, r.cost if not r.reduces else 0, r.free_cash)


def _sufficient_position(r: RiskRequest) -> Finding:
    passed = not r.reduces or r.quantity <= r.free_quantity
    return Finding(RefusalCode.INSUFFICIENT_POSITION, passed, r.quantity if r.reduces else 0, r.free_quantity)


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    """Percent of equity; unknown stays unknown, and an equity of nothing makes any exposure infinite."""
    if part.is_nan() or whole.is_nan():
        return Decimal("NaN")
    return part / whole * 100 if whole > 0 else Decimal("Infinity")


Check = Callable[[RiskRequest], Finding]


def _limited(
    code: RefusalCode, name: str, measure: Callable[[RiskRequest], Decimal], *, strictly_below: bool = False
) -> Check:
    """A check of a measured value against a limit that must be set. Reductions always pass it."""

    def check(r: RiskRequest) -> Finding:
        limit = r.limits.get(name)
        if limit is None:
            return Finding(RefusalCode.NO_LIMIT_SET, r.reduces, "not set", name)
        value = measure(r)
        if value.is_nan():
            return Finding(code, r.reduces, "unknown", limit)
        within = value < limit if strictly_below else value <= limit
        return Finding(code, r.reduces or within, value, limit)

    return check


def _fresh_price(r: RiskRequest) -> Finding:
    """Market orders need a fresh price, sells by a rule too; only protections and flattening go out without."""
    limit = r.limits.get("max_price_age_seconds")
    if limit is None:
        return Finding(RefusalCode.NO_LIMIT_SET, r.reduces, "not set", "max_price_age_seconds")
    return Finding(
        RefusalCode.STALE_DATA, r.protective or r.price_age_seconds <= limit, r.price_age_seconds, limit
    )


CODE = RefusalCode
CHECKS: tuple[Check, ...] = (
    _halted,
    _permitted,
    _market_open,
    _fresh_price,
    _limited(CODE.MAX_ORDER_VALUE, "max_order_value", lambda r: r.value),
    _limited(CODE.MAX_ORDER_QUANTITY, "max_order_quantity", lambda r: r.quantity),
    _sufficient_cash,
    _sufficient_position,
    _limited(
        CODE.MAX_POSITION_SIZE,
        "max_position_percentage",
        lambda r: _percent(r.position_value + r.value, r.equity),
    ),
    _limited(
        CODE.MAX_OPEN_POSITIONS, "max_open_positions", lambda r: Decimal(r.open_positions + r.opens_position)
    ),
    _limited(
        CODE.MAX_GROSS_EXPOSURE,
        "max_gross_exposure_percentage",
        lambda r: _percent(r.gross_exposure + r.value, r.equity),
    ),
    # reaching the day's loss limit is enough to stop entries
    _limited(
        CODE.MAX_DAILY_LOSS,
        "max_daily_loss_percentage",
        lambda r: -r.daily_pnl_percentage,
        strictly_below=True,
    ),
    _limited(CODE.MAX_DAILY_TRADES, "max_daily_trades", lambda r: Decimal(r.daily_trades + 1)),
    _unknown_outstanding,
)


def assess(request: RiskRequest) -> Approved | Refused:
    """Run every control in order; the first that fails gives the code, and all findings are kept."""
    findings = [check(request) for check in CHECKS]
    failed = next((finding for finding in findings if not finding.passed), None)
    if failed is None:
        return Approved(request=request, findings=tuple(findings))
    return Refused(code=failed.code, detail=_detail(failed), findings=tuple(findings))


def _text(value: Any) -> str:
    """Numbers without trailing zeros, to 8 places; infinities by name."""
    if isinstance(value, Decimal) and value.is_finite():
        return plain_decimal(round_money(value))
    return str(value)


def _detail(finding: Finding) -> str:
    note = f" ({finding.note})" if finding.note else ""
    return f"{finding.code}: value={_text(finding.value)} limit={_text(finding.limit)}{note}"


def findings_as_rows(findings: tuple[Finding, ...]) -> list[Mapping[str, Any]]:
    """For the decision record: numbers as text, infinities included."""
    return [{**f.as_dict(), "value": _text(f.value), "limit": _text(f.limit)} for f in findings]
