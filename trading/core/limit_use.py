"""How much of each limit a portfolio uses as it stands. Pure; Decimal, for it is compared with limits.

One small function for each limit of the catalogue tells what is used. What is asked of single orders only has no
standing use, and neither has what is counted elsewhere: both are named here with the reason, so that a new limit
without an entry is found by a test.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from foundation.core.money import ZERO
from portfolios.core.limits import CATALOGUE, LimitRow, LimitSpec, tightest
from trading.core.controls import CONTROLS
from trading.core.portfolio_risk import effective_holdings

PERCENT = Decimal(100)
ASKED_OF_ORDERS = frozenset(name for control in CONTROLS for name in control.limits)


@dataclass(frozen=True)
class Subject:
    """What a use is the worst of: a symbol, a pair of symbols, a sector, or a rule (which has an id)."""

    kind: str
    name: str
    id: uuid.UUID | None = None


@dataclass(frozen=True)
class TradeCount:
    """So many trades of one rule (None: of no rule) in one symbol."""

    rule_id: uuid.UUID | None
    rule_name: str
    symbol: str
    count: int


@dataclass(frozen=True)
class HighestCorrelation:
    """A holding, and the one that goes with it most; None: unknown."""

    symbol: str
    beside: str
    correlation: Decimal | None


@dataclass(frozen=True)
class Standing:
    """The portfolio as it stands; None is unknown. Working buys count as held.

    exposures: of each symbol in currency; sectors: percent of equity. Losses and drawdowns are positive percentages.
    trades_today: those that daily limits count; rule_executions: those within the rules' window.
    """

    equity: Decimal | None
    exposures: Mapping[str, Decimal | None]
    sectors: Mapping[str, Decimal | None]
    correlations: Sequence[HighestCorrelation]
    trades_today: Sequence[TradeCount] | None
    rule_executions: Sequence[TradeCount] | None
    daily_loss_percentage: Decimal | None
    drawdown_percentage: Decimal | None
    losing_streak: int
    rejections_last_minute: int
    messages_last_second: int
    messages_last_minute: int

    @property
    def gross_exposure(self) -> Decimal | None:
        return _sum(self.exposures.values())


@dataclass(frozen=True)
class Measured:
    """`symbol`: the one whose instrument's own limit holds as well."""

    value: Decimal | None
    subject: Subject | None = None
    symbol: str | None = None
    note: str = ""


Measures = Sequence[Measured]
"""one for each candidate, of which the worst is told"""


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    found = list(values)
    return None if any(value is None for value in found) else sum((v for v in found if v is not None), ZERO)


