"""The trades of paper accounts meet the paper market, in batches; what real brokers have is not touched here.

A batch locks the portfolios of trades that are due (`paper_due`; SKIP LOCKED), takes the halt key shared *before* it
reads the halts and keeps it to its commit: so a halt that is drained has seen every batch that had not seen it end. The
snapshot is read last, so no trade is filled on a market older than the one it was decided on.

Trades are due in one order, by portfolio and then by age (`paper_due`). A visit goes through it once, from the last
trade of a batch to the next, so that a portfolio with more trades than a batch holds goes on in the next one, nobody is
passed over, and what cannot be matched holds up nobody behind it.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import structlog
from django.db import connection, transaction

from foundation.arrays import array_text
from foundation.asking import attach, together
from foundation.clock import database_now
from foundation.core.canonical import plain_decimal
from foundation.errors import NotFound, Unavailable
from foundation.kill_points import reach
from foundation.loading import carried_out, rows_of, where
from foundation.version import may_trade
from journal.core.events import AlertSpec, Event
from journal.models import Alert
from journal.services.journal import append
from market.services import snapshots
from portfolios.services.books import Books, open_books
from trading.core.halts import HALT_KEY
from trading.core.order_states import WORKING, OrderState
from trading.models import AutoTrade
from trading.services.bookkeeping import ReportedFill, book_fills
from trading.services.breakers import trip_on_streaks
from trading.services.faults import TRANSIENT
from trading.services.fresh_state import halts_in_force
from trading.services.order_management import PAPER, end_open, move, trade_event, wake_execution
from trading.services.paper_due import Due, Key, Looked, remember
from trading.services.paper_sorting import Sorted, sort
from trading.services.protections import note_first_prices

log = structlog.get_logger(__name__)
BATCH_PORTFOLIOS_MAX = 100
# Trades in one transaction.
BATCH_TRADES_MAX = 200
# So few are carried out by who made them; more are left to those who do nothing else, and who share them.
AT_ONCE_MAX = 20
TAKEN_IN = (OrderState.PENDING, OrderState.SUBMITTING, OrderState.ACCEPTED)
Origin = AutoTrade.Origin
_OPEN = [OrderState.PENDING.value, *(state.value for state in WORKING)]
_STILL_DUE = """
    t.id = ANY(%s::uuid[]) AND t.portfolio_id = ANY(%s::uuid[]) AND t.status = ANY(%s)
    AND EXISTS (SELECT FROM portfolios_brokeraccount a WHERE a.id = t.account_id AND a.broker = 'paper')
    ORDER BY t.created_at, t.id
