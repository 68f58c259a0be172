"""Orders and fills compared with the broker's: what is missing is booked, what cannot be is recorded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from django.conf import settings

from foundation.clock import database_now
from foundation.core.money import round_money
from trading.brokers.protocol import (
    BadReport,
    BrokerExecution,
    BrokerOrder,
    OwnReport,
    UnreadableReport,
)
from trading.core.order_states import FINAL, WORKING, OrderState
from trading.core.reconciliation import Finding
from trading.models import AutoTrade, Execution, ReconciliationBreak
from trading.services.reconciling import Run
from trading.services.reconciling_unread import ENDED, require_few, unread_order

log = structlog.get_logger(__name__)
Kind = ReconciliationBreak.Kind
Row = TypeVar("Row", BrokerOrder, BrokerExecution)
# By our books at the broker; those of unknown outcome are asked for by recovery.
AT_THE_BROKER = [state.value for state in (*WORKING, OrderState.CANCELLING)]


@dataclass
class AskedOrders:
    """What the broker has told of. `open_ids`: its ids of the orders that worked at the last look. `unread`: of orders
    of ours, by client id, what cannot be read."""

    by_id: dict[str, BrokerOrder] = field(default_factory=dict)
    by_client_id: dict[str, BrokerOrder] = field(default_factory=dict)
    open_ids: set[str] = field(default_factory=set)
    executions: list[BrokerExecution] = field(default_factory=list)
    unreadable: list[Finding] = field(default_factory=list)
    unread: dict[str, OwnReport] = field(default_factory=dict)

    def put(self, order: BrokerOrder) -> None:
        self.by_id[order.broker_order_id] = self.by_client_id[order.client_order_id] = order


def ask_orders(run: Run) -> AskedOrders:
    """Every order since the run's point, then their fills, then those that work now, which is the newest word."""
    asked = AskedOrders()
    for order in readable(run, asked, run.ask(run.broker.orders_since, run.since)):
        asked.put(order)
    told = run.ask(run.broker.executions_since, run.since)
    asked.executions = list(readable(run, asked, told))
    for order in readable(run, asked, run.ask(run.broker.open_orders), works=True):
        asked.put(order)
        asked.open_ids.add(order.broker_order_id)
    require_few(run, asked.unread)
    return asked


def readable(
    run: Run, asked: AskedOrders, rows: Iterable[Row | UnreadableReport], *, works: bool = False
) -> Iterator[Row]:
    """What can be read; the rest is found as what cannot: it keeps nothing else from being looked at."""
    for row in rows:
        if not isinstance(row, UnreadableReport):
            yield row
        elif isinstance(row, OwnReport):
            asked.unread.setdefault(row.client_order_id, row)
        elif works or row.at is None or row.at >= run.floor:
            asked.unreadable.append(foreign_report(row))


def apply_orders(run: Run, asked: AskedOrders) -> None:
    """Book the fills that nobody has told of, move what has moved, and record what cannot be."""
    trades = _trades_of(run, asked)
    findings = [
        foreign_order(order) for order in asked.by_id.values() if _is_foreign(run, asked, order, trades)
    ]
    findings += [one for one in asked.unreadable if one.kind == Kind.FOREIGN_ORDER]
    findings += book_executions(run, asked)
    for client_order_id, order in list(asked.by_client_id.items()):
        trade = trades.get(client_order_id)
        if trade is not None and _says_more(trade, order):
            findings += _apply_order(run, asked, trade)
    findings += _missing(run, asked) + _open_breaks(run, asked)
    run.record([*findings, *map(unread_order, asked.unread.values())])


def _trades_of(run: Run, asked: AskedOrders) -> dict[str, AutoTrade]:
    mine = AutoTrade.objects.filter(account_id=run.account_id, client_order_id__in=list(asked.by_client_id))
    return {trade.client_order_id: trade for trade in mine}


def _is_foreign(run: Run, asked: AskedOrders, order: BrokerOrder, trades: dict[str, AutoTrade]) -> bool:
    if order.client_order_id in trades:
        return False
    judged = order.submitted_at is None or order.submitted_at >= run.floor
    return judged or order.broker_order_id in asked.open_ids


def foreign_order(order: BrokerOrder) -> Finding:
    """An order at the broker that no intent of ours stands behind."""
    return Finding(
        Kind.FOREIGN_ORDER, order.broker_order_id,
        f"{order.side} {order.quantity} {order.symbol} ({order.state}) is at the broker and not ours",
        theirs=_told(order),
    )  # fmt: skip


