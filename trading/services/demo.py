"""What the demonstration consists of. Nothing else in the project knows that there is one."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

DEMO_GROUP = "demo"  # its members are users that the demonstration made
DEMO_SOURCE = "demo"
DEMO_PORTFOLIO = "Demo portfolio"
DEPOSIT = Decimal(100_000)
DEMO_LIMITS: dict[str, Decimal | None] = {
    "max_order_value": Decimal(20_000),
    "max_position_percentage": Decimal(15),
    "max_daily_trades": Decimal(20),
}
# A tenth of a bar's volume on each snapshot, at the price impact that zipline and LEAN begin with.
DEMO_PAPER_MARKET: dict[str, Decimal | int] = {
    "volume_limit_percentage": Decimal(10),
    "price_impact_bps": Decimal(1000),
    "touch_fill_percentage": Decimal(50),
    "seed": 1,
}
STRONG_BUY_SHARE = 0.2
HOLD_SHARE = 0.5


@dataclass(frozen=True)
class Person:
    """role is what demo.json says; members have it in the portfolio."""

    name: str
    role: str
    is_member: bool = True
    is_staff: bool = False
    is_superuser: bool = False


PEOPLE = (
    Person("admin", "superuser", is_member=False, is_staff=True, is_superuser=True),
    Person("alice", "owner"),
    Person("bob", "risk_officer"),
    Person("victor", "viewer"),
    Person("charlie", "stranger", is_member=False),
    Person("demo-recommender", "service", is_member=False),
)


def invented_recommendations(*, symbols: Sequence[str], day: date) -> list[Mapping[str, Any]]:
    """Advice out of thin air for one market day, the same for the same day: it shows the machine, not foresight.

    About a fifth of it is STRONG_BUY with a confidence above 0.8, which the honest baseline seldom reaches.
    It says no time: the service takes the market's, so that the same day pushed twice is stored once.
    """
    items: list[Mapping[str, Any]] = []
    for symbol in symbols:
        dice = random.Random(f"{symbol} {day.isoformat()}")
        draw = dice.random()
        if draw < STRONG_BUY_SHARE:
            name, confidence = "STRONG_BUY", dice.uniform(0.81, 0.95)
        elif draw < STRONG_BUY_SHARE + HOLD_SHARE:
            name, confidence = "HOLD", dice.uniform(0.4, 0.7)
        else:
            name, confidence = "SELL", dice.uniform(0.5, 0.7)
        items.append(
            {
                "external_id": f"{symbol}:{day.isoformat()}",
                "symbol": symbol,
                "recommendation": name,
                "confidence": round(confidence, 3),
            }
        )
    return items
