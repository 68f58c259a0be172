"""The paper market by the protocol of every broker: what it tells is what the ledger and the executions say."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from foundation.clock import database_now
from portfolios.models import BrokerAccount, Position
from tests.harness.paper import fresh, order, paper_market, wide_limits
from tests.harness.trading import Desk, Market
from trading.brokers.paper import PaperBroker
from trading.brokers.protocol import (
    Accepted,
    BrokerPosition,
    CancelRefused,
    CancelRequested,
    GateClosed,
    NotCapable,
    OrderTicket,
    Rejected,
)
from trading.core.order_states import OrderState
from trading.models import AutoTrade
from trading.services.emergency_stop import arm
from trading.services.paper_market import terms_of
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration
D = Decimal


@pytest.fixture
def broker(desk: Desk) -> PaperBroker:
    wide_limits()
    return PaperBroker(BrokerAccount.objects.get(portfolio=desk.portfolio))


def ticket(trade: AutoTrade) -> OrderTicket:
    return OrderTicket(trade.client_order_id, trade.symbol, trade.trade_type, trade.quantity, terms_of(trade))


def open_gate() -> None: ...


def closed_gate() -> None:
    raise GateClosed("a halt")


def test_submitting_executes_the_intent_at_once_and_again_tells_it_as_it_is(
    desk: Desk, broker: PaperBroker
) -> None:
    trade = order(desk)
    assert broker.order_by_client_id(trade.client_order_id) is None, "not there yet"
    first = broker.submit(ticket(trade), gate=open_gate)
    assert isinstance(first, Accepted)
    assert (first.order.state, first.order.filled_quantity) == (OrderState.FILLED, 10)
    assert broker.submit(ticket(trade), gate=closed_gate) == first, "the gate is for what is sent"
    assert broker.order_by_client_id(trade.client_order_id) == first.order
    assert fresh(trade).status == "filled"


def test_a_closed_gate_leaves_it_pending(desk: Desk, broker: PaperBroker) -> None:
    trade = order(desk)
    with pytest.raises(GateClosed):
        broker.submit(ticket(trade), gate=closed_gate)
    assert fresh(trade).status == "pending"


def test_only_our_own_intents_are_taken_as_they_are(desk: Desk, broker: PaperBroker) -> None:
    trade = order(desk)
    stranger = broker.submit(replace(ticket(trade), client_order_id="at-stranger"), gate=open_gate)
    changed = broker.submit(replace(ticket(trade), quantity=D(11)), gate=open_gate)
    assert isinstance(stranger, Rejected) and stranger.code == "no_intent"
    assert isinstance(changed, Rejected) and changed.code == "not_the_intent"
    assert fresh(trade).status == "pending"


def test_what_a_halt_stops_is_rejected_with_its_reason(desk: Desk, broker: PaperBroker) -> None:
    trade = order(desk)
    arm(scope="portfolio", scope_id=str(desk.portfolio.id), reason="drill", actor=desk.owner)
    outcome = broker.submit(ticket(trade), gate=open_gate)
    assert isinstance(outcome, Rejected) and "HALTED" in outcome.reason
    assert broker.orders_since(database_now() - timedelta(hours=1)) == [], "it never was there"


def test_a_market_order_without_a_market_is_accepted_and_waits(
    desk: Desk, market: Market, broker: PaperBroker
) -> None:
    trade = order(desk)
    market.is_open = False
    market.tick()
    outcome = broker.submit(ticket(trade), gate=open_gate)
    assert isinstance(outcome, Accepted) and outcome.order.state == OrderState.ACCEPTED
    assert fresh(trade).status == "pending"


def test_orders_executions_positions_and_cash(desk: Desk, market: Market, broker: PaperBroker) -> None:
    before = database_now()
    paper_market(desk, volume_limit_percentage="10", fee_bps="0", fee_minimum="1", slippage_bps="0")
    market.volumes["AAA"] = 60
    part = order(desk)
    rests = order(desk, "buy", 5, "BBB", order_type="limit", limit_price=D(50))
    market.tick()
    execute_pending()
    assert {(row.client_order_id, row.state, row.filled_quantity) for row in broker.open_orders()} == {
        (part.client_order_id, OrderState.PARTIALLY_FILLED, 6),
        (rests.client_order_id, OrderState.ACCEPTED, 0),
    }
    market.tick()
    execute_pending()
    assert [row.client_order_id for row in broker.open_orders()] == [rests.client_order_id]
    assert len(broker.orders_since(before)) == 2 and broker.orders_since(database_now()) == []
    fills = broker.executions_since(before)
    assert [(row.quantity, row.price, row.fee) for row in fills] == [
        (6, D("100.10"), 1),
        (4, D("100.10"), 0),
    ]
    assert len({row.execution_id for row in fills}) == 2
    assert broker.positions() == [BrokerPosition("AAA", D(10))]
    told = broker.account()
    assert (told.cash, told.currency, told.trading_objection) == (100_000 - D("1001.00") - 1, "USD", "")


def test_it_is_a_witness_beside_our_columns(desk: Desk, market: Market, broker: PaperBroker) -> None:
    order(desk)
    desk.step()
    Position.objects.update(quantity=99)
    type(desk.portfolio).objects.update(cash=1)
    assert broker.positions() == [BrokerPosition("AAA", D(10))]
    assert broker.account().cash > 98_000


def test_what_is_sold_again_is_no_position(desk: Desk, broker: PaperBroker) -> None:
    order(desk)
    desk.step()
    order(desk, "sell")
    desk.step()
    assert broker.positions() == []


def test_a_cancel_goes_through_order_management(desk: Desk, broker: PaperBroker) -> None:
    trade = order(desk)
    accepted = broker.submit(ticket(order(desk, "buy", 1, "BBB")), gate=open_gate)
    assert isinstance(accepted, Accepted)
    assert isinstance(broker.cancel(accepted.order), CancelRefused), "it is filled"
    assert isinstance(broker.cancel(replace(accepted.order, client_order_id="at-stranger")), CancelRefused)
    waiting = order(desk, "buy", 2, "CCC")
    told = replace(accepted.order, client_order_id=waiting.client_order_id)
    assert isinstance(broker.cancel(told), CancelRequested)
    assert fresh(waiting).status == "cancelled" and fresh(trade).status == "filled"


def test_what_it_cannot_it_says(broker: PaperBroker) -> None:
    assert not (
        broker.capabilities.replaces or broker.capabilities.streams or broker.capabilities.has_network
    )
    with pytest.raises(NotCapable):
        broker.stream()
    broker.close()
