"""A protective sale that its broker keeps rejecting: told when it begins, now and then, and when it is over."""

import json

import pytest

from journal.models import Alert
from tests.harness.at_simulator import KEY, AtSimulator
from tests.harness.trading import Desk, Market
from tests.integration.trading.at_brokers import pass_time
from tests.integration.trading.protecting import buying, sells, told
from trading.models import Protection
from trading.services.protection_watch import watch_protections
from trading.services.sending import send_due

pytestmark = pytest.mark.integration
REASON = "account is not authorized to trade (40310000)"
REACHED = "Stop loss of AAA: the price is 90, at or below 95, which is 5 % below its average cost of 100."


@pytest.fixture
def desk(market: Market) -> Desk:
    market.tick()
    return Desk.open(market, rules=(buying(stop_loss_percentage=5),))


@pytest.fixture
def holding(at_simulator: AtSimulator) -> AtSimulator:
    """50 of AAA, bought there at 100 by a rule that protects them; the broker takes no more orders."""
    at = at_simulator
    at.desk.market.advise("AAA")
    at.desk.market.tick()
    at.desk.evaluate()
    send_due()
    (buy,) = at.desk.trades()
    at.simulator.fill(buy.client_order_id)
    at.reconcile()
    at.desk.market.advise("AAA", "HOLD", 0.5)
    at.simulator.change_account(KEY, trading_blocked=True)
    return at


def look(at: AtSimulator, *, price: float = 90, after: float = 0) -> int:
    """The watcher and the sender look once, some seconds later; how many sales they tried."""
    pass_time(after)
    at.desk.market.tick(AAA=price)
    made = watch_protections()
    send_due()
    return made


def alerts() -> list[tuple[str, str, str]]:
    rows = Alert.objects.filter(kind__startswith="protection.").order_by("created_at")
    return list(rows.values_list("kind", "severity", "message"))


def refused(times: str) -> tuple[str, str, str]:
    told = f"{REACHED} It is not sold: its broker has rejected the sale {times}: {REASON}. It is tried again."
    return ("protection.refused", "critical", told)


def test_it_is_told_at_its_beginning_and_tried_after_ever_longer_whiles(holding: AtSimulator) -> None:
    tries = [look(holding, after=seconds) for seconds in (0, 2, 2, 2, 5, 6, 10, 11, 20)]
    assert tries == [1, 0, 0, 1, 0, 1, 0, 1, 0]
    assert alerts() == [("protection.triggered", "warning", REACHED), refused("once")]
    assert Protection.objects.get().refusal == "BROKER_REJECTED"
    assert len(told(holding.desk, "protection.triggered")) == 4, "the journal has each try"


def test_it_is_told_again_when_it_goes_on(holding: AtSimulator) -> None:
    for _ in range(8):
        assert look(holding, after=301) == 1
    assert [one for one in alerts() if one[1] == "critical"] == [refused("once"), refused("6 times in a row")]
    assert look(holding, after=290) == 0, "the longest while is five minutes"


def test_a_market_whose_clock_is_slower_makes_no_other_news_of_it(holding: AtSimulator) -> None:
    """By market time the next try would be a twin of the last one for a moment yet."""
    look(holding)
    pass_time(6)
    for _ in range(3):
        holding.desk.market.tick(minutes=1 / 60, AAA=90)
        assert watch_protections() == 0
    assert [one[0] for one in alerts()] == ["protection.triggered"]
    assert look(holding) == 1
    assert alerts()[1:] == [refused("once")]


def test_what_a_control_refuses_between_two_tries_does_not_begin_it_anew(holding: AtSimulator) -> None:
    for seconds in (0, 6, 11):
        look(holding, after=seconds)
    holding.desk.market.is_open = False
    assert look(holding, after=21) == 0
    holding.desk.market.is_open = True
    assert look(holding, after=21) == 1
    codes = [json.loads(entry.payload)["code"] for entry in told(holding.desk, "protection.refused")]
    assert codes == ["BROKER_REJECTED", "MARKET_CLOSED"]
    assert Protection.objects.get().refusal == "BROKER_REJECTED"


def test_its_end_is_told_when_it_is_sold(holding: AtSimulator) -> None:
    look(holding)
    look(holding, after=6)
    holding.simulator.change_account(KEY, trading_blocked=False)
    assert look(holding, after=11) == 1
    sale = sells(holding.desk)[-1]
    assert alerts()[2:] == []
    holding.simulator.fill(sale.client_order_id)
    holding.reconcile()
    over = (
        "The protection of AAA, whose sale the broker had rejected, is well again: nothing is held any more."
    )
    assert (holding.desk.held("AAA"), alerts()[2:]) == (0, [("protection.recovered", "info", over)])


def test_its_end_is_told_when_the_price_is_back_and_it_begins_anew_later(holding: AtSimulator) -> None:
    look(holding)
    look(holding, after=6)
    for _ in range(2):
        look(holding, price=99)
    (over,) = alerts()[2:]
    assert over[:2] == ("protection.recovered", "info") and "the price is 99" in over[2]
    assert Protection.objects.get().refusal == ""
    assert [look(holding, after=seconds) for seconds in (3600, 6)] == [1, 1]
    assert [one[0] for one in alerts()[3:]] == ["protection.triggered", "protection.refused"]


def test_one_that_the_broker_rejects_after_it_took_it_counts_too(holding: AtSimulator) -> None:
    holding.simulator.change_account(KEY, trading_blocked=False)
    look(holding)
    (sale,) = sells(holding.desk)
    holding.simulator.reject(sale.client_order_id)
    holding.reconcile()
    assert [look(holding, after=seconds) for seconds in (2, 6)] == [0, 1]
    assert [one[:2] for one in alerts()][1:] == [("protection.refused", "critical")]
