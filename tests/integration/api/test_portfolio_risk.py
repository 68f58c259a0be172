"""What the API tells of a portfolio's risk: money as text, ratios as numbers, null for what is unknown."""

import pytest

from portfolios.core.limits import CATALOGUE
from tests.integration.api.conftest import World
from trading.api.risk_serializers import EXAMPLE, PortfolioRiskSerializer

pytestmark = pytest.mark.integration


def test_victor_reads_it(world: World) -> None:
    """AAA is held, and a buy of BBB is working; this market has no bars."""
    answer = world.as_("victor").get(f"/api/portfolios/{world.desk.portfolio.id}/risk")
    assert answer.status_code == 200
    risk = answer.json()
    assert (
        risk["snapshot_version"] and risk["as_of"].startswith("2010-03-01") and risk["unknown_prices"] == []
    )
    assert isinstance(risk["equity"], str) and 99_000 < float(risk["equity"]) < 100_000
    assert {row["symbol"] for row in risk["holdings"]} == {"AAA", "BBB"}
    for row in risk["holdings"]:
        assert isinstance(row["exposure"], str)
        assert row["weight"] == pytest.approx(float(row["exposure"]) / float(risk["equity"]))
        assert row["risk_share"] is None
    weights = [row["weight"] for row in risk["holdings"]]
    assert risk["concentration"]["largest_weight"] == weights[0] == max(weights)
    assert risk["sectors"] == [
        {"sector": "Testing", "exposure_percentage": pytest.approx(100 * sum(weights))}
    ]
    assert risk["returns"]["missing"] == ["AAA", "BBB"] and risk["returns"]["days"] == 0
    assert risk["returns"]["volatility"] is None
    assert [row["amount"] for row in risk["returns"]["values_at_risk"]] == [None, None]
    assert float(risk["drawdown"]["peak_equity"]) >= float(risk["equity"])


def test_every_limit_is_told_with_its_use(world: World) -> None:
    risk = world.as_("alice").get(f"/api/portfolios/{world.desk.portfolio.id}/risk").json()
    assert [row["name"] for row in risk["limits"]] == [spec.name for spec in CATALOGUE]
    rows = {row["name"]: row for row in risk["limits"]}
    positions = rows["max_open_positions"]
    assert (positions["limit"], positions["value"], positions["headroom"]) == ("50", "2", "48")
    assert (positions["utilisation"], positions["scope"], positions["subject"]) == (0.04, "platform", None)
    assert rows["max_position_percentage"]["subject"]["kind"] == "symbol"
    assert rows["max_daily_trades_per_rule"]["subject"] == {
        "kind": "rule", "name": "AI Strong Buy Entry", "id": str(world.rule.id),
    }  # fmt: skip
    order = rows["max_order_value"]
    assert order["per_order"] is True and order["value"] is None and order["utilisation"] is None
    assert (rows["max_correlation"]["value"], rows["max_correlation"]["note"]) == (None, "Not known now.")


def test_an_empty_portfolio_is_told_too(world: World) -> None:
    risk = world.as_("alice").get(f"/api/portfolios/{world.idle.id}/risk").json()
    assert (risk["equity"], risk["holdings"], risk["sectors"]) == ("0", [], [])
    assert risk["concentration"] is None  # no part of an equity of nothing


def test_the_example_of_the_schema_has_the_shape_of_an_answer(world: World) -> None:
    answer = world.as_("alice").get(f"/api/portfolios/{world.desk.portfolio.id}/risk").json()
    assert list(EXAMPLE.value) == list(answer) == list(PortfolioRiskSerializer().fields)
    for part in ("concentration", "returns", "drawdown"):
        assert EXAMPLE.value[part].keys() == answer[part].keys()
    for part in ("holdings", "sectors", "limits"):
        assert EXAMPLE.value[part][0].keys() == answer[part][0].keys()
    assert (
        EXAMPLE.value["returns"]["values_at_risk"][0].keys() == answer["returns"]["values_at_risk"][0].keys()
    )
