"""What a rule would do now: told without writing anything, and then done exactly so."""

from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from foundation.errors import InvalidInput, NotFound, Unavailable
from rules.models import TradingRule
from rules.services.rules import deactivate_rule, update_rule
from sessions.services.sessions import pause_trading_session, stop_trading_session
from tests.harness.trading import STOP_LOSS, STRONG_BUY_ENTRY, Desk, Market
from trading.models import AutoTrade, Decision, Halt
from trading.services.previewing import Preview, Previewed, preview_rule

pytestmark = pytest.mark.integration
HALTING = {
    "name": "Stop when it falls", "rule_type": "risk",
    "conditions": [{"field": "drawdown_percentage", "operator": "greater_than", "value": 1}],
    "actions": [{"type": "halt", "mode": "reduce_only"}],
}  # fmt: skip


def everything() -> dict[str, Any]:
    """Of each table the number of its rows and a digest of them, each row with who wrote it last."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            table = model._meta.db_table
            cursor.execute(
                f"SELECT count(*), md5(string_agg(t.xmin::text || t::text, ',' ORDER BY t::text)) FROM {table} AS t"
            )
            found[table] = cursor.fetchone()
    return found


def rule_of(desk: Desk, name: str = "AI Strong Buy Entry") -> TradingRule:
    return TradingRule.objects.get(portfolio=desk.portfolio, name=name)


def about(seen: Preview, symbol: str | None) -> Previewed:
    return next(row for row in seen.symbols if row.symbol == symbol)


def codes(seen: Preview) -> list[str]:
    return [obstacle.code for obstacle in seen.obstacles]


def test_the_next_evaluation_does_exactly_what_was_shown(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.advise("BBB", "HOLD")
    market.tick()
    seen = preview_rule(rule_id=rule_of(desk).id)
    (would,) = about(seen, "AAA").would
    assert (would.outcome, codes(seen), seen.true_for, seen.left_out) == ("traded", [], 1, 0)
    assert about(seen, "AAA").explanation["outcome"] is True
    assert about(seen, "BBB").explanation["outcome"] is False and not about(seen, "BBB").would
    assert about(seen, "CCC").explanation["outcome"] is None

    desk.evaluate()
    (done,), (trade,) = Decision.objects.all(), AutoTrade.objects.all()
    assert (done.sizing, done.detail, done.explanation) == (
        would.sizing,
        would.detail,
        about(seen, "AAA").explanation,
    )
    unsteady = {"STALE_DATA"}  # ages go on by the clock
    assert [row for row in done.checks if row["code"] not in unsteady] == [
        row for row in would.checks if row["code"] not in unsteady
    ]
    assert would.order is not None
    for name in ("symbol", "trade_type", "quantity", "trigger_price", "order_type"):
        assert getattr(trade, name) == getattr(would.order, name), name


def test_nothing_is_written_whatever_would_happen(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    desk.step(AAA=90.0)
    market.advise("BBB")
    desk.add_rule(**{**HALTING, "name": "Is in force, too"})
    market.tick(AAA=80.0)
    before = everything()
    assert before["auto_trades"][0] > 0
    for rule in TradingRule.objects.filter(portfolio=desk.portfolio):
        preview_rule(rule_id=rule.id)
        preview_rule(rule_id=rule.id, content=HALTING)
        preview_rule(rule_id=rule.id, content=STRONG_BUY_ENTRY, symbols=["AAA", "BBB"])
    assert everything() == before


def test_a_stop_that_would_be_armed_is_told_and_is_not_armed(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    market.tick(AAA=60.0)
    seen = preview_rule(rule_id=rule_of(desk).id, content=HALTING)
    (row,) = seen.symbols
    assert (row.symbol, [would.outcome for would in row.would]) == (None, ["halted"])
    assert "armed reduce_only on the portfolio" in row.would[0].detail
    assert not Halt.objects.exists()


def test_content_that_nobody_stored_is_judged_beside_the_rules_in_force(desk: Desk, market: Market) -> None:
    """It says the same with a lower priority, so the stored rules of other names win."""
    desk.add_rule(**{**STRONG_BUY_ENTRY, "name": "First", "priority": 5, "rule_type": "entry"})
    market.advise("AAA")
    market.tick()
    seen = preview_rule(rule_id=rule_of(desk).id, content={**STRONG_BUY_ENTRY, "priority": 1})
    (would,) = about(seen, "AAA").would
    assert (would.outcome, would.order, codes(seen), seen.stored_version) == (
        "outranked", None, ["not_stored"], None
    )  # fmt: skip
    assert would.outranked_by is not None and would.outranked_by["rule_name"] == "First"
    first = preview_rule(rule_id=rule_of(desk).id, content={**STRONG_BUY_ENTRY, "priority": 9})
    assert about(first, "AAA").would[0].outcome == "traded"


def test_a_refusal_is_told_with_its_numbers(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, config={"limits": {"max_order_value": "100"}})
    market.advise("AAA")
    market.tick()
    (would,) = about(preview_rule(rule_id=rule_of(desk).id), "AAA").would
    assert (would.outcome, would.code, would.order) == ("refused", "MAX_ORDER_VALUE", None)
    assert "limit=100" in would.detail


def test_an_exit_is_told_for_what_is_held(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    desk.step()
    del market.advice["AAA"]
    market.tick(AAA=90.0)
    seen = preview_rule(rule_id=rule_of(desk, "Stop Loss Protection").id)
    (would,) = about(seen, "AAA").would
    assert would.order is not None
    assert (would.order.trade_type, would.order.quantity) == ("sell", desk.held("AAA"))
    assert "not held" in about(seen, "BBB").explanation["sentence"]
    other = preview_rule(
        rule_id=rule_of(desk, "Stop Loss Protection").id,
        content={
            **STOP_LOSS,
            "conditions": [{**STOP_LOSS["conditions"][0], "value": -20}],
        },
    )
    assert about(other, "AAA").explanation["outcome"] is False


def test_why_it_would_not_really_happen_is_told(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    market.tick()
    rule = rule_of(desk)
    pause_trading_session(session_id=desk.session.id, actor=desk.owner)
    seen = preview_rule(rule_id=rule.id)
    assert (codes(seen), about(seen, "AAA").would[0].outcome) == (["session_paused"], "traded")
    assert codes(preview_rule(rule_id=rule_of(desk, "Stop Loss Protection").id)) == []
    deactivate_rule(rule_id=rule.id, actor=desk.owner)
    assert codes(preview_rule(rule_id=rule.id)) == ["session_paused", "not_in_force"]
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert codes(preview_rule(rule_id=rule.id)) == ["session_stopping", "not_in_force"]


def test_an_older_version_is_shown_by_its_number(desk: Desk, market: Market) -> None:
    rule = rule_of(desk)
    update_rule(rule_id=rule.id, rule={**STRONG_BUY_ENTRY, "priority": 3}, actor=desk.owner)
    assert (codes(preview_rule(rule_id=rule.id)), preview_rule(rule_id=rule.id).stored_version) == ([], 2)
    assert codes(preview_rule(rule_id=rule.id, version=1)) == ["not_in_force"]
    with pytest.raises(NotFound):
        preview_rule(rule_id=rule.id, version=3)


def test_faults_name_their_place_and_cure(desk: Desk, market: Market) -> None:
    rule = rule_of(desk)
    with pytest.raises(InvalidInput) as caught:
        preview_rule(rule_id=rule.id, symbols=["AAA", "AAAB"])
    (error,) = caught.value.errors or []
    assert (error["path"], error["suggestion"]) == ("symbols[1]", "Did you mean AAA?")
    with pytest.raises(InvalidInput) as caught:
        preview_rule(rule_id=rule.id, content={**STRONG_BUY_ENTRY, "conditions": [{"field": "pric"}]})
    assert all(error["path"].startswith("rule.conditions[0]") for error in caught.value.errors or [])


def test_without_a_session_it_is_as_if_one_ran(market: Market, desk: Desk) -> None:
    market.advise("AAA")
    market.tick()
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    desk.session.refresh_from_db()
    type(desk.session).objects.filter(pk=desk.session.pk).update(status="stopped", end_time=market.as_of)
    seen = preview_rule(rule_id=rule_of(desk).id)
    assert (codes(seen), seen.session) == (["no_session"], None)
    assert about(seen, "AAA").would[0].outcome == "traded"


def test_without_a_market_nothing_can_be_told(committed_db: object) -> None:
    market = Market()
    desk = Desk.open(market)
    with pytest.raises(Unavailable):
        preview_rule(rule_id=rule_of(desk).id)
