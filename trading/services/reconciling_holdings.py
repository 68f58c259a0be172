"""Positions and cash compared with the broker's, while both may be moving.

A difference is a break only when two looks a moment apart saw the same one, and our books did not move while the
broker was asked: everything else is a fill on its way, which the stream or the next look books. For some minutes after
money was booked that the broker moved outside of orders, its cash may not show it, and a difference of cash is none.
All of that is so beside what people have explained, too.
"""

import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef

from foundation.clock import database_now
from foundation.core.money import ZERO, as_decimal
from portfolios.models import Portfolio, Position
from trading.core.explained_differences import compare_beside
from trading.core.reconciliation import (
    CASH_TOLERANCE,
    NO_ROUNDING,
    Awaited,
    Finding,
    Holdings,
    confirmed,
    moved,
)
from trading.models import Execution, ReconciliationBreak
from trading.services.reconciling import CLOCK_SLACK, Run
from trading.services.reconciling_cash import awaits_its_cash, book_activities
from trading.services.reconciling_explained import explained_holdings
from trading.services.reconciling_lag import of_fills_on_their_way, unlisted_fills
from trading.services.reconciling_orders import AskedOrders, book_executions, readable
from trading.services.reconciling_rounding import rounding_of
from trading.services.reconciling_splits import of_splits
from trading.services.reconciling_unread import in_the_way

LOOKS_MAX = 4
SECOND_LOOK_SECONDS = 0.5


def compare_holdings(run: Run) -> None:
    """Record the differences that are confirmed. What cannot be judged now is neither found nor ended."""
    recently = database_now() - 2 * CLOCK_SLACK
    first: list[Finding] | None = None
    for look in range(LOOKS_MAX):
        if look:
            time.sleep(SECOND_LOOK_SECONDS)
            late = AskedOrders()
            told = run.ask(run.broker.executions_since, recently)
            late.executions = list(readable(run, late, told))
            run.record(book_executions(run, late))
            unread = in_the_way(run, late.unread)
            if unread:  # since the first look: the next reconciliation begins with it
                raise unread[0]
            book_activities(run)
        before = _ours(run)
        theirs = _theirs(run)
        rounding = rounding_of(run) if abs(theirs.cash - before.cash) > CASH_TOLERANCE else NO_ROUNDING
        before = replace(before, rounding=rounding)
        known, awaited = explained_holdings(run, before.currency), _awaited(run)
        differs = look and compare_beside(known, ours=before, theirs=theirs, awaited=awaited)[0]
        unlisted = unlisted_fills(run) if differs else {}
        with transaction.atomic():
            Portfolio.objects.select_for_update(no_key=True).get(pk=run.account.portfolio_id)
            ours = replace(_ours(run), rounding=rounding)
            found, explained = compare_beside(known, ours=ours, theirs=theirs, awaited=_awaited(run))
            if awaits_its_cash(run.account_id):
                run.seen |= {("cash", one.key) for one in found if one.kind == "cash"}
                found = [one for one in found if one.kind != "cash"]
            split = of_splits(run, found, ours=ours, theirs=theirs, besides=known.units)
            on_the_way = moved(before, ours)
            for mine, its in ((ours, theirs), known.taken_off(ours=ours, theirs=theirs)):
                on_the_way |= of_fills_on_their_way(run, found, ours=mine, theirs=its, unlisted=unlisted)
            run.explained = explained - on_the_way
            found = [one for one in found if (one.kind, one.key) not in on_the_way | split]
            sure = confirmed(first or [], found)
            settled = not on_the_way and len(sure) == len(found)
            if settled or look == LOOKS_MAX - 1:
                run.record(sure)
        if settled:
            run.seen |= split
            return
        first = found
    run.seen |= split | on_the_way | {(one.kind, one.key) for one in found}


def _ours(run: Run) -> Holdings:
    portfolio = Portfolio.objects.get(pk=run.account.portfolio_id)
    held = Position.objects.filter(portfolio=portfolio, quantity__gt=0)
    units = dict(held.values_list("instrument__symbol", "quantity"))
    return Holdings(portfolio.base_currency, portfolio.cash, units)


def _theirs(run: Run) -> Holdings:
    account = run.ask(run.broker.account)
    units: dict[str, Decimal] = {}
    for position in run.ask(run.broker.positions):
        units[position.symbol] = units.get(position.symbol, ZERO) + position.quantity
    return Holdings(account.currency, account.cash, units, accrued=account.accrued)


def _awaited(run: Run) -> Awaited:
    """What that would change which is recorded as not bookable: fills, and money that moved outside of orders."""
    booked = Execution.objects.filter(account_id=run.account_id, execution_id=OuterRef("key"))
    rows = ReconciliationBreak.objects.filter(account_id=run.account_id, ended_at=None)
    units: dict[str, Decimal] = {}
    cash = ZERO
    money = rows.filter(kind=ReconciliationBreak.Kind.ACTIVITY, theirs__amount__isnull=False)
    for ours, theirs in money.values_list("ours", "theirs"):
        if theirs["amount"] is not None:
            cash += as_decimal(theirs["amount"]) - as_decimal(ours.get("amount") or 0)
    fills = rows.filter(~Exists(booked), kind=ReconciliationBreak.Kind.EXECUTION)
    for told in fills.values_list("theirs", flat=True):
        if {"symbol", "side", "units", "price", "fee"} <= told.keys():
            quantity, price, fee = _numbers(told)
            sign = 1 if told["side"] == "buy" else -1
            units[told["symbol"]] = units.get(told["symbol"], ZERO) + sign * quantity
            cash -= sign * quantity * price + fee
    return Awaited(units, cash)


def _numbers(told: dict[str, Any]) -> tuple[Decimal, Decimal, Decimal]:
    return as_decimal(told["units"]), as_decimal(told["price"]), as_decimal(told["fee"])
