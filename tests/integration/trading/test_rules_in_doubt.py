"""While a broker does not say what became of a rule's order, the rule enters nowhere else; its exits go on."""

from typing import Any

import pytest

from tests.harness.at_broker import report
from tests.harness.scripted_broker import LOSE_ANSWER
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from tests.integration.trading.at_brokers import Scene, clean, pass_time, scene, state
from tests.integration.trading.steps import decisions_of
from trading.models import AutoTrade
from trading.services.recovery import recover_due
from trading.services.sending import send_due

pytestmark = pytest.mark.integration
OTHER = {**STRONG_BUY_ENTRY, "name": "Another entry"}
LOSING = {
    "name": "Loss", "rule_type": "exit",
    "conditions": [{"field": "position_pnl_percentage", "operator": "less_than", "value": -5}],
    "actions": [{"type": "sell", "sizing_method": "full_position"}],
}  # fmt: skip


def look(where: Scene, market: Market, **prices: float) -> None:
    """One tick, evaluated; what came of it is sent."""
    market.tick(**prices)
    while where.desk.evaluate() is not None:
        pass
    send_due()


@pytest.fixture
def alice(monkeypatch: pytest.MonkeyPatch, market: Market) -> Scene:
    market.tick()
    return scene(monkeypatch, Desk.open(market, rules=(STRONG_BUY_ENTRY, LOSING)))


def of(symbol: str, **more: Any) -> AutoTrade:
    return AutoTrade.objects.get(symbol=symbol, **more)


def rule_of(symbol: str, **more: Any) -> str:
    rule = of(symbol, **more).rule
    assert rule is not None
    return rule.name


def test_an_order_of_unknown_outcome_holds_up_its_rules_entries_until_it_is_known(
    alice: Scene, market: Market
) -> None:
    alice.venue.on_submit = [LOSE_ANSWER]
    market.advise("AAA")
    look(alice, market)
    first = of("AAA")
    assert state(first) == "unknown"
    market.advise("BBB")
    look(alice, market)
    assert not AutoTrade.objects.filter(symbol="BBB").exists()
    refused = decisions_of(alice.desk, STRONG_BUY_ENTRY["name"])[-1]
    assert refused.instrument is not None and refused.instrument.symbol == "BBB"
    assert (refused.outcome, refused.code) == ("refused", "UNKNOWN_OUTSTANDING")
    pass_time(1)
    recover_due()
    assert state(first) == "accepted"
    look(alice, market)
    assert state(of("BBB")) == "accepted"
    assert clean()


def test_another_rules_entry_and_an_exit_do_not_wait_for_it(alice: Scene, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    alice.desk.evaluate()
    bought = of("AAA")
    report(bought, "filled", int(bought.quantity), fill=int(bought.quantity))
    alice.venue.on_submit = [LOSE_ANSWER]
    market.advice.clear()
    market.advise("BBB")
    look(alice, market)
    assert state(of("BBB")) == "unknown"
    alice.desk.add_rule(**OTHER)
    market.advise("CCC")
    look(alice, market, AAA=90.0)
    assert [rule_of("CCC"), rule_of("AAA", trade_type="sell")] == ["Another entry", "Loss"]