"""


def execute_pending() -> int:
    """Visit every trade that is pending, and every working order that the newest snapshot concerns, once; returns how
    many were filled (in part, too), taken into the market or ended.

    What cannot be matched now (a market order while the market is closed) stays.
    """
    executed = 0
    for batch in _batches():
        executed += _execute_isolated(_by_portfolio(batch))
    return executed


def execute_or_wake(trades: Sequence[AutoTrade]) -> None:
    """Carry out what has just been committed: a few trades on paper at once, for the way through a queue to another
    process takes longer than they do. For more of them, and for those at real brokers, others are woken.

    What does not come off is due as before: whoever looks next takes it up.
    """
    few = [trade for trade in trades if trade.account.broker == PAPER]
    if len(few) > AT_ONCE_MAX:
        few = []
    if len(few) < len(trades):
        here = {trade.id for trade in few}
        wake_execution(trade for trade in trades if trade.id not in here)
    try:
        if few and may_trade():
            _execute_isolated(_by_portfolio(few))
    except TRANSIENT as error:
        connection.close_if_unusable_or_obsolete()
        log.warning("not_executed_at_once", trades=len(few), error=repr(error))
        wake_execution(few)


def execute_trade(trade_id: uuid.UUID) -> AutoTrade:
    """Execute one trade's portfolio at once, the trade among what is due there. Returns it as it is then.

    Raises NotFound, Unavailable (this code may not trade).
    """
    if not may_trade():
        raise Unavailable("This version of the code may not trade.")
    portfolio_id = AutoTrade.objects.filter(pk=trade_id).values_list("portfolio_id", flat=True).first()
    if portfolio_id is None:
        raise NotFound(f"There is no trade {trade_id}.")
    for batch in _batches(portfolio_id=portfolio_id):
        with transaction.atomic():
            _execute_in(open_books([portfolio_id]), [item.id for item in batch])
    return AutoTrade.objects.get(pk=trade_id)


def _batches(*, portfolio_id: uuid.UUID | None = None) -> Iterator[list[Due]]:
    """All that is due, on the newest snapshot that there is when each batch begins."""
    after: Key | None = None
    looked: Looked | None = None
    while may_trade():
        snapshot = snapshots.current()
        if snapshot is None:
            return
        if looked is None or looked.snapshot.version != snapshot.version:
            looked = Looked.at(snapshot)
            looked.follow_best_prices()
        due = looked.next(after=after, portfolio_id=portfolio_id, count_max=BATCH_TRADES_MAX)
        if not due:
            return
        wanted = sorted({item.portfolio_id for item in due})[:BATCH_PORTFOLIOS_MAX]
        batch = [item for item in due if item.portfolio_id <= wanted[-1]]
        yield batch
        after = batch[-1].key


def _by_portfolio(trades: Sequence[Due] | Sequence[AutoTrade]) -> dict[uuid.UUID, list[uuid.UUID]]:
    batch = defaultdict(list)
    for trade in trades:
        batch[trade.portfolio_id].append(trade.id)
    return batch


def _execute_isolated(batch: Mapping[uuid.UUID, Sequence[uuid.UUID]]) -> int:
    """Execute trades of these portfolios together; if that fails for a portfolio's own reason, one by one, so that it
    stops no other."""
    portfolio_ids = sorted(batch)
    try:
        with transaction.atomic():
            wanted = [trade_id for key in portfolio_ids for trade_id in batch[key]]
            return _execute_in(open_books(portfolio_ids, skip_locked=True), wanted)
    except TRANSIENT:
        raise  # the sweep comes again
    except Exception:
        log.exception("execution_failed", portfolios=len(portfolio_ids), first=str(portfolio_ids[0]))
        if len(portfolio_ids) == 1:
            _alert_failed(portfolio_ids[0])
            return 0
    return sum(_execute_isolated({key: batch[key]}) for key in portfolio_ids)


@transaction.atomic
def _alert_failed(portfolio_id: uuid.UUID) -> None:
    """Its trades cannot be executed: somebody must look, and is told once until he has."""
    waiting = Alert.objects.filter(stream=portfolio_id, kind="execution.failing", acknowledged_at=None)
    if not waiting.exists():
        alert = AlertSpec("critical", "Trades of this portfolio cannot be executed; see the log.")
        append([Event(portfolio_id, "execution.failing", database_now(), {}, alert)])


def _execute_in(books: Books, trade_ids: Sequence[uuid.UUID]) -> int:
    """Book what becomes now of these trades, as far as their portfolios are locked."""
    given = [array_text(trade_ids), array_text(books.portfolios), _OPEN]
    _, due = carried_out(
        [("SELECT pg_advisory_xact_lock_shared(%s)", [HALT_KEY]), where(AutoTrade, _STILL_DUE, given)]
    )
    trades = rows_of(AutoTrade, due)
    of_rules = [trade for trade in trades if trade.origin == Origin.RULE]
    _, _, halts = together(
        attach.steps(trades, "account", "instrument"),
        attach.steps(of_rules, "session", "rule", "rule_version"),
        halts_in_force.steps(
            books.portfolios,
            account_ids={trade.account_id for trade in trades},
            session_ids={trade.session_id for trade in trades},
        ),
    )
    snapshot = snapshots.current()
    if snapshot is None or not trades:
        return 0
    done = sort(trades, halts=halts, snapshot=snapshot, books=books)
    events = _carry_out(done, books)
    books.save()
    remember(done.remembered)
    note_first_prices((fill.trade for fill in done.fills), books=books, snapshot=snapshot)
    append(events)
    if done.fills:
        transaction.on_commit(partial(_log_fills, done.fills), robust=True)
        _trip_after_commit(done.fills)
    if events:
        reach("execution.before_commit", detail=str(next(iter(done.changed), "")))
    return len(done.changed)


def _carry_out(done: Sorted, books: Books) -> list[Event]:
    """In an order in which a trade may be filled in part and end."""
    events: list[Event] = []
    for (path, reason), group in done.ended.items():
        events += end_open(group, *path, books=books, reason=reason)
    taken_in = move(done.accepted, *TAKEN_IN)
    events += [trade_event(trade, "trade.accepted", at=done.as_of) for trade in taken_in]
    events += [_triggered_event(trade) for trade in done.triggered]
    events += book_fills(done.fills, books=books)
    for reason, group in done.ended_after_fill.items():
        events += end_open(group, OrderState.PARTIALLY_FILLED, OrderState.EXPIRED, books=books, reason=reason)
    return events


def _triggered_event(trade: AutoTrade) -> Event:
    """Its stop price was reached: from then on it is a market or a limit order."""
    assert trade.triggered_at is not None
    return trade_event(
        trade, "trade.triggered", at=trade.triggered_at, order_type=trade.order_type, stop_price=trade.stop_price,
        trail_percentage=trade.trail_percentage, best_price=trade.best_price,
    )  # fmt: skip


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
