"""What trades is what two people have agreed on, up to the moment and from the moment of the second's approval."""

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connections, transaction

from foundation.errors import Conflict
from portfolios.selectors import effective_limits
from portfolios.services.limits import approve_limits, set_limits
from portfolios.services.portfolios import set_four_eyes, set_member
from rules.models import RuleVersion, TradingRule
from rules.selectors import active_rule_versions, rules_in_force
from rules.services.rules import approve_rule_version, create_rule, update_rule
from tests.harness.databases import CommittedDatabase
from tests.harness.trading import STOP_LOSS, STRONG_BUY_ENTRY, Desk, Market

pytestmark = pytest.mark.integration


@pytest.fixture
def bob(desk: Desk) -> Any:
    """Her risk officer; from now on Alice's changes wait for him."""
    made = get_user_model().objects.create(username="bob")
    set_member(portfolio=desk.portfolio, user=made, role="risk_officer", actor=desk.owner)
    set_four_eyes(portfolio_id=desk.portfolio.id, enabled=True, actor=desk.owner)
    return made


def bought(desk: Desk) -> list[tuple[str, int, Decimal]]:
    """(symbol, rule version, quantity) of each buy."""
    return [
        (trade.symbol, trade.rule_version.version, trade.quantity)
        for trade in desk.trades()
        if trade.trade_type == "buy" and trade.rule_version is not None
    ]


def propose_smaller(desk: Desk) -> TradingRule:
    """Alice's entry is to buy 2 % instead of 5 %."""
    rule = TradingRule.objects.get(portfolio=desk.portfolio, rule_type="entry")
    actions = [{**STRONG_BUY_ENTRY["actions"][0], "size_value": 2}]
    return update_rule(rule_id=rule.id, rule={**STRONG_BUY_ENTRY, "actions": actions}, actor=desk.owner)


def test_the_old_version_trades_until_the_new_one_is_approved(desk: Desk, market: Market, bob: Any) -> None:
    rule = propose_smaller(desk)
    market.advise("AAA")
    desk.step()
    assert bought(desk) == [("AAA", 1, 50)]  # 5 % of 100,000 at 100
    approve_rule_version(rule_id=rule.id, version=2, actor=bob)
    market.advise("AAA", "HOLD")
    market.advise("BBB")
    desk.step()
    assert bought(desk)[1:] == [("BBB", 2, 19)]  # 2 % of what is left


def test_a_new_rule_trades_once_it_is_approved(desk: Desk, market: Market, bob: Any) -> None:
    condition = {"field": "price", "operator": "greater_than", "value": 1}
    content = {
        "name": "All in", "rule_type": "entry", "conditions": [condition],
        "actions": [{"type": "buy", "sizing_method": "percentage", "size_value": 1}],
    }  # fmt: skip
    rule = create_rule(portfolio_id=desk.portfolio.id, rule=content, actor=desk.owner)
    desk.step()
    assert desk.trades() == [] and desk.decisions() == []
    approve_rule_version(rule_id=rule.id, version=1, actor=bob)
    desk.step()
    assert {trade.rule_id for trade in desk.trades()} == {rule.id}


def test_a_proposal_does_not_take_the_stop_loss_out_of_force(desk: Desk, market: Market, bob: Any) -> None:
    stop = TradingRule.objects.get(portfolio=desk.portfolio, rule_type="exit")
    conditions = [{**STOP_LOSS["conditions"][0], "value": -50}]
    update_rule(rule_id=stop.id, rule={**STOP_LOSS, "conditions": conditions}, actor=desk.owner)
    market.advise("AAA")
    desk.step()
    market.advise("AAA", "HOLD")
    desk.step(AAA=90.0)
    assert desk.held("AAA") == 0


