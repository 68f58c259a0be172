"""Pending trades go to their broker. Here: the paper broker, in batches.

A batch locks portfolios that have pending trades (SKIP LOCKED), takes the halt key shared *before* it reads the
halts and keeps it to its commit: so a halt that is drained has seen every batch that had not seen it end. The
snapshot is read last, so no trade is filled on a market older than the one it was decided on.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

import structlog
from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from foundation.clock import database_now
from foundation.core.canonical import plain_decimal
from foundation.core.money import ZERO
from foundation.errors import NotFound, Unavailable
from foundation.kill_points import reach
from foundation.version import may_trade
from journal.core.events import AlertSpec, Event
from journal.models import Alert
from journal.services.journal import append
from market.core.snapshot import MarketSnapshot
from market.selectors import latest_splits
from market.services import snapshots
from portfolios.models import Portfolio
from portfolios.services.books import Books, open_books
from trading.brokers.paper import Unmatched, match
from trading.core.halts import HALT_KEY, Halts
from trading.core.order_states import OrderState
from trading.core.paper import PaperFill
from trading.models import AutoTrade
from trading.services.bookkeeping import ReportedFill, book_fills
from trading.services.breakers import trip_on_streaks
from trading.services.faults import TRANSIENT
from trading.services.fresh_state import halts_in_force
from trading.services.objections import PENDING_SECONDS_MAX, objection_to
from trading.services.order_management import end_pending, pending_of
from trading.services.protections import note_first_prices

log = structlog.get_logger(__name__)
BATCH_PORTFOLIOS_MAX = 100
PAPER_PATH = (OrderState.PENDING, OrderState.SUBMITTING, OrderState.FILLED)


def execute_pending() -> int:
    """Visit every portfolio that has pending trades once, in id order; returns how many trades left `pending`.

    What cannot be matched now (a closed market) stays, and holds up nobody behind it.
    """
    last: uuid.UUID | None = None
    executed = 0
    while may_trade() and (portfolio_ids := _with_pending(after=last)):
        executed += _execute_isolated(portfolio_ids)
        last = portfolio_ids[-1]
    return executed


def execute_trade(trade_id: uuid.UUID) -> AutoTrade:
    """Execute one trade's portfolio at once, the trade among what is pending there. Returns it as it is then.

    Raises NotFound, Unavailable (this code may not trade).
    """
    if not may_trade():
        raise Unavailable("This version of the code may not trade.")
    portfolio_id = AutoTrade.objects.filter(pk=trade_id).values_list("portfolio_id", flat=True).first()
    if portfolio_id is None:
        raise NotFound(f"There is no trade {trade_id}.")
    with transaction.atomic():
        _execute_in(open_books([portfolio_id]))
    return AutoTrade.objects.get(pk=trade_id)


def _with_pending(*, after: uuid.UUID | None) -> list[uuid.UUID]:
    pending = AutoTrade.objects.filter(portfolio_id=OuterRef("pk"), status=OrderState.PENDING)
    portfolios = Portfolio.objects.filter(Exists(pending)).order_by("id").values_list("id", flat=True)
    if after is not None:
        portfolios = portfolios.filter(id__gt=after)
    return list(portfolios[:BATCH_PORTFOLIOS_MAX])


def _execute_isolated(portfolio_ids: Sequence[uuid.UUID]) -> int:
    """Execute together; if that fails for a portfolio's own reason, one by one, so that it stops no other."""
    try:
        with transaction.atomic():
            free = Portfolio.objects.filter(id__in=portfolio_ids).order_by("id")
            locked = free.select_for_update(no_key=True, skip_locked=True).values_list("id", flat=True)
            return _execute_in(open_books(list(locked)))
    except TRANSIENT:
        raise  # the sweep comes again
    except Exception:
        log.exception("execution_failed", portfolios=len(portfolio_ids), first=str(portfolio_ids[0]))
        if len(portfolio_ids) == 1:
            _alert_failed(portfolio_ids[0])
            return 0
    return sum(_execute_isolated([portfolio_id]) for portfolio_id in portfolio_ids)


@transaction.atomic
def _alert_failed(portfolio_id: uuid.UUID) -> None:
    """Its pending trades cannot be executed: somebody must look, and is told once until he has."""
    waiting = Alert.objects.filter(stream=portfolio_id, kind="execution.failing", acknowledged_at=None)
    if not waiting.exists():
        alert = AlertSpec("critical", "Pending trades of this portfolio cannot be executed; see the log.")
        append([Event(portfolio_id, "execution.failing", database_now(), {}, alert)])