def _ratio(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    return None if part is None or whole is None or whole <= 0 else part / whole


def _percent(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    ratio = _ratio(part, whole)
    return None if ratio is None else ratio * PERCENT


def _one(value: Decimal | int | None, note: str = "") -> Measures:
    return [Measured(Decimal(value) if isinstance(value, int) else value, note=note)]


def _of_symbol(symbol: str, value: Decimal | None) -> Measured:
    return Measured(value, Subject("symbol", symbol), symbol)


def _position_percentage(now: Standing) -> Measures:
    return [
        _of_symbol(symbol, _percent(value, now.equity)) for symbol, value in now.exposures.items()
    ] or _one(0)


def _position_value(now: Standing) -> Measures:
    return [_of_symbol(symbol, value) for symbol, value in now.exposures.items()] or _one(0)


def _sector_exposure(now: Standing) -> Measures:
    return [Measured(value, Subject("sector", sector)) for sector, value in now.sectors.items()] or _one(0)


def _correlation(now: Standing) -> Measures:
    return [
        Measured(row.correlation, Subject("pair", f"{row.symbol}, {row.beside}"), row.symbol)
        for row in now.correlations
    ] or _one(None, "Fewer than two holdings.")


def _effective_holdings(now: Standing) -> Measures:
    if not now.exposures:
        return _one(None, "Nothing is held.")
    known = [value for value in now.exposures.values() if value is not None]
    return _one(effective_holdings(known) if len(known) == len(now.exposures) else None)


def _counted(
    counts: Sequence[TradeCount] | None, subject_of: Callable[[TradeCount], tuple[Subject, str | None] | None]
) -> Measures:
    """Counts added up by their subject (with the symbol whose own limit holds); those without one are left out."""
    if counts is None:
        return _one(None)
    totals: dict[tuple[Subject, str | None], int] = {}
    for row in counts:
        key = subject_of(row)
        if key is not None:
            totals[key] = totals.get(key, 0) + row.count
    return [Measured(Decimal(n), subject, symbol) for (subject, symbol), n in totals.items()] or _one(0)


def _rule(row: TradeCount) -> tuple[Subject, str | None] | None:
    return None if row.rule_id is None else (Subject("rule", row.rule_name, row.rule_id), None)


def _daily_trades(now: Standing) -> Measures:
    return _one(None if now.trades_today is None else sum(row.count for row in now.trades_today))


_NO_DAY = "The day's first equity is not noted yet: the portfolio was not evaluated on it."
_NO_PEAK = "No highest equity is noted yet: the portfolio was never evaluated."

MEASURES: Mapping[str, Callable[[Standing], Measures]] = {
    "max_position_percentage": _position_percentage,
    "max_position_value": _position_value,
    "max_open_positions": lambda now: _one(len(now.exposures)),
    "max_gross_exposure_percentage": lambda now: _one(_percent(now.gross_exposure, now.equity)),
    "max_leverage": lambda now: _one(_ratio(now.gross_exposure, now.equity)),
    "max_sector_exposure_percentage": _sector_exposure,
    "max_correlation": _correlation,
    "min_effective_holdings": _effective_holdings,
    "max_rule_executions": lambda now: _counted(now.rule_executions, _rule),
    "max_daily_trades": _daily_trades,
    "max_daily_trades_per_rule": lambda now: _counted(now.trades_today, _rule),
    "max_daily_trades_per_symbol": lambda now: _counted(
        now.trades_today, lambda row: (Subject("symbol", row.symbol), row.symbol)
    ),
    "max_daily_loss_percentage": lambda now: _one(
        now.daily_loss_percentage, _NO_DAY if now.equity is not None else ""
    ),
    "max_drawdown_percentage": lambda now: _one(
        now.drawdown_percentage, _NO_PEAK if now.equity is not None else ""
    ),
    "max_losing_streak": lambda now: _one(now.losing_streak),
    "max_rejections_per_minute": lambda now: _one(now.rejections_last_minute),
    "max_messages_per_second": lambda now: _one(now.messages_last_second),
    "max_messages_per_minute": lambda now: _one(now.messages_last_minute),
}

_ORDER = "Holds for each order."
_INSTRUMENT = "Holds for the instrument of each order that buys."
_DATA = "Holds for the data that an order is decided on."
_TIME = "A length of time, of which nothing is used up."
PER_ORDER: Mapping[str, str] = {
    "max_order_value": _ORDER,
    "max_order_quantity": _ORDER,
    "max_volatility": _INSTRUMENT,
    "min_volume": _INSTRUMENT,
    "min_relative_volume": _INSTRUMENT,
    "max_spread_bps": _INSTRUMENT,
    "max_price_deviation_percentage": _ORDER,
    "max_price_move_percentage": _ORDER,
    "max_price_age_seconds": _DATA,
    "max_recommendation_age_minutes": _DATA,
    "duplicate_order_seconds": _TIME,
    "rule_execution_window_minutes": _TIME,
    "entry_cooldown_minutes": _TIME,
}
"""limits on single orders: a portfolio that stands still uses nothing of them"""

NOT_MEASURED: Mapping[str, str] = {
    "max_feed_silence_seconds": "Watched for the whole platform.",
    "max_beat_silence_seconds": "Watched for the whole platform.",
}
"""standing limits whose use is not the portfolio's own state"""


@dataclass(frozen=True)
class LimitUse:
    """One limit, and what is used of it now.

    utilisation: value / limit, of a floor limit / value, as a fraction: above 1 the limit is passed. None where
    either is unknown or the divisor is 0. headroom: what is left, in the limit's unit; negative beyond it.
    """

    spec: LimitSpec
    limit: Decimal | None
    scope: str | None
    value: Decimal | None = None
    subject: Subject | None = None
    per_order: bool = False
    note: str = ""
    utilisation: float | None = field(init=False, default=None)
    headroom: Decimal | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.limit is None or self.value is None:
            return
        floor = self.spec.higher_is_tighter
        part, whole = (self.limit, self.value) if floor else (self.value, self.limit)
        object.__setattr__(self, "utilisation", float(part / whole) if whole else None)
        object.__setattr__(self, "headroom", self.value - self.limit if floor else self.limit - self.value)

    def rank(self) -> tuple[bool, bool, float]:
        """The worst ranks highest: an unknown use, then one beyond a limit of 0, then the most utilised."""
        over = self.utilisation is None and self.headroom is not None and self.headroom < 0
        return (
            self.value is None, over, self.utilisation if self.utilisation is not None else float("-inf")
        )  # fmt: skip


def limit_uses(
    now: Standing, *, rows: Sequence[LimitRow], of_instruments: Mapping[str, LimitRow]
) -> list[LimitUse]:
    """The use of every limit in the catalogue's order.

    `rows` are in force on the portfolio's scopes, the widest first; `of_instruments`, by symbol, hold beside them
    for what is measured of single symbols.
    """
    return [_use(spec, now, rows, of_instruments) for spec in CATALOGUE]


def _use(
    spec: LimitSpec, now: Standing, rows: Sequence[LimitRow], of_instruments: Mapping[str, LimitRow]
) -> LimitUse:
    limit, scope = tightest_scope(spec, rows)
    if spec.name in PER_ORDER:
        return LimitUse(spec, limit, scope, per_order=True, note=PER_ORDER[spec.name])
    if spec.name in NOT_MEASURED:
        return LimitUse(spec, limit, scope, note=NOT_MEASURED[spec.name])
    candidates = []
    for found in MEASURES[spec.name](now):
        own = of_instruments.get(found.symbol) if found.symbol is not None else None
        limit, scope = tightest_scope(spec, [*rows, own] if own is not None else rows)
        note = (found.note or "Not known now.") if found.value is None else ""
        candidates.append(LimitUse(spec, limit, scope, found.value, found.subject, note=note))
    return max(candidates, key=LimitUse.rank)


def tightest_scope(spec: LimitSpec, rows: Sequence[LimitRow]) -> tuple[Decimal | None, str | None]:
    """The tightest value and the scope that sets it, the first of several; None twice when none does, or where orders
    are held to it and only the session does: then no entry is made."""
    if spec.name in ASKED_OF_ORDERS and tightest(rows).get(spec.name) is None:
        return None, None
    limit = spec.tightest(values.get(spec.name) for _, _, values in rows)
    if limit is None:
        return None, None
    return limit, next(scope for scope, _, values in rows if values.get(spec.name) == limit)
