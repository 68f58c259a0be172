"""Limits: what they are called, what they mean, and which one wins.

A limit that no scope sets is None, and None means no trade (`NO_LIMIT_SET`), never "unlimited". Who wants a
filter to let everything pass says so: he sets it to its `open_end`, which no fact can lie beyond, so that the
fact need not even be known.

Whoever starts a session writes its limits by himself; those of every other scope are set by who answers for them,
and under four eyes where that is asked for. So a session's limits only tighten: one that no other scope sets permits
nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from functools import cached_property

from foundation.core.money import PLACES


@dataclass(frozen=True)
class LimitSpec:
    """One limit of the catalogue.

    `higher_is_tighter`: a floor (a volume that there must be) or a time to wait; of several scopes the highest
    value wins, elsewhere the lowest. `default` is the platform's ceiling in a new installation, which trades on
    paper. `open_end`: at this value (or further) everything passes.
    """

    name: str
    meaning: str
    unit: str
    default: Decimal
    higher_is_tighter: bool = False
    open_end: Decimal | None = None

    def tightest(self, values: Iterable[Decimal | None]) -> Decimal | None:
        """Of the values that scopes set; None when none does."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return max(known) if self.higher_is_tighter else min(known)

    def is_looser(self, new: Decimal | None, old: Decimal | None) -> bool:
        """Whether a scope that sets `new` in place of `old` holds up less; None sets nothing."""
        if old is None or new is None:
            return old is not None
        return new < old if self.higher_is_tighter else new > old

    def lets_everything_pass(self, limit: Decimal) -> bool:
        if self.open_end is None:
            return False
        return limit <= self.open_end if self.higher_is_tighter else limit >= self.open_end


def _most(
    name: str, default: int | str, unit: str, meaning: str, *, open_end: int | None = None
) -> LimitSpec:
    return LimitSpec(
        name, meaning, unit, Decimal(default), False, None if open_end is None else Decimal(open_end)
    )


def _least(name: str, default: int | str, unit: str, meaning: str, *, open_end: int = 0) -> LimitSpec:
    return LimitSpec(name, meaning, unit, Decimal(default), True, Decimal(open_end))


# Of the messages that may be sent, entries leave this share to cancels and reductions.
KEPT_FOR_REDUCTIONS = Decimal("0.2")


def for_entries(limit: Decimal) -> Decimal:
    """What a limit on messages leaves to entries, in whole messages; of a single one it keeps none back."""
    return limit - (limit * KEPT_FOR_REDUCTIONS).to_integral_value(ROUND_FLOOR)


PERCENT_OF_EQUITY = "percent of equity"
CATALOGUE: tuple[LimitSpec, ...] = (
    _most("max_order_value", 100_000, "base currency", "Largest value of one order"),
    _most("max_order_quantity", 100_000, "units", "Largest quantity of one order"),
    _most("max_position_percentage", 25, PERCENT_OF_EQUITY, "Largest position, working orders included"),
    _most("max_position_value", 1_000_000, "base currency", "Largest position, working orders included"),
    _most("max_open_positions", 50, "instruments", "Most instruments held or being bought at once"),
    _most("max_gross_exposure_percentage", 100, PERCENT_OF_EQUITY, "Largest sum of positions and working buys"),
    _most("max_leverage", 1, "times equity", "Largest sum of positions and working buys"),
    _most("max_sector_exposure_percentage", 100, PERCENT_OF_EQUITY,
          "Largest sum of positions and working buys in one sector"),
    _most("max_correlation", 1, "correlation",
          "Highest correlation of daily returns with anything else that is held", open_end=1),
    _least("min_effective_holdings", 1, "holdings",
           "Fewest effective holdings (1 / Σ weight²): below it only what spreads the weights more may be bought",
           open_end=1),
    _most("max_volatility", 100, "a year, as a fraction", "Most volatile instrument that may be bought", open_end=100),
    _least("min_volume", 0, "units a day", "Least volume of an instrument that may be bought"),
    _least("min_relative_volume", 0, "times the average", "Least relative volume of an instrument that may be bought"),
    _most("max_spread_bps", 500, "basis points", "Widest spread of an instrument that may be bought", open_end=20_000),
    _most("max_price_deviation_percentage", 5, "percent",
          "Price collar of an order: farthest that it may execute from the last price"),
    _most("max_price_move_percentage", 50, "percent",
          "Price collar over a period: farthest that the last price may be from the last completed bar's close",
          open_end=1_000_000),
    _most("max_price_age_seconds", 60, "seconds of database time", "Oldest price that an order may be decided on"),
    _most("max_recommendation_age_minutes", 43_200, "minutes of market time",
          "Oldest recommendation that an entry may rest on"),
    _most("max_messages_per_second", 50, "messages", "Most orders and cancels sent within a second"),
    _most("max_messages_per_minute", 600, "messages", "Most orders and cancels sent within a minute"),
    _least("duplicate_order_seconds", 30, "seconds of market time",
           "How long an order with the same symbol, side, quantity and rule is taken for a duplicate"),
    _most("max_rule_executions", 100, "trades", "Most trades of one rule within its window; then it is disabled"),
    _least("rule_execution_window_minutes", 60, "minutes of market time", "Window in which they are counted"),
    _most("max_daily_trades", 200, "trades a market day", "Most trades of the portfolio"),
    _most("max_daily_trades_per_rule", 200, "trades a market day", "Most trades of one rule"),
    _most("max_daily_trades_per_symbol", 100, "trades a market day", "Most trades of one symbol"),
    _most("max_daily_loss_percentage", 10, "percent of the day's first equity",
          "Entries stop, and a breaker trips, when the day's loss reaches it"),
    _most("max_drawdown_percentage", 50, "percent of the highest equity",
          "Entries stop, and a breaker trips, when the drawdown reaches it"),
    _most("max_losing_streak", 100, "trades", "Entries stop, and a breaker trips, after so many losses in a row"),
    _least("entry_cooldown_minutes", 0, "minutes of market time",
           "How long a symbol is not bought again after it was sold"),
    _most("max_rejections_per_minute", 20, "trades", "A breaker trips when more are rejected within a minute"),
    _most("max_feed_silence_seconds", 60, "seconds of database time",
          "A breaker stops entries when no market data comes for longer while an exchange is open"),
    _most("max_beat_silence_seconds", 60, "seconds of database time",
          "A breaker stops entries when celery-beat gives no sign of life for longer"),
)  # fmt: skip
SPECS: Mapping[str, LimitSpec] = {spec.name: spec for spec in CATALOGUE}
LIMIT_NAMES: Mapping[str, str] = {
    spec.name: f"{spec.meaning}, in {spec.unit}"
    + ("" if spec.open_end is None else f"; {spec.open_end:f} lets everything pass")
    for spec in CATALOGUE
}

