"""How a session does, and its equity curve, over REST."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from portfolios.models import EquityPoint
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration
RATIOS = (
    "win_rate", "profit_factor", "return_percentage", "max_drawdown_percentage", "sharpe_ratio",
    "mean_exposure_percentage", "max_exposure_percentage", "slippage_bps",
)  # fmt: skip


def get(world: World, what: str, **query: str) -> Any:
    answer = world.as_("victor").get(f"/api/auto-trading/sessions/{world.desk.session.id}/{what}", query)
    assert answer.status_code == 200, answer.json()
    return answer.json()


def text(moment: Any) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def test_each_figure_is_text_or_null(world: World) -> None:
    told = get(world, "performance")
    assert (told["total_trades"], told["successful_trades"]) == (1, 0)
    for name in ("realised_pnl", "unrealised_pnl", "fees", "slippage"):
        assert told[name] == f"{Decimal(told[name]):.8f}"
    assert {name for name in RATIOS if told[name] is None} == {"win_rate", "profit_factor", "sharpe_ratio"}
    assert all(told[name] == f"{Decimal(told[name]):.4f}" for name in RATIOS if told[name] is not None)
    assert Decimal(told["slippage"]) == (world.filled.executed_price - 100) * world.filled.filled_quantity
    # bought 50 at 100.12, with a fee, of 100,000
    lost = Decimal(told["realised_pnl"]) + Decimal(told["unrealised_pnl"])
    assert Decimal(told["return_percentage"]) == (lost / 1000).quantize(Decimal("0.0001")) < 0
    assert told["measured_to"] == text(world.market.as_of) > told["measured_from"]


def test_the_status_tells_the_same(world: World) -> None:
    assert get(world, "status")["performance"] == get(world, "performance")


def test_the_curve_is_told_from_its_beginning(world: World) -> None:
    points = get(world, "equity")["results"]
    assert [point["at"] for point in points] == sorted(point["at"] for point in points)
    first = points[0]
    assert first == {
        "at": get(world, "performance")["measured_from"], "equity": "100000.00000000", "cash": "100000.00000000",
        "exposure": "0.00000000", "cost": "0.00000000", "unrealised_pnl": "0.00000000",
        "paid_in": "100000.00000000",
    }  # fmt: skip


def test_the_curve_is_cut_by_market_time_and_thinned_by_day(world: World) -> None:
    session, day = world.desk.session, timedelta(days=1)
    begun = get(world, "equity")["results"]
    morning = world.market.as_of.replace(hour=15, minute=0, second=0, microsecond=0)
    moments = [morning + n * day + timedelta(hours=hour) for n in (1, 2, 3) for hour in (0, 1, 8)]
    EquityPoint.objects.bulk_create(
        EquityPoint(portfolio=session.portfolio, at=at, bucket=at, cash=number, exposure=0, cost=0, paid_in=0)
        for number, at in enumerate(moments)
    )
    told = [point["at"] for point in get(world, "equity")["results"]]
    assert told == [*[point["at"] for point in begun], *map(text, moments)]
    cut = get(world, "equity", **{"from": text(moments[1]), "to": text(moments[4])})["results"]
    assert [point["at"] for point in cut] == [text(at) for at in moments[1:4]]
    # 15:00, 16:00 and 23:00 UTC are of one day each
    daily = get(world, "equity", step="day", **{"from": text(moments[0])})["results"]
    assert [point["at"] for point in daily] == [text(at) for at in moments[2::3]]
    daily = get(world, "equity", step="day", **{"from": text(moments[0]), "to": text(moments[2])})["results"]
    assert [point["at"] for point in daily] == [text(moments[1])]


def test_pages_go_on_where_they_ended(world: World) -> None:
    every = get(world, "equity", page_size="500")["results"]
    page = get(world, "equity", page_size="1")
    found = list(page["results"])
    while page["next"]:
        page = world.as_("victor").get(page["next"]).json()
        found += page["results"]
    assert found == every and len(every) > 1


def test_another_step_is_refused(world: World) -> None:
    answer = world.as_("victor").get(f"/api/auto-trading/sessions/{world.desk.session.id}/equity?step=week")
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "step")
