"""Whether a rule was in force at a moment that is over, where more than a switch put it there."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from foundation.clock import database_now
from journal.core.events import Event
from journal.services.journal import append
from portfolios.services.portfolios import set_four_eyes, set_member
from rules.models import TradingRule
from rules.past import rule_at
from rules.services.rules import create_rule, deactivate_rule, update_rule
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from trading.services.why_not import Question, why_not

pytestmark = pytest.mark.integration
DEAR = {
    "name": "Dear", "rule_type": "entry",
    "conditions": [{"field": "price", "operator": "greater_than", "value": 105}],
    "actions": [{"type": "buy", "sizing_method": "percentage", "size_value": 1}],
}  # fmt: skip


@pytest.fixture
def waiting(desk: Desk) -> TradingRule:
    """Alice's rule was to be active, but waited for Bob until nobody asked for two people any more."""
    bob = get_user_model().objects.create(username="bob")
    set_member(portfolio=desk.portfolio, user=bob, role="risk_officer", actor=desk.owner)
    set_four_eyes(portfolio_id=desk.portfolio.id, enabled=True, actor=desk.owner)
    made = create_rule(portfolio_id=desk.portfolio.id, rule=DEAR, actor=desk.owner)
    superuser = get_user_model().objects.create_superuser("dora")
    set_four_eyes(portfolio_id=desk.portfolio.id, enabled=False, actor=superuser)
    assert not made.is_active
    return made


def test_what_an_update_put_in_force_was_active(desk: Desk, market: Market, waiting: TradingRule) -> None:
    update_rule(rule_id=waiting.id, rule=DEAR, actor=desk.owner)
    slot = market.tick(AAA=110.0)
    desk.evaluate()
    (trade,) = desk.trades()
    answer = why_not(Question(desk.portfolio, symbol="AAA", rule=waiting, slot=slot))
    assert answer.was_active
    assert [(each.code, each.decision_id) for each in answer.reasons] == [("traded", trade.decision_id)]


def test_an_update_leaves_an_inactive_rule_inactive(desk: Desk, waiting: TradingRule) -> None:
    deactivate_rule(rule_id=waiting.id, actor=desk.owner)
    update_rule(rule_id=waiting.id, rule=DEAR, actor=desk.owner)
    then = rule_at(waiting, database_now())
    assert (then.was_active, then.version and then.version.version) == (False, 2)


@pytest.mark.parametrize("switched_off", [False, True])
def test_an_update_that_does_not_tell_leaves_it_as_it_was(
    desk: Desk, settings: Any, switched_off: bool
) -> None:
    """As entries of long ago, which lack more than that."""
    settings.JOURNAL_CHECK_PAYLOADS = ""
    rule = desk.portfolio.trading_rules.get(name=STRONG_BUY_ENTRY["name"])
    if switched_off:
        deactivate_rule(rule_id=rule.id, actor=desk.owner)
    payload: dict[str, Any] = {"rule_id": rule.id, "version": 1, "name": rule.name, "actor": "alice"}
    now = database_now()
    with transaction.atomic():
        append([Event(stream=desk.portfolio.id, kind="rule.updated", at=now, payload=payload)])
    assert rule_at(rule, database_now()).was_active is not switched_off