def foreign_execution(execution: BrokerExecution) -> Finding:
    """A fill of such an order."""
    detail = f"a fill of an order that is not ours: {execution.side} {execution.quantity} {execution.symbol}"
    return Finding(
        Kind.FOREIGN_EXECUTION,
        execution.execution_id,
        f"{detail} at {execution.price}",
        theirs=told_fill(execution),
    )


def foreign_report(report: UnreadableReport) -> Finding:
    """Either of them, of a form that we have no words for."""
    kind, what = (
        (Kind.FOREIGN_EXECUTION, "a fill of an order") if report.is_fill else (Kind.FOREIGN_ORDER, "an order")
    )
    return Finding(
        kind,
        report.key,
        f"{what} that is not ours and cannot be read: {report}",
        theirs={"said": report.payload},
    )


def _ask_for(run: Run, asked: AskedOrders, client_order_id: str) -> BrokerOrder | None:
    """One order as it is now; None: the broker does not know it, or it cannot be read, which is found (`unread`)."""
    try:
        return run.ask_for(client_order_id)
    except BadReport as error:
        asked.unread[client_order_id] = OwnReport(
            str(error), payload=error.payload, key=client_order_id, client_order_id=client_order_id
        )
        return None


def _told(order: BrokerOrder) -> dict[str, Any]:
    return {
        "client_order_id": order.client_order_id, "broker_order_id": order.broker_order_id, "symbol": order.symbol,
        "side": order.side, "ordered": order.quantity, "filled": order.filled_quantity, "state": str(order.state),
    }  # fmt: skip


def told_fill(execution: BrokerExecution) -> dict[str, Any]:
    """As a break remembers it."""
    return {
        "execution_id": execution.execution_id, "client_order_id": execution.client_order_id,
        "symbol": execution.symbol, "side": execution.side, "units": execution.quantity, "price": execution.price,
        "fee": execution.fee, "at": execution.at,
    }  # fmt: skip


def book_executions(run: Run, asked: AskedOrders) -> list[Finding]:
    """Book those of `asked` that are not booked, the oldest first; what nobody can book is found."""
    told = {execution.execution_id: execution for execution in asked.executions}
    booked = {
        key: (quantity, price)
        for key, quantity, price in Execution.objects.filter(
            account_id=run.account_id, execution_id__in=list(told)
        ).values_list("execution_id", "quantity", "price")
    }
    missing = [execution for key, execution in told.items() if key not in booked]
    ours = set(
        AutoTrade.objects.filter(
            account_id=run.account_id, client_order_id__in={one.client_order_id for one in missing}
        ).values_list("client_order_id", flat=True)
    )
    findings = [
        _not_bookable(told[key], f"it was booked as {quantity} at {price}, and is told as otherwise")
        for key, (quantity, price) in booked.items()
        if (told[key].quantity, round_money(told[key].price)) != (quantity, price)
    ]
    findings += [one for one in asked.unreadable if one.kind == Kind.FOREIGN_EXECUTION]
    for execution in sorted(missing, key=lambda one: one.at):
        if execution.client_order_id not in ours:
            if execution.at >= run.floor:
                findings.append(foreign_execution(execution))
            continue
        objection = _book(run, asked, execution)
        if objection:
            findings.append(_not_bookable(execution, objection))
    return findings


def _not_bookable(execution: BrokerExecution, objection: str) -> Finding:
    detail = f"{execution.side} {execution.quantity} {execution.symbol} at {execution.price}: {objection}"
    return Finding(Kind.EXECUTION, execution.execution_id, detail, theirs=told_fill(execution))


def _book(run: Run, asked: AskedOrders, execution: BrokerExecution) -> str:
    """Why the fill cannot be booked; empty when it is. Never more than the broker itself counts as filled."""
    order = asked.by_client_id.get(execution.client_order_id)
    if order is None or _filled(run, execution) + execution.quantity > order.filled_quantity:
        order = _ask_for(run, asked, execution.client_order_id)  # it has gone on since it was asked for
        if order is None:
            unread = asked.unread.get(execution.client_order_id)
            return f"its order cannot be read: {unread}" if unread else "the broker does not know its order"
        asked.put(order)
    filled = _filled(run, execution)
    if Execution.objects.filter(account_id=run.account_id, execution_id=execution.execution_id).exists():
        return ""  # the stream was faster
    if filled + execution.quantity > order.filled_quantity:
        return (
            f"a fill of {execution.quantity} beside the booked {filled}, while the broker counts "
            f"{order.filled_quantity} of the order as filled"
        )
    try:
        run.apply(order, execution)
    except BadReport as error:
        return str(error)
    run.booked += 1
    return ""