@dataclass
class Sorted:
    """Pending trades by what becomes of them now; `ended` by (state, reason)."""

    ended: dict[tuple[OrderState, str], list[AutoTrade]] = field(default_factory=dict)
    fills: list[ReportedFill] = field(default_factory=list)


def _execute_in(books: Books) -> int:
    """Book everything that is pending in these locked portfolios."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [HALT_KEY])
    trades = pending_of(books.portfolios)
    halts = halts_in_force(
        books.portfolios,
        account_ids={trade.account_id for trade in trades},
        session_ids={trade.session_id for trade in trades},
    )
    snapshot = snapshots.current()
    if snapshot is None or not trades:
        return 0
    done = _sort(trades, halts, snapshot, books)
    events: list[Event] = []
    for (state, reason), group in done.ended.items():
        events += end_pending(group, books=books, reason=reason, state=state)
    ended = len(events)
    events += book_fills(done.fills, books=books)
    books.save()
    note_first_prices((fill.trade for fill in done.fills), books=books, snapshot=snapshot)
    append(events)
    if done.fills:
        reach("execution.before_commit", detail=done.fills[0].trade.client_order_id)
        transaction.on_commit(partial(_log_fills, done.fills), robust=True)
        _trip_after_commit(done.fills)
    return ended + len(done.fills)


def _trip_after_commit(fills: Sequence[ReportedFill]) -> None:
    """Look at the losing streaks of portfolios that have just lost; fills are booked whatever becomes of it, and
    the sweep makes up for it."""
    losers = {
        trade.portfolio_id
        for trade in (fill.trade for fill in fills)
        if trade.trade_type == "sell" and trade.realised_pnl < trade.fees
    }
    if losers:
        transaction.on_commit(partial(trip_on_streaks, losers), robust=True)


def _log_fills(fills: Sequence[ReportedFill]) -> None:
    for fill in fills:
        trade = fill.trade
        log.info(
            "trade_filled", portfolio_id=str(trade.portfolio_id), side=trade.trade_type, symbol=trade.symbol,
            quantity=plain_decimal(fill.quantity), price=plain_decimal(fill.price),
        )  # fmt: skip


def _sort(trades: Sequence[AutoTrade], halts: Halts, snapshot: MarketSnapshot, books: Books) -> Sorted:
    """Gate and match each trade, in the order in which they were made."""
    done = Sorted()
    now = database_now()
    splits = latest_splits(
        instrument_ids={trade.instrument_id for trade in trades},
        after=min(trade.market_at for trade in trades), until=snapshot.as_of,
    )  # fmt: skip
    spent: dict[uuid.UUID, Decimal] = {}
    for trade in trades:
        objection = objection_to(trade, halts, split_at=splits.get(trade.instrument_id))
        if objection is not None:
            done.ended.setdefault((OrderState.CANCELLED, objection), []).append(trade)
            continue
        result = match(trade, instrument=trade.instrument, snapshot=snapshot)
        if isinstance(result, Unmatched):
            if (now - trade.created_at).total_seconds() > PENDING_SECONDS_MAX:
                done.ended.setdefault((OrderState.EXPIRED, result.reason), []).append(trade)
            continue
        beyond = _beyond_reserve(trade, result, books, spent)
        if beyond is not None:
            done.ended.setdefault((OrderState.REJECTED, beyond), []).append(trade)
            continue
        done.fills.append(
            ReportedFill(
                trade=trade, execution_id=f"paper-{trade.id.hex}", quantity=result.quantity, price=result.price,
                fee=result.fee, market_at=snapshot.as_of, path=PAPER_PATH,
            )
        )  # fmt: skip
    return done


def _beyond_reserve(
    trade: AutoTrade, fill: PaperFill, books: Books, spent: dict[uuid.UUID, Decimal]
) -> str | None:
    """Why a buy cannot be paid: the market has moved beyond what was reserved and what is free besides."""
    if trade.trade_type != "buy":
        return None
    portfolio, reservation = books.portfolios[trade.portfolio_id], books.reservations[trade.id]
    extra = fill.quantity * fill.price + fill.fee - reservation.cash
    if extra <= 0:
        return None
    free = portfolio.cash - portfolio.reserved_cash - spent.get(portfolio.id, ZERO)
    if extra > free:
        return f"the price moved to {fill.price.normalize():f}, beyond what was reserved and what is free"
    spent[portfolio.id] = spent.get(portfolio.id, ZERO) + extra
    return None
