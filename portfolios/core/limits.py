"""Limits: what they are called, and which one wins.

A limit that no scope sets is None, and None means no trade (`NO_LIMIT_SET`), never "unlimited".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from foundation.core.money import PLACES

LIMIT_NAMES: dict[str, str] = {
    "max_order_value": "Largest value of one order, in the base currency",
    "max_order_quantity": "Largest quantity of one order, in units of the instrument",
    "max_position_percentage": "Largest position, working orders included, in percent of equity",
    "max_open_positions": "Most instruments held or being bought at once",
    "max_gross_exposure_percentage": "Largest sum of positions and working buys, in percent of equity",
    "max_daily_trades": "Most trades of the portfolio in one market day",
    "max_daily_loss_percentage": "Entries stop when the day's loss reaches this percent of the day's first equity",
    "max_price_age_seconds": "Oldest price that an order may be decided on, in seconds of database time",
}

LIMIT_RANGE = "must be a number from 0 to below 10^12 with at most 8 decimal places"


def is_limit(value: Decimal) -> bool:
    """Whether the column, NUMERIC(20,8), holds it exactly: nothing is rounded up to a wider limit in silence."""
    return value.is_finite() and 0 <= value < Decimal(10) ** 12 and value == value.quantize(PLACES)


@dataclass(frozen=True)
class EffectiveLimits:
    """The tightest values over all scopes, and the versions that they come from.

    `values` maps each name of LIMIT_NAMES to a Decimal or None; `versions` is text such as
    "platform:3 portfolio:7", which every order names.
    """

    values: Mapping[str, Decimal | None]
    versions: str

    def get(self, name: str) -> Decimal | None:
        return self.values[name]


def tightest(sets: Iterable[tuple[str, int, Mapping[str, Decimal | None]]]) -> EffectiveLimits:
    """Combine (scope, version, values) rows: for every name the smallest value that is set."""
    rows = list(sets)
    values = {
        name: min((row[name] for _, _, row in rows if row.get(name) is not None), default=None)  # type: ignore[type-var]
        for name in LIMIT_NAMES
    }
    versions = " ".join(f"{scope}:{version}" for scope, version, _ in rows)
    return EffectiveLimits(values=values, versions=versions or "none")