def _filled(run: Run, execution: BrokerExecution) -> Any:
    mine = AutoTrade.objects.filter(account_id=run.account_id, client_order_id=execution.client_order_id)
    return mine.values_list("filled_quantity", flat=True).get()


def _says_more(trade: AutoTrade, order: BrokerOrder) -> bool:
    """Whether the order tells anything that our trade, as it was read, does not know."""
    if trade.status in FINAL and order.state in FINAL:
        return order.filled_quantity != trade.filled_quantity
    ours = (trade.status, trade.filled_quantity, trade.broker_order_id)
    return ours != (order.state, order.filled_quantity, order.broker_order_id)


def _apply_order(run: Run, asked: AskedOrders, trade: AutoTrade) -> list[Finding]:
    """Move the trade as the broker tells; what it does not follow is found."""
    trade.refresh_from_db()
    order = asked.by_client_id[trade.client_order_id]
    is_old = order.state not in FINAL and order.broker_order_id not in asked.open_ids
    if is_old or trade.status in FINAL or trade.filled_quantity > order.filled_quantity:
        fresh = _fresh(run, asked, trade)
        if fresh is None:
            return []
        order = fresh
    if trade.filled_quantity > order.filled_quantity:
        detail = f"our books have {trade.filled_quantity} of it filled, the broker {order.filled_quantity}"
        return [_of_order(trade, detail, _told(order))]
    try:
        after = run.apply(order)
    except BadReport as error:
        return [Finding(Kind.BAD_REPORT, f"order {order.broker_order_id}", str(error), theirs=_told(order))]
    if after.status in FINAL and order.state not in FINAL:
        if trade.status not in FINAL:  # it ended while we looked, and the broker's answer is older than that
            return _apply_order(run, asked, trade)
        return [_of_order(after, f"it is {after.status} in our books and works at the broker", _told(order))]
    return []


def _fresh(run: Run, asked: AskedOrders, trade: AutoTrade) -> BrokerOrder | None:
    """The order as it is now; None: not to be judged this time."""
    if run.asks_left <= 0:
        log.warning("reconciliation_asks_no_more", account_id=str(run.account_id))
        run.seen.add((Kind.ORDER, trade.client_order_id))
        return None
    return _ask_for(run, asked, trade.client_order_id)


def _missing(run: Run, asked: AskedOrders) -> list[Finding]:
    """Orders of ours that work by our books, and that the broker has not told of. "No such order" is not believed
    before the settle time: it may be on its way through the broker."""
    working = AutoTrade.objects.filter(
        account_id=run.account_id, status__in=AT_THE_BROKER, sent_at__isnull=False
    ).exclude(client_order_id__in=[*asked.by_client_id, *asked.unread])
    settled = database_now() - timedelta(
        seconds=settings.BROKER_LEASE_SECONDS
        + settings.BROKER_DEADLINE_SECONDS
        + settings.BROKER_SETTLE_SECONDS
    )
    findings: list[Finding] = []
    for trade in working.order_by("sent_at"):
        if run.asks_left <= 0:
            run.seen.add((Kind.ORDER, trade.client_order_id))
            continue
        order = _ask_for(run, asked, trade.client_order_id)
        if order is not None:
            asked.put(order)
            findings += _apply_order(run, asked, trade)
        elif trade.client_order_id in asked.unread:
            continue
        elif trade.sent_at is not None and trade.sent_at < settled and _still_works(trade):
            findings.append(_of_order(trade, "it works by our books, and the broker does not know it", {}))
    return findings


def _open_breaks(run: Run, asked: AskedOrders) -> list[Finding]:
    """Of orders that are over in our books and that the broker counts otherwise: no list may go back to them any more,
    and they are not gone by that."""
    rows = ReconciliationBreak.objects.filter(account_id=run.account_id, kind=Kind.ORDER, ended_at=None)
    over = AutoTrade.objects.filter(
        account_id=run.account_id, client_order_id__in=rows.values("key"), status__in=ENDED
    ).exclude(client_order_id__in=[*asked.by_client_id, *asked.unread])
    findings: list[Finding] = []
    for trade in over.order_by("sent_at"):
        order = _fresh(run, asked, trade)
        if order is not None:
            asked.put(order)
            findings += _apply_order(run, asked, trade) if _says_more(trade, order) else []
    return findings


def _still_works(trade: AutoTrade) -> bool:
    trade.refresh_from_db()
    return trade.status in AT_THE_BROKER


def _of_order(trade: AutoTrade, detail: str, theirs: dict[str, Any]) -> Finding:
    ours = {"status": str(trade.status), "filled": trade.filled_quantity, "trade_id": trade.pk}
    return Finding(Kind.ORDER, trade.client_order_id, f"{trade}: {detail}", ours, theirs)
