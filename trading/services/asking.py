"""Asking a broker about one order, and what follows from its answer."""

from datetime import datetime, timedelta

import structlog

from trading.brokers.protocol import AskFailed, BadReport, Broker, BrokerOrder, OwnReport, UnreadableReport
from trading.models import AutoTrade
from trading.services.order_reports import apply_report, misses_fills
from trading.services.rounds import recorded

log = structlog.get_logger(__name__)
# The broker's clock and ours differ.
CLOCK_MARGIN = timedelta(minutes=1)


def ask(broker: Broker, trade: AutoTrade) -> BrokerOrder | None:
    """The broker's order of this trade. Raises AskFailed, BadReport."""
    order = broker.order_by_client_id(trade.client_order_id)
    if order is not None and order.client_order_id != trade.client_order_id:
        raise BadReport(f"asked for {trade.client_order_id}, it told of {order.client_order_id}")
    return order


def learn(
    broker: Broker, trade: AutoTrade, order: BrokerOrder, *, kind: str, sent_at: datetime, fence: int, told_by: str
) -> AutoTrade:  # fmt: skip
    """Apply what was answered, and fetch the fills that the broker counts and we have not booked.

    Where they cannot be fetched now, the trade stays open, and the stream or a reconciliation tells of them. Raises
    BadReport, StaleClaim.
    """
    known = recorded(
        lambda: apply_report(
            account_id=trade.account_id, order=order, told_by=told_by, kind=kind, sent_at=sent_at, fence=fence
        )
    )
    if not misses_fills(known, order):
        return known
    since = (order.submitted_at or trade.sent_at or trade.created_at) - CLOCK_MARGIN
    try:
        executions = broker.executions_since(since)
    except AskFailed as error:
        log.warning("executions_not_told", trade_id=str(trade.id), reason=str(error))
        return known
    for execution in executions:
        if isinstance(execution, OwnReport) and execution.client_order_id == trade.client_order_id:
            raise execution
        if not isinstance(execution, UnreadableReport) and execution.broker_order_id == order.broker_order_id:
            known = recorded(
                lambda told=execution: apply_report(  # type: ignore[misc]
                    account_id=trade.account_id, order=order, execution=told, told_by=told_by
                )
            )
    return known
