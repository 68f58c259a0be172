"""After it acted a rule rests: in market time, whatever version, session or process it acted in."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from rules.services.rules import update_rule
from sessions.services.sessions import start_trading_session, stop_trading_session
from tests.harness.databases import CommittedDatabase
from tests.harness.trading import Desk, Market
from tests.integration.trading.resting import STRONG_BUY, TEN_SHARES, alerting, alerts, buying, holding
from tests.integration.trading.steps import decisions_of, outcomes_of, step_later
from trading.models import RuleAct
from trading.services import auto_trading
from trading.services.stopping import finish_stopping

pytestmark = pytest.mark.integration
BASE_DIR = Path(__file__).resolve().parents[3]


@pytest.fixture
def desk(market: Market) -> Desk:
    market.tick()
    return Desk.open(market, rules=(buying(),))


def test_a_rule_rests_for_the_symbol_that_it_traded(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    acted_at = market.as_of
    market.advise("BBB")
    desk.step()
    step_later(desk, minutes=28)
    assert (desk.held("AAA"), desk.held("BBB")) == (10, 10)
    step_later(desk, minutes=1)
    assert (desk.held("AAA"), desk.held("BBB")) == (20, 10), "30 minutes have gone by for AAA, 29 for BBB"
    resting = [row for row in decisions_of(desk, "Buy ten") if row.outcome == "resting"]
    told = {row.instrument.symbol: (row.detail, row.repeated) for row in resting if row.instrument}
    assert acted_at.strftime("%H:%M") == "14:32"
    assert told == {
        "AAA": ("Buy ten rests until 2010-03-01 15:02 UTC", 1),
        "BBB": ("Buy ten rests until 2010-03-01 15:03 UTC", 1),
    }


def test_per_rule_it_rests_for_all_symbols_from_its_first_act_on(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(buying(per="rule"),))
    for symbol in ("AAA", "BBB"):
        market.advise(symbol)
    desk.step()
    assert outcomes_of(desk, "Buy ten") == [("AAA", "traded", 0), ("BBB", "resting", 0)]
    market.advise("CCC")
    desk.step()
    assert (desk.held("AAA"), desk.held("BBB"), desk.held("CCC")) == (10, 0, 0)


def test_a_refusal_starts_no_rest(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.is_open = False
    desk.step()
    market.is_open = True
    desk.step()
    assert [row.outcome for row in decisions_of(desk, "Buy ten")] == ["refused", "traded"]


def test_being_outranked_starts_no_rest(desk: Desk, market: Market) -> None:
    more = {**buying(), "name": "Urgent", "priority": 5}
    del more["cooldown"]
    more["actions"] = [{**TEN_SHARES, "max_position_size": 1}]
    desk.add_rule(**more)
    market.advise("AAA")
    desk.step()
    assert outcomes_of(desk, "Buy ten") == [("AAA", "outranked", 0)]
    assert not RuleAct.objects.exists()


def test_finding_no_size_starts_no_rest(market: Market) -> None:
    market.tick()
    tiny = {**buying(), "actions": [{**TEN_SHARES, "size_value": 0.5}]}
    desk = Desk.open(market, rules=(tiny,))
    market.advise("AAA")
    desk.step()
    assert [row.outcome for row in decisions_of(desk, "Buy ten")] == ["no_size"]
    assert not RuleAct.objects.exists()


def test_the_rest_outlives_a_new_version(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    rule = desk.portfolio.trading_rules.get()
    update_rule(rule_id=rule.id, rule={**buying(minutes=20), "priority": 3}, actor=desk.owner)
    step_later(desk, minutes=19)
    assert desk.held("AAA") == 10
    step_later(desk, minutes=1)
    assert desk.held("AAA") == 20, "the new version rests 20 minutes, counted from the old one's act"


def test_the_rest_outlives_the_session(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    finish_stopping()
    start_trading_session(portfolio_id=desk.portfolio.id, config={}, actor=desk.owner)
    desk.step()
    assert desk.held("AAA") == 10
    step_later(desk, minutes=29)
    assert desk.held("AAA") == 20


def test_the_rest_outlives_the_process(desk: Desk, market: Market, committed_db: CommittedDatabase) -> None:
    market.advise("AAA")
    desk.step()
    market.tick()
    evaluate = "from trading.services.auto_trading import evaluate_next_slice as go; print(go().triggered)"
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", evaluate],
        cwd=BASE_DIR, env=os.environ | committed_db.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr
    assert outcomes_of(desk, "Buy ten") == [("AAA", "traded", 0), ("AAA", "resting", 0)]


def test_without_a_cooldown_nothing_is_kept(market: Market) -> None:
    market.tick()
    desk = Desk.open(market)
    market.advise("AAA")
    desk.step()
    assert desk.held("AAA") == 50
    assert not RuleAct.objects.exists()


def test_when_rules_acted_is_read_in_one_query(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(buying(), {**buying(), "name": "Another"}))
    Desk.open(market, owner="dora", rules=(buying(),))
    for symbol in ("AAA", "BBB", "CCC"):
        market.advise(symbol)
    desk.step()
    market.tick()
    with CaptureQueriesContext(connection) as captured:
        desk.evaluate()
    assert {outcome for _, outcome, _ in outcomes_of(desk, "Buy ten")} == {"traded", "resting"}
    reading = [sql for sql in (query["sql"] for query in captured) if 'FROM "trading_ruleact"' in sql]
    assert len(reading) == 1


# --- alerts ------------------------------------------------------------------------------------------


def test_a_rule_that_only_alerts_reminds_after_each_rest(market: Market) -> None:
    desk = holding(market, alerting())
    desk.step(AAA=90.0)
    step_later(desk, minutes=30)
    step_later(desk, minutes=29)
    assert alerts(desk) == 1
    step_later(desk, minutes=1)
    assert alerts(desk) == 2
    desk.step()
    assert alerts(desk) == 2
    told = [(row.outcome, row.repeated) for row in decisions_of(desk, "Tell")]
    assert told == [("alerted", 0), ("resting", 1), ("alerted", 0), ("resting", 0)]


def test_per_rule_the_first_act_is_the_same_in_whatever_order_rules_are_told(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = auto_trading.evaluate_rules

    def turned(*given: Any) -> Any:
        triggered, rules = genuine(*given)
        return triggered[::-1], rules

    monkeypatch.setattr(auto_trading, "evaluate_rules", turned)
    market.tick()
    told = alerting(rule_type="entry", conditions=[STRONG_BUY], cooldown={"minutes": 60, "per": "rule"})
    desk = Desk.open(market, rules=(told,))
    for symbol in ("AAA", "BBB"):
        market.advise(symbol)
    desk.step()
    assert outcomes_of(desk, "Tell") == [("AAA", "alerted", 0), ("BBB", "resting", 0)]


def test_a_rest_shorter_than_the_pause_between_ticks_reminds_each_time(market: Market) -> None:
    desk = holding(market, alerting(cooldown={"minutes": 5}))
    desk.step(AAA=90.0)
    step_later(desk, minutes=600)
    assert alerts(desk) == 2


def test_a_refused_sell_does_not_wait_for_the_rest_of_its_alert(market: Market) -> None:
    desk = holding(market, alerting({"type": "sell", "sizing_method": "full_position"}))
    market.is_open = False
    desk.step(AAA=90.0)
    assert alerts(desk) == 0 and desk.held("AAA") == 10, "nothing was done that could be told"
    market.is_open = True
    desk.step()
    assert alerts(desk) == 1 and desk.held("AAA") == 0


def test_a_block_does_not_rest(market: Market) -> None:
    """It is no act but holds while the rule is true, also while the rule's alert rests."""
    alert = {"type": "alert", "message": "it is losing"}
    guard = {
        "name": "Guard", "rule_type": "risk", "actions": [{"type": "block_entries"}, alert],
        "conditions": [{"field": "portfolio_cash_percentage", "operator": "greater_than", "value": 0}],
        "cooldown": {"minutes": 60},
    }  # fmt: skip
    market.tick()
    desk = Desk.open(market, rules=(buying(), guard))
    market.advise("AAA")
    for _ in range(3):
        desk.step()
    assert desk.trades() == []
    assert alerts(desk) == 1
    assert sorted(outcomes_of(desk, "Guard"), key=str) == [
        (None, "alerted", 0),
        (None, "blocking", 2),
        (None, "resting", 1),
    ]
