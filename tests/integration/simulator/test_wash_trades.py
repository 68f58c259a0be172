"""Beside an open order of the other side the simulator takes what Alpaca takes ("Preventing Wash Trades")."""

import pytest

from tests.harness.simulator import Simulator
from tests.integration.simulator.talking import KEY, SECRET, Alpaca

pytestmark = pytest.mark.integration
LIMIT, STOP_LIMIT = {"type": "limit"}, {"type": "stop_limit"}
MARKET, STOP, TRAILING = {"type": "market"}, {"type": "stop"}, {"type": "trailing_stop", "trail_percent": "5"}
BUYS = {
    "limit": {"limit_price": "90"},
    "stop_limit": {"stop_price": "110", "limit_price": "111"},
    "stop": {"stop_price": "110"},
}
SELLS = {
    "limit": {"limit_price": "120"},
    "stop_limit": {"stop_price": "85", "limit_price": "84"},
    "stop": {"stop_price": "85"},
}


@pytest.fixture
def alice(simulator: Simulator):
    simulator.account(KEY, secret=SECRET)
    simulator.quotes(AAPL="100")
    simulator.foreign_position(KEY, symbol="AAPL", qty=100)
    simulator.policy(hold=True)
    client = Alpaca(simulator)
    yield client
    client.http.close()


def placed(alice: Alpaca, name: str, side: str, terms: dict[str, str]):
    prices = (BUYS if side == "buy" else SELLS).get(terms["type"], {})
    return alice.submit(name, side=side, **terms, **prices)


@pytest.mark.parametrize(
    ("resting", "then", "reason"),
    [
        (LIMIT, MARKET, "limit"),
        (LIMIT, STOP, "limit"),
        (STOP_LIMIT, MARKET, "limit"),
        (MARKET, LIMIT, "market/stop"),
        (STOP, LIMIT, "market/stop"),
        (STOP, MARKET, "market/stop"),
        (STOP, STOP_LIMIT, "market/stop"),
        (LIMIT, LIMIT, ""),
        (TRAILING, MARKET, ""),
        (LIMIT, TRAILING, ""),
    ],
)
def test_the_table_of_types(alice, simulator, resting, then, reason):
    assert placed(alice, "buy", "buy", resting).status_code == 200
    answer = placed(alice, "sell", "sell", then)
    assert answer.status_code == (403 if reason else 200)
    if reason:
        assert answer.json() == {
            "code": 40310000,
            "message": "potential wash trade detected. use complex orders",
            "existing_order_id": alice.order("buy")["id"],
            "reject_reason": f"opposite side {reason} order exists",
        }


def test_limits_are_rejected_only_where_they_cross(alice):
    assert alice.submit("buy", type="limit", limit_price="90").status_code == 200
    for price, status in (("90", 403), ("90.01", 200)):
        assert (
            alice.submit(price, side="sell", qty="1", type="limit", limit_price=price).status_code == status
        )
    assert alice.submit("other", symbol="AAPL", qty="1", type="limit", limit_price="90.02").status_code == 403


def test_until_its_cancel_is_done_an_order_counts(alice, simulator):
    simulator.policy(cancel_delay=[60, 60])
    placed(alice, "buy", "buy", LIMIT)
    assert alice.cancel("buy").status_code == 204
    assert placed(alice, "sell", "sell", MARKET).status_code == 403
    simulator.cancel("buy")
    assert placed(alice, "again", "sell", MARKET).status_code == 200
