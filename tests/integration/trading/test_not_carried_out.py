"""What this version does not carry out is not traded half, should a rule with it be in force all the same.

At present that is nothing: the word is planted.
"""

from typing import Any

import pytest

from rules.models import TradingRule
from rules.services.rules import create_rule
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from tests.integration.trading.steps import decisions_of

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("without_limit_orders")]


def in_force(desk: Desk, **changes: Any) -> TradingRule:
    """As an older database may have it: no service would put it there."""
    (action,) = STRONG_BUY_ENTRY["actions"]
    rule = {**STRONG_BUY_ENTRY, "name": "Old", "priority": 9, "actions": [{**action, **changes}]}
    stored = create_rule(portfolio_id=desk.portfolio.id, rule=rule, actor=desk.owner, is_active=False)
    TradingRule.objects.filter(pk=stored.pk).update(is_active=True)
    return stored


def test_it_is_refused_rather_than_traded_without_its_limit(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=())
    in_force(desk, order_type="limit", limit_offset_bps=10)
    market.advise("AAA")
    desk.step()
    assert desk.trades() == []
    (told,) = decisions_of(desk, "Old")
    assert (told.outcome, told.code) == ("refused", "NOT_PERMITTED")
    assert told.detail == "NOT_PERMITTED: Limit orders are not carried out in this version."


def test_it_outranks_nobody(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY,))
    in_force(desk, order_type="limit", limit_offset_bps=10)
    market.advise("AAA")
    desk.step()
    assert desk.held("AAA") == 50
