"""How the paper market treats an account, over the API: its owner sets all of it at once."""

import pytest

from portfolios.models import BrokerAccount
from tests.integration.api.calls import PAPER_MARKET
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration


@pytest.fixture
def path(world: World) -> str:
    return f"/api/portfolios/{world.desk.portfolio.id}/paper-market"


def test_what_is_set_is_shown(world: World, path: str) -> None:
    alice = world.as_("alice")
    shown = alice.put(path, PAPER_MARKET, format="json")
    assert shown.status_code == 200, shown.content
    assert shown.json() == alice.get(path).json()
    assert (shown.json()["fee_per_unit"], shown.json()["latency_ms"]) == ("0.005000", 250)
    assert BrokerAccount.objects.get(portfolio=world.desk.portfolio).volume_limit_percentage == 10


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"volume_limit_percentage": "100.0001"}, "volume_limit_percentage"),
        ({"fee_bps": "-0.0001"}, "fee_bps"),
        ({"latency_ms": 60_001}, "latency_ms"),
        ({"slippage_bps": "NaN"}, "slippage_bps"),
        ({"slipage_bps": "1"}, "slipage_bps"),
    ],
)
def test_what_is_out_of_range_or_unknown_is_named(
    world: World, path: str, change: dict[str, object], named: str
) -> None:
    refused = world.as_("alice").put(path, {**PAPER_MARKET, **change}, format="json")
    assert refused.status_code == 400
    assert named in [error["path"] for error in refused.json()["errors"]]
    assert BrokerAccount.objects.get(portfolio=world.desk.portfolio).volume_limit_percentage == 0


def test_all_of_it_is_given(world: World, path: str) -> None:
    refused = world.as_("alice").put(path, {"fee_bps": "1"}, format="json")
    assert refused.status_code == 400 and len(refused.json()["errors"]) == len(PAPER_MARKET) - 1


def test_a_real_broker_has_none(world: World, path: str) -> None:
    BrokerAccount.objects.filter(portfolio=world.desk.portfolio).update(broker="alpaca")
    refused = world.as_("alice").put(path, PAPER_MARKET, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "real_broker")
