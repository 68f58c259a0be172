"""What becomes of each trade of a batch at the paper market: objections first, then the match. Writes nothing."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from foundation.clock import database_now
from foundation.core.money import ZERO, round_money
from market.core.snapshot import MarketSnapshot
from market.selectors import latest_splits
from portfolios.services.books import Books
from trading.core.halts import Halts
from trading.core.order_states import OrderState
from trading.core.orders import OrderType
from trading.core.paper_matching import PaperFill, Progress
from trading.models import AutoTrade
from trading.services.bookkeeping import ReportedFill
from trading.services.objections import PENDING_SECONDS_MAX, objection_to
from trading.services.paper_market import fee_of_rest, match
from trading.services.paper_volume import Key, key_of, taken_since_bar

Path = tuple[OrderState, ...]


@dataclass
class Sorted:
    """Trades by what becomes of them now: `ended` by (path, reason), and after a last fill by reason; those that the
    market takes in, in which they rest; fills; whose stop is reached; and what is to be remembered of all that go on.
    """

    as_of: datetime
    ended: dict[tuple[Path, str], list[AutoTrade]] = field(default_factory=dict)
    accepted: list[AutoTrade] = field(default_factory=list)
    fills: list[ReportedFill] = field(default_factory=list)
    triggered: list[AutoTrade] = field(default_factory=list)
    ended_after_fill: dict[str, list[AutoTrade]] = field(default_factory=dict)
    remembered: list[AutoTrade] = field(default_factory=list)
    changed: set[uuid.UUID] = field(default_factory=set)
    spent: dict[uuid.UUID, Decimal] = field(default_factory=dict)  # of what was free, by portfolio
    taken: dict[Key, Decimal] = field(default_factory=dict)  # of the volume

    def end(self, trade: AutoTrade, state: OrderState, reason: str) -> None:
        self.ended.setdefault(((OrderState(trade.status), state), reason), []).append(trade)
        self.changed.add(trade.id)


def sort(trades: Sequence[AutoTrade], *, halts: Halts, snapshot: MarketSnapshot, books: Books) -> Sorted:
    """Gate and match each trade, in the order in which they were made. Those of `books` are given."""
    done, now = Sorted(snapshot.as_of), database_now()
    splits = latest_splits(
        instrument_ids={trade.instrument_id for trade in trades},
        after=min(trade.market_at for trade in trades), until=snapshot.as_of,
    )  # fmt: skip
    done.taken |= taken_since_bar(trades, snapshot=snapshot)
    for trade in trades:
        works = trade.status != OrderState.PENDING
        split_at = splits.get(trade.instrument_id)
        objection = objection_to(trade, halts, split_at=split_at, as_of=snapshot.as_of, works=works)
        if objection is not None:
            done.end(trade, OrderState.CANCELLED, objection)
        elif trade.status == OrderState.PENDING or trade.matched_slot < snapshot.version:
            progress = match(trade, snapshot=snapshot, taken=done.taken.get(key_of(trade), ZERO))
            _sort_one(trade, progress, done, snapshot=snapshot, books=books, now=now)
    return done


def _sort_one(
    trade: AutoTrade, progress: Progress, done: Sorted, *, snapshot: MarketSnapshot, books: Books, now: datetime
) -> None:  # fmt: skip
    is_new_at_market = trade.status == OrderState.PENDING and trade.order_type == OrderType.MARKET
    if progress.fill is not None and trade.trade_type == "sell":
        if progress.fill.fee > progress.fill.quantity * progress.fill.price:
            progress = replace(progress, fill=_within_cash(trade, progress.fill, books, done.spent))
    elif progress.fill is not None:
        beyond = _beyond_reserve(trade, progress.fill, books, done.spent)
        if beyond is not None:
            # What works has been accepted: it is taken back, not refused.
            refused = trade.status == OrderState.PENDING
            done.end(trade, OrderState.REJECTED if refused else OrderState.CANCELLED, beyond)
            return
    elif is_new_at_market and not progress.met:
        if (now - trade.created_at).total_seconds() > PENDING_SECONDS_MAX + trade.account.latency_ms / 1000:
            done.end(trade, OrderState.EXPIRED, progress.waits)
        return
    elif progress.expired:
        done.end(trade, OrderState.EXPIRED, _why_expired(trade))
        return
    was_triggered = trade.triggered_at is not None
    trade.triggered_at, trade.best_price = progress.triggered_at, progress.best_price
    trade.matched_slot = snapshot.version
    if trade.triggered_at is not None and not was_triggered:
        done.triggered.append(trade)
        done.changed.add(trade.id)
    if progress.fill is not None:
        _fill(trade, progress.fill, done, expired=progress.expired, snapshot=snapshot, books=books)
        return
    done.remembered.append(trade)
    if trade.status == OrderState.PENDING:
        done.accepted.append(trade)
        done.changed.add(trade.id)


def _fill(
    trade: AutoTrade, fill: PaperFill, done: Sorted, *, expired: bool, snapshot: MarketSnapshot, books: Books
) -> None:  # fmt: skip
    """All that is left of it, or a part: then the rest works on, unless its time is over."""
    complete = trade.filled_quantity + fill.quantity == trade.quantity
    state = OrderState.FILLED if complete else OrderState.PARTIALLY_FILLED
    before = OrderState(trade.status)
    if before == OrderState.PENDING:
        path: Path = (before, OrderState.SUBMITTING, state)
    else:
        path = (state,) if before == state else (before, state)
    # The first fill is named after its trade alone, a later one after its snapshot, too: each is booked once.
    name = f"paper-{trade.id.hex}" + (f"-{snapshot.version}" if trade.filled_quantity else "")
    done.fills.append(
        ReportedFill(
            trade=trade, execution_id=name, quantity=fill.quantity,
            price=fill.price, fee=fill.fee, market_at=snapshot.as_of, path=path,
            keeps=_kept(trade, fill, books) if trade.trade_type == "buy" else None,
        )
    )  # fmt: skip
    done.changed.add(trade.id)
    done.taken[key_of(trade)] = done.taken.get(key_of(trade), ZERO) + fill.quantity
    if not complete or trade.triggered_at is not None:
        done.remembered.append(trade)
    if expired:
        done.ended_after_fill.setdefault(_why_expired(trade), []).append(trade)


def _why_expired(trade: AutoTrade) -> str:
    assert trade.expires_at is not None
    return f"a {trade.time_in_force} order, whose time was over at {trade.expires_at.isoformat()}"


def _beyond_reserve(
    trade: AutoTrade, fill: PaperFill, books: Books, spent: dict[uuid.UUID, Decimal]
) -> str | None:
    """Why a buy cannot be paid: the market has moved beyond what was reserved and what is free besides. A part is paid
    from its part of what is reserved, and from what is reserved for the fee."""
    portfolio, reserved = books.portfolios[trade.portfolio_id], books.reservations[trade.id].cash
    extra = fill.quantity * fill.price + fill.fee - (reserved - _kept(trade, fill, books))
    if extra <= 0:
        return None
    free = portfolio.cash - portfolio.reserved_cash - spent.get(portfolio.id, ZERO)
    if extra > free:
        return f"the price moved to {fill.price.normalize():f}, beyond what was reserved and what is free"
    spent[portfolio.id] = spent.get(portfolio.id, ZERO) + extra
    return None


def _kept(trade: AutoTrade, fill: PaperFill, books: Books) -> Decimal:
    """Cash that stays reserved for what this fill leaves of a buy: its share of what is there for the value, and the
    fee that it still costs. The first part may owe the whole fee: it pays it from what was reserved for it."""
    reserved, left = books.reservations[trade.id].cash, trade.quantity - trade.filled_quantity
    fees = fee_of_rest(trade, fill.price)
    kept = (reserved - fees) * ((left - fill.quantity) / left) + fees - fill.fee
    return min(max(round_money(kept), ZERO), reserved)


def _within_cash(
    trade: AutoTrade, fill: PaperFill, books: Books, spent: dict[uuid.UUID, Decimal]
) -> PaperFill:
    """A sale's fee comes from what it brings, and from what is free besides; there is no more."""
    beyond = max(fill.fee - round_money(fill.quantity * fill.price), ZERO)
    portfolio = books.portfolios[trade.portfolio_id]
    free = max(portfolio.cash - portfolio.reserved_cash - spent.get(portfolio.id, ZERO), ZERO)
    extra = min(beyond, free)
    spent[portfolio.id] = spent.get(portfolio.id, ZERO) + extra
    return replace(fill, fee=fill.fee - (beyond - extra))
