"""What can be set of an account's paper market: names, units and ranges. What they do: `trading.core.paper`."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Setting:
    """`places` after the point (0: a whole number), from 0 to `maximum`, both included."""

    name: str
    places: int
    maximum: Decimal
    unit: str
    meaning: str


# fmt: off
SETTINGS: tuple[Setting, ...] = (
    Setting("fee_bps", 4, Decimal(1000), "basis points", "fee of the traded value"),
    Setting("fee_per_unit", 6, Decimal(1000), "currency", "fee for each unit"),
    Setting("fee_minimum", 4, Decimal(10_000), "currency", "the least fee of an order"),
    Setting("slippage_bps", 4, Decimal(1000), "basis points", "against every fill, whatever its size"),
    Setting(
        "price_impact_bps", 4, Decimal(5000), "basis points",
        "against the order besides, if it took a bar's whole volume; grows with the square of its share",
    ),
    Setting(
        "volume_limit_percentage", 4, Decimal(100), "percent",
        "of the last completed day's volume, the most that a portfolio trades of an instrument until the next day"
        " completes; 0: no limit",
    ),
    Setting(
        "latency_ms", 0, Decimal(60_000), "milliseconds of market time",
        "between a decision and the first snapshot that may fill it",
    ),
    Setting(
        "touch_fill_percentage", 4, Decimal(100), "percent",
        "how often a price that only touches a limit fills it, by chance of the seed",
    ),
    # As far as a number in JSON is exact everywhere.
    Setting("seed", 0, Decimal(2**53 - 1), "a whole number", "of all that chance decides"),
)
# fmt: on


def fault_of(setting: Setting, value: Decimal) -> str | None:
    """Why the value cannot be set; None when it can."""
    if not value.is_finite() or not 0 <= value <= setting.maximum:
        return f"It must be a number from 0 to {setting.maximum:f} ({setting.unit})."
    if value != round(value, setting.places):
        return f"It must have at most {setting.places} places after the point."
    return None
