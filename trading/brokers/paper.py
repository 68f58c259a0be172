"""The paper market by the protocol of every broker. It has no network, so nothing about it is ever unknown.

It is our own tables: an order is at this broker from when the paper batch has taken it in or filled it. What it holds
is told from the ledger and from executions, not from positions and balances, so that a reconciliation with it compares
two things. All times are database time. Orders of paper accounts need nobody who sends them: `execute_pending` works
them off; `submit` does the same for one portfolio, at once.
"""

import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal

from django.db.models import QuerySet

from foundation.errors import Conflict
from portfolios.models import BrokerAccount
from trading.brokers.paper_capabilities import PAPER_CAPABILITIES
from trading.brokers.protocol import (
    Accepted,
    BrokerAccountState,
    BrokerExecution,
    BrokerOrder,
    BrokerPosition,
    CancelOutcome,
    CancelRefused,
    CancelRequested,
    CashActivity,
    ExecutionStream,
    Gate,
    NotCapable,
    OrderTicket,
    Rejected,
    SubmitOutcome,
    UnreadableActivity,
)
from trading.core.order_states import FINAL, WORKING, OrderState
from trading.core.orders import OrderTerms
from trading.models import AutoTrade, Execution
from trading.selectors.balances import ledger_balance, ledger_units
from trading.services.order_management import cancel_trade
from trading.services.paper_market import terms_of
from trading.services.trade_execution import execute_trade


class PaperBroker:
    """One paper account."""

    capabilities = PAPER_CAPABILITIES

    def __init__(self, account: BrokerAccount) -> None:
        assert account.broker == BrokerAccount.Broker.PAPER
        self._account = account

    def submit(self, ticket: OrderTicket, *, gate: Gate) -> SubmitOutcome:
        """Execute the pending trade of this client id, and what else is due in its portfolio. Sent again it is told
        as it is by then.

        A market order that finds no market is accepted and waits. Raises GateClosed (the trade stays pending).
        """
        trade = self._trades().filter(client_order_id=ticket.client_order_id).first()
        if trade is None:
            return Rejected(
                "There is no such intent: the paper market takes none but ours.", code="no_intent"
            )
        if _ticket_of(trade) != ticket:
            return Rejected("The order is another than the intent of its client id.", code="not_the_intent")
        if trade.status == OrderState.PENDING:
            gate()
            trade = execute_trade(trade.id)
        if trade.status in FINAL and trade.filled_quantity == 0:
            return Rejected(trade.status_reason, code=trade.status)
        return Accepted(_order(trade))

    def cancel(self, order: BrokerOrder) -> CancelOutcome:
        trade_id = self._id_of(order.client_order_id)
        if trade_id is None:
            return CancelRefused("There is no such order.")
        try:
            cancel_trade(trade_id=trade_id, actor=None)
        except Conflict as error:
            return CancelRefused(error.detail)
        return CancelRequested()

    def replace(self, order: BrokerOrder, *, quantity: Decimal, terms: OrderTerms) -> SubmitOutcome:
        raise NotCapable("The paper market replaces no orders: cancel it and make another.")

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        trade = self._taken_in().filter(client_order_id=client_order_id).first()
        return _order(trade) if trade is not None else None

    def open_orders(self) -> Sequence[BrokerOrder]:
        return _orders(self._trades().filter(status__in=[state.value for state in WORKING]))

    def orders_since(self, since: datetime) -> Sequence[BrokerOrder]:
        return _orders(self._taken_in().filter(created_at__gte=since))

    def executions_since(self, since: datetime) -> Sequence[BrokerExecution]:
        """A reversed one, too: it was executed, and the books took it back."""
        rows = Execution.objects.filter(account=self._account, created_at__gte=since)
        return [_execution(row) for row in rows.select_related("trade").order_by("created_at", "id")]

    def positions(self) -> Sequence[BrokerPosition]:
        held = ledger_units(self._account.portfolio_id)
        return [BrokerPosition(symbol, quantity) for symbol, quantity in sorted(held.items()) if quantity]

    def account(self) -> BrokerAccountState:
        portfolio = self._account.portfolio
        return BrokerAccountState(
            account_number=self._account.account_number, currency=portfolio.base_currency,
            cash=ledger_balance(portfolio.id),
        )  # fmt: skip

    def cash_activities_since(self, since: datetime) -> Sequence[CashActivity | UnreadableActivity]:
        raise NotCapable("The paper market charges nothing outside of its fills.")

    def stream(self) -> AbstractContextManager[ExecutionStream]:
        raise NotCapable(
            "The paper market tells of nothing by itself: its fills are in the books when they are made."
        )

    def close(self) -> None:
        """There is no connection."""

    def _trades(self) -> QuerySet[AutoTrade]:
        return AutoTrade.objects.filter(account=self._account)

    def _taken_in(self) -> QuerySet[AutoTrade]:
        """What waits outside is not at the broker yet, and what ended there never was."""
        never = self._trades().filter(
            matched_slot=0, filled_quantity=0, status__in=["cancelled", "rejected", "expired"]
        )
        return self._trades().exclude(status=OrderState.PENDING).exclude(pk__in=never.values("pk"))

    def _id_of(self, client_order_id: str) -> uuid.UUID | None:
        return self._trades().filter(client_order_id=client_order_id).values_list("id", flat=True).first()


def _ticket_of(trade: AutoTrade) -> OrderTicket:
    return OrderTicket(
        client_order_id=trade.client_order_id, symbol=trade.symbol, side=trade.trade_type,
        quantity=trade.quantity, terms=terms_of(trade),
    )  # fmt: skip


def _broker_order_id(trade: AutoTrade) -> str:
    return trade.broker_order_id or f"paper-{trade.id.hex}"


def _orders(trades: QuerySet[AutoTrade]) -> list[BrokerOrder]:
    return [_order(trade) for trade in trades.order_by("created_at", "id")]


def _order(trade: AutoTrade) -> BrokerOrder:
    waits = trade.status == OrderState.PENDING
    return BrokerOrder(
        client_order_id=trade.client_order_id, broker_order_id=_broker_order_id(trade), symbol=trade.symbol,
        side=trade.trade_type, quantity=trade.quantity, filled_quantity=trade.filled_quantity,
        state=OrderState.ACCEPTED if waits else OrderState(trade.status), average_price=trade.executed_price,
        reason=trade.status_reason, submitted_at=trade.created_at,
    )  # fmt: skip


def _execution(row: Execution) -> BrokerExecution:
    trade = row.trade
    return BrokerExecution(
        execution_id=row.execution_id, client_order_id=trade.client_order_id,
        broker_order_id=_broker_order_id(trade), symbol=trade.symbol, side=trade.trade_type, quantity=row.quantity,
        price=row.price, fee=row.fee, at=row.created_at,
    )  # fmt: skip