SESSION = "session"
SCOPES = ("platform", "account", "portfolio", SESSION, "instrument")
"""what limits are set on; every limit may be set on each"""
LIMIT_RANGE = "must be a number from 0 to below 10^12 with at most 8 decimal places"


def is_limit(value: Decimal) -> bool:
    """Whether the column, NUMERIC(20,8), holds it exactly: nothing is rounded up to a wider limit in silence."""
    return value.is_finite() and 0 <= value < Decimal(10) ** 12 and value == value.quantize(PLACES)


LimitRow = tuple[str, int, Mapping[str, Decimal | None]]
"""(scope, version, values) of one limit set"""


def loosened(old: Mapping[str, Decimal | None], new: Mapping[str, Decimal | None]) -> list[str]:
    """The names of the limits that a scope's whole new version loosens; what it leaves out it no longer sets."""
    return [name for name, spec in SPECS.items() if spec.is_looser(new.get(name), old.get(name))]


@dataclass(frozen=True)
class EffectiveLimits:
    """The tightest values over all scopes, and the versions that they come from.

    `values` maps each name of the catalogue to a Decimal or None, and is what breakers trip at; `versions` is text
    such as "platform:3 portfolio:7", which every order names. `of_session_only`: limits that nobody but the session
    sets.
    """

    values: Mapping[str, Decimal | None]
    versions: str
    of_session_only: frozenset[str] = frozenset()

    def get(self, name: str) -> Decimal | None:
        """What an order is held to. None, so that there is no entry, where no scope sets it that may permit one."""
        return None if name in self.of_session_only else self.values[name]

    @cached_property
    def asked(self) -> frozenset[str]:
        """The limits that some fact could lie beyond; what only others would be compared with need not be looked up."""
        return frozenset(
            name
            for name, limit in self.values.items()
            if limit is not None and not SPECS[name].lets_everything_pass(limit)
        )

    def tightened_by(self, row: LimitRow | None) -> "EffectiveLimits":
        """With one more scope, the instrument of an order. Its limits are the staff's, as the platform's are."""
        if row is None:
            return self
        scope, version, values = row
        mine = f"{scope}:{version}"
        return EffectiveLimits(
            values={name: SPECS[name].tightest((self.values[name], values.get(name))) for name in SPECS},
            versions=mine if self.versions == "none" else f"{self.versions} {mine}",
            of_session_only=frozenset(name for name in self.of_session_only if values.get(name) is None),
        )


def tightest(sets: Iterable[LimitRow]) -> EffectiveLimits:
    """Combine limit sets: for every name the tightest value that is set."""
    rows = list(sets)
    values = {spec.name: spec.tightest(row.get(spec.name) for _, _, row in rows) for spec in CATALOGUE}
    versions = " ".join(f"{scope}:{version}" for scope, version, _ in rows)
    return EffectiveLimits(values=values, versions=versions or "none", of_session_only=_of_session_only(rows))


def _of_session_only(rows: Iterable[LimitRow]) -> frozenset[str]:
    by_session: set[str] = set()
    by_others: set[str] = set()
    for scope, _, values in rows:
        mine = by_session if scope == SESSION else by_others
        mine.update(name for name, value in values.items() if value is not None)
    return frozenset(by_session - by_others)
