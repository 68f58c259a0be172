"""Where the state machine trades: two portfolios, limits to draw from, and what may be asked of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from hypothesis import strategies as st

from portfolios.models import Role
from portfolios.services.limits import PLATFORM_DEFAULTS, set_limits
from portfolios.services.portfolios import set_member
from rules.models import RuleVersion
from tests.harness.trading import SYMBOLS, Desk, Market

D = Decimal
CASH = 100_000
NEVER = {
    "name": "Whose orders the test asks for", "rule_type": "entry",
    "conditions": [{"field": "price", "operator": "greater_than", "value": 900_000}],
    "actions": [{"type": "buy", "sizing_method": "fixed", "size_unit": "shares", "size_value": 1}],
}  # fmt: skip
# Of the limits of one example some are near and some far, so that each is reached in some of them.
Limits = Mapping[str, tuple[int, ...]]
LIMITS: Limits = {
    "max_order_value": (8_000, 20_000, 100_000),
    "max_order_quantity": (80, 400),
    "max_position_percentage": (15, 40, 100),
    "max_position_value": (12_000, 30_000, 1_000_000),
    "max_open_positions": (1, 2, 3, 3),
    "max_gross_exposure_percentage": (40, 70, 100),
    "max_daily_trades": (6, 50),
    "max_daily_trades_per_symbol": (3, 50),
    "max_daily_trades_per_rule": (3, 50),
    "max_messages_per_minute": (10, 40),
    "max_price_age_seconds": (100,),
}
FAR: Limits = {name: values[-1:] for name, values in LIMITS.items()}
"""in which nearly every order passes"""
NEAR: Limits = {name: values[:1] for name, values in LIMITS.items()}
PICK = st.integers(0, 999)
BOOK = st.integers(0, 1)
SYMBOL = st.sampled_from(SYMBOLS)
QUANTITY = st.integers(1, 60) | st.sampled_from(["most", "one too many"])
THEN = st.sampled_from(["", "paper", "paper", "broker"])
Wish = tuple[str, str, int | str, str]
WISH = st.tuples(
    st.sampled_from(["buy", "buy", "sell"]), st.sampled_from(SYMBOLS), QUANTITY,
    st.sampled_from(["alice", "rule", "flatten"]),
)  # fmt: skip
CENTS = st.integers(7_000, 14_000) | st.integers(4_000, 16_000)
STOCK = st.dictionaries(SYMBOL, st.integers(5, 60), max_size=2)
# What a broker may answer while an order is in a state; "works": it goes on working.
ANSWERS = {
    "submitting": ("works", "rejected", "expired"),
    "accepted": ("cancelling", "cancelled", "rejected", "expired"),
    "partially_filled": ("cancelling", "cancelled", "expired"),
    "cancelling": ("cancelled", "rejected", "expired"),
    "unknown": ("works", "submitting", "cancelled", "expired", "quarantined"),
    "quarantined": ("works", "cancelled", "expired"),
}


@dataclass(frozen=True)
class Scene:
    market: Market
    desks: tuple[Desk, Desk]
    versions: tuple[RuleVersion, RuleVersion]
    bob: Any


def set_the_scene() -> Scene:
    """Alice's two portfolios; Bob is her risk officer and of the staff. The platform's ceilings are out of the way."""
    market = Market(closes=dict.fromkeys(SYMBOLS, 100.0))
    market.tick()
    one, other = (Desk.open(market, cash=CASH, rules=(NEVER,)) for _ in range(2))
    bob = get_user_model().objects.create(username="bob", is_staff=True)
    for desk in (one, other):
        set_member(portfolio=desk.portfolio, user=bob, role=Role.RISK_OFFICER, actor=desk.owner)
    versions = [RuleVersion.objects.get(rule__portfolio=desk.portfolio) for desk in (one, other)]
    high = dict.fromkeys([*LIMITS, "max_messages_per_second"], D(1_000_000))
    set_limits(scope="platform", values=PLATFORM_DEFAULTS | high, actor=None)
    return Scene(market, (one, other), (versions[0], versions[1]), bob)