def test_the_old_limit_holds_until_the_new_one_is_approved(desk: Desk, market: Market, bob: Any) -> None:
    """Alice's portfolio may send orders of 1,000; she proposes 50,000."""
    portfolio_id = desk.portfolio.id
    first = set_limits(
        scope="portfolio", scope_id=portfolio_id, values={"max_order_value": Decimal(1000)}, actor=desk.owner
    )
    approve_limits(limit_set_id=first.id, actor=bob)
    wider = set_limits(
        scope="portfolio",
        scope_id=portfolio_id,
        values={"max_order_value": Decimal(50_000)},
        actor=desk.owner,
    )
    market.advise("AAA")
    desk.step()
    assert desk.trades() == []
    (refusal,) = desk.decisions()
    assert (refusal.outcome, "MAX_ORDER_VALUE" in refusal.detail) == ("refused", True)
    approve_limits(limit_set_id=wider.id, actor=bob)
    desk.step()
    (trade,) = desk.trades()
    assert (trade.symbol, trade.status, trade.limits_version) == ("AAA", "filled", "platform:1 portfolio:2")


def test_a_tighter_limit_holds_from_its_approval_on(desk: Desk, market: Market, bob: Any) -> None:
    tight = set_limits(
        scope="portfolio",
        scope_id=desk.portfolio.id,
        values={"max_order_value": Decimal(1000)},
        actor=desk.owner,
    )
    market.advise("AAA")
    desk.step()
    approve_limits(limit_set_id=tight.id, actor=bob)
    market.advise("BBB")
    desk.step()
    assert [row.symbol for row in desk.trades()] == ["AAA"]


def test_of_many_approvals_at_once_one_is_done(desk: Desk, bob: Any) -> None:
    rule = propose_smaller(desk)
    officers = [bob]
    for number in range(3):
        officers.append(get_user_model().objects.create(username=f"officer-{number}"))
        set_member(portfolio=desk.portfolio, user=officers[-1], role="risk_officer", actor=None)
    barrier, outcomes = threading.Barrier(len(officers)), []

    def approve(officer: Any) -> None:
        try:
            barrier.wait(10)
            approve_rule_version(rule_id=rule.id, version=2, actor=officer)
            outcomes.append(officer.username)
        except Conflict as error:
            outcomes.append(error.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=approve, args=[officer]) for officer in officers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(outcomes), outcomes.count("not_waiting")) == (4, 3)
    version = RuleVersion.objects.select_related("decided_by").get(rule=rule, version=2)
    assert version.decided_by is not None and version.decided_by.username in outcomes


def test_evaluation_looks_for_itself(desk: Desk, bob: Any, committed_db: CommittedDatabase) -> None:
    """Even if the trigger were gone and the table lied, what has no approval would not be in force."""
    rule = propose_smaller(desk)
    lie = "UPDATE trading_rules SET version = 2 WHERE id = %s"
    with committed_db.as_owner() as owner:
        with pytest.raises(Exception, match="has not the approval"):
            owner.execute(lie, [rule.id])
        owner.execute("ALTER TABLE trading_rules DISABLE TRIGGER trading_rules_are_approved")
        owner.execute(lie, [rule.id])
    ids = [desk.portfolio.id]
    assert rule.id not in {row.rule_id for row in active_rule_versions(ids)}
    assert len(rules_in_force(ids)) == 1, "the stop-loss alone"


def test_no_version_begins_to_wait_under_a_rule_that_is_being_pointed_to_it(
    desk: Desk, committed_db: CommittedDatabase
) -> None:
    """Two connections of the application's role, each half of the lie: the second one waits, and is refused.

    Where four eyes are needed already, the first one is refused by itself."""
    rule = TradingRule.objects.get(portfolio=desk.portfolio, rule_type="entry")
    refused: list[str] = []

    def insert() -> None:
        try:
            RuleVersion.objects.create(
                rule=rule, version=7, created_by=desk.owner, needs_approval=True, **rule.content()
            )
        except IntegrityError as error:
            refused.append(str(error))
        finally:
            connections.close_all()

    thread = threading.Thread(target=insert)
    with transaction.atomic():
        TradingRule.objects.filter(pk=rule.pk).update(version=7)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), refused
    thread.join(10)
    assert len(refused) == 1 and "is in force" in refused[0]


def test_the_limits_in_force_name_their_version(desk: Desk, bob: Any) -> None:
    set_limits(
        scope="portfolio",
        scope_id=desk.portfolio.id,
        values={"max_order_value": Decimal(1)},
        actor=desk.owner,
    )
    assert effective_limits({desk.portfolio.id: None})[desk.portfolio.id].versions == "platform:1"
