"""The decision before a draft is found by one probe of an index, however many a session has made."""

from typing import Any

import pytest
from django.db import connection

from tests.harness.trading import Desk
from trading.services import decisions

pytestmark = pytest.mark.integration
ROWS = """
    INSERT INTO trading_decision (id, portfolio_id, session_id, rule_id, instrument_id, slot, market_at, outcome, code,
        detail, explanation, sizing, checks, repeated, last_slot, last_market_at)
    SELECT gen_random_uuid(), %s, %s, %s, NULL, n, now(), 'lapsed', '', '', '{}', '{}', '[]', 0, n, now()
    FROM generate_series(1, 2000) AS n
"""


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes(child))]


def test_each_key_is_one_probe_with_and_without_a_rule_and_an_instrument(desk: Desk) -> None:
    rule_id = desk.portfolio.trading_rules.get(rule_type="entry").id
    instrument_id = desk.market.instruments[0].id
    keys = [(desk.session.id, rule, of, "") for rule in (rule_id, None) for of in (None, instrument_id)]
    with connection.cursor() as cursor:
        cursor.execute(ROWS, [desk.portfolio.id, desk.session.id, rule_id])
        columns = [[key[column] for key in keys] for column in range(4)]
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {decisions._PREDECESSORS}", columns)
        ((explained,),) = cursor.fetchall()
    (scan,) = [
        node for node in nodes(explained[0]["Plan"]) if node.get("Relation Name") == "trading_decision"
    ]
    assert (scan["Node Type"], scan.get("Index Name")) == ("Index Scan", "decision_predecessor")
    assert (scan["Actual Loops"], scan.get("Rows Removed by Filter", 0)) == (4, 0)
    assert "Sort" not in {node["Node Type"] for node in nodes(explained[0]["Plan"])}


def test_what_no_session_decided_is_one_probe_of_its_own(desk: Desk) -> None:
    keys = [(desk.portfolio.id, None, of, "") for of in (None, desk.market.instruments[0].id)]
    with connection.cursor() as cursor:
        cursor.execute(ROWS, [desk.portfolio.id, desk.session.id, None])
        cursor.execute(ROWS, [desk.portfolio.id, None, None])
        columns = [[key[column] for key in keys] for column in range(4)]
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {decisions._PREDECESSORS_OUTSIDE}", columns)
        ((explained,),) = cursor.fetchall()
    (scan,) = [
        node for node in nodes(explained[0]["Plan"]) if node.get("Relation Name") == "trading_decision"
    ]
    assert (scan["Node Type"], scan.get("Index Name")) == ("Index Scan", "decision_predecessor_outside")
    assert (scan["Actual Loops"], scan.get("Rows Removed by Filter", 0)) == (2, 0)
    assert "Sort" not in {node["Node Type"] for node in nodes(explained[0]["Plan"])}
