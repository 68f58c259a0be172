"""Differences that are a fill which one part of a broker shows already and another one not yet.

Two ways round. An order counts more as filled than we have booked, and the list of fills does not tell it yet: its
units, and some money, have moved there and not here. Or a fill is booked, and positions or cash there are still what
they were before it. Neither is believed for longer than BROKER_SETTLE_SECONDS after the order changed (by the broker's
clock) or the fill was booked (by ours), nor of any other number of units; what still differs then is a difference.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings

from foundation.clock import database_now
from foundation.core.money import ZERO
from trading.core.order_states import FINAL
from trading.core.reconciliation import UNIT_TOLERANCE, Finding, Holdings, cash_agrees
from trading.models import AutoTrade, Execution, ReconciliationBreak
from trading.services.reconciling import Run
from trading.services.reconciling_orders import AskedOrders, readable

Kind = ReconciliationBreak.Kind


def unlisted_fills(run: Run) -> dict[str, Decimal]:
    """Units by symbol (below zero: sold) that orders of ours have been filled with lately and that are not booked."""
    asked, since = AskedOrders(), _settling_since()
    for order in readable(run, asked, run.ask(run.broker.open_orders), works=True):
        asked.put(order)
    units: dict[str, Decimal] = {}
    sent = AutoTrade.objects.filter(account_id=run.account_id, sent_at__isnull=False)
    for trade in sent.exclude(status__in=[state.value for state in FINAL]).order_by("-sent_at"):
        told = asked.by_client_id.get(trade.client_order_id)
        if told is None and run.asks_left > 0:  # it may have just ended
            told = run.ask_for(trade.client_order_id)
        if told is None or told.changed_at is None or told.changed_at < since:
            continue
        trade.refresh_from_db(fields=["filled_quantity"])  # the stream may have been faster
        missing = max(told.filled_quantity - trade.filled_quantity, ZERO)
        units[trade.symbol] = units.get(trade.symbol, ZERO) + _sign(trade.trade_type) * missing
    return {symbol: missing for symbol, missing in units.items() if missing}


def of_fills_on_their_way(
    run: Run, found: Iterable[Finding], *, ours: Holdings, theirs: Holdings, unlisted: Mapping[str, Decimal]
) -> frozenset[tuple[str, str]]:
    """(kind, key) of those that are nothing else. Prices and fees of `unlisted` fills are not known, so with any the
    cash cannot be judged."""
    keys = [(one.kind, one.key) for one in found]
    booked = _booked_lately(run) if keys else []
    return frozenset(
        (kind, key)
        for kind, key in keys
        if (kind == Kind.POSITION and _is_lag_of_units(key, ours, theirs, unlisted, booked))
        or (kind == Kind.CASH and key == ours.currency and _is_lag_of_cash(ours, theirs, unlisted, booked))
    )


def _is_lag_of_units(
    symbol: str, ours: Holdings, theirs: Holdings, unlisted: Mapping[str, Decimal], booked: list[Execution]
) -> bool:
    differs = theirs.units.get(symbol, ZERO) - ours.units.get(symbol, ZERO)
    expected, moved = [unlisted[symbol]] if symbol in unlisted else [], ZERO
    for fill in booked:
        if fill.trade.symbol == symbol:
            moved += _sign(fill.trade.trade_type) * fill.quantity
            expected.append(-moved)
    return any(abs(differs - units) <= UNIT_TOLERANCE for units in expected)


def _is_lag_of_cash(
    ours: Holdings, theirs: Holdings, unlisted: Mapping[str, Decimal], booked: list[Execution]
) -> bool:
    differs, moved = theirs.cash - ours.cash, ZERO
    for fill in booked:
        moved -= _sign(fill.trade.trade_type) * fill.quantity * fill.price + fill.fee
        if cash_agrees(differs + moved, ours.rounding, accrued=theirs.accrued):
            return True
    return bool(unlisted)


def _booked_lately(run: Run) -> list[Execution]:
    """The newest first: a broker that is behind shows what was before the last few of them."""
    rows = Execution.objects.filter(account_id=run.account_id, reversed_at=None)
    lately = rows.filter(created_at__gte=_settling_since())
    return list(lately.select_related("trade").order_by("-created_at", "-id"))


def _settling_since() -> datetime:
    return database_now() - timedelta(seconds=settings.BROKER_SETTLE_SECONDS)


def _sign(side: str) -> int:
    return 1 if side == "buy" else -1
