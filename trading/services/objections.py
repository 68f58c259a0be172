"""Why an order may not go out any more although it was approved: one answer for paper and for real brokers."""

from dataclasses import dataclass
from datetime import datetime

from foundation.core.canonical import plain_decimal
from foundation.core.money import ZERO
from market.core.snapshot import MarketSnapshot
from market.selectors import latest_splits
from market.services import snapshots
from portfolios.models import Reservation
from sessions.models import TradingSession
from trading.brokers.connections import rejects_opposites
from trading.core.halts import Halts, OrderScopes, forbids, strictest
from trading.core.opposites import OfSide, must_wait_for
from trading.core.order_prices import LIMITED, cost_basis
from trading.core.order_states import WORKING, OrderState
from trading.core.orders import OrderTerms, OrderType
from trading.models import AutoTrade
from trading.services.expiry import ON_ITS_WAY, is_live, is_over
from trading.services.fresh_state import halts_in_force

# A market order that found no market for so long (database time) was decided on another world.
PENDING_SECONDS_MAX = 60
MARKET_CLOSED = "the market is closed"
BESIDE_ANOTHER = "the broker would reject it beside an own order on the other side"
THERE = frozenset({OrderState.SUBMITTING, OrderState.CANCELLING, *WORKING})
Status = TradingSession.Status


def objection_to(
    trade: AutoTrade, halts: Halts, *, split_at: datetime | None, as_of: datetime, works: bool = False
) -> str | None:
    """Why the trade may not go out, or work, any more; None when it may. `split_at`: of its instrument, since it was
    decided. `as_of`: the present market time.

    works: it has gone out already, in good order: it works until somebody cancels it, as it would at any broker, and
    what has become of its rule or session is no objection.
    """
    reduces = trade.trade_type == "sell"
    halt = strictest(halts, _scopes_of(trade)) if halts else None
    if halt is not None and forbids(halt, reduces=reduces):
        return f"HALTED: {halt.mode} on {halt.scope} {halt.scope_id}: {halt.reason}"
    if split_at is not None and trade.market_at < split_at:
        return "a split came between its decision and its execution: its quantity is in old units"
    if trade.origin != AutoTrade.Origin.RULE or works:
        return None
    assert trade.session is not None and trade.rule is not None
    if not trade.rule.is_active:
        return "its rule is not active any more"
    if trade.rule_version is None or trade.rule_version.version != trade.rule.version:
        return "its rule was changed meanwhile"
    permitted = {Status.ACTIVE, Status.PAUSED} if reduces else {Status.ACTIVE}
    if trade.session.status not in permitted:
        return f"its session is {trade.session.status}"
    if not reduces and trade.session.paused_at is not None and trade.created_at <= trade.session.paused_at:
        return "its session was paused after it was decided"
    if not reduces and trade.session.ends_at is not None and as_of >= trade.session.ends_at:
        return "its session's end time is reached"
    return None


def _scopes_of(trade: AutoTrade) -> OrderScopes:
    return OrderScopes(
        account_id=trade.account_id, portfolio_id=trade.portfolio_id, session_id=trade.session_id,
        rule_id=trade.rule_id, symbol=trade.symbol,
    )  # fmt: skip


@dataclass(frozen=True)
class Hindrance:
    """Why it is not sent now. state: what that makes of it (cancelled or expired); None: it waits."""

    state: OrderState | None
    reason: str


def hindrance_to(trade: AutoTrade, *, now: datetime, again: bool = False) -> Hindrance | None:
    """What keeps an order from a real broker, looked up under its portfolio's lock; None: it may be sent.

    now: database time. again: it may have been sent before and nothing waits any longer; its age is no objection then,
    for it was spent on asking.
    """
    snapshot = snapshots.current()
    if snapshot is None:
        return Hindrance(OrderState.EXPIRED if again else None, "there is no market data")
    halts = halts_in_force(
        [trade.portfolio_id], account_ids=[trade.account_id], session_ids=[trade.session_id]
    )
    splits = latest_splits(instrument_ids={trade.instrument_id}, after=trade.market_at, until=snapshot.as_of)
    objection = objection_to(trade, halts, split_at=splits.get(trade.instrument_id), as_of=snapshot.as_of)
    if objection is not None:
        return Hindrance(OrderState.EXPIRED if again else OrderState.CANCELLED, objection)
    if is_over(trade, as_of=snapshot.as_of, now=now):
        return Hindrance(OrderState.EXPIRED, "the day that it was meant for is over")
    beside = None if again else _beside_another(trade)
    if trade.order_type != OrderType.MARKET:
        return _ran_away(trade, snapshot, again=again) or beside
    is_open = _is_open(trade, snapshot, now)
    late = (now - trade.created_at).total_seconds() > PENDING_SECONDS_MAX
    if late and not again:
        reason = f"it could not be sent within {PENDING_SECONDS_MAX} seconds"
        return Hindrance(OrderState.EXPIRED, reason if is_open else MARKET_CLOSED)
    if not is_open:
        return Hindrance(OrderState.EXPIRED if again else None, MARKET_CLOSED)
    return _ran_away(trade, snapshot, again=again) or beside


def _beside_another(trade: AutoTrade) -> Hindrance | None:
    """Where its broker would reject it beside an own order of the other side, it waits until that is over: its cancel
    is under way, as of a buy that a sale has had cancelled, or it was sent first. Of one in doubt nobody knows."""
    if not rejects_opposites(trade.account):
        return None
    others = AutoTrade.objects.filter(
        account_id=trade.account_id, instrument_id=trade.instrument_id, status__in=[*THERE]
    ).exclude(trade_type=trade.trade_type)
    mine = OfSide(trade.trade_type, trade.order_type, trade.limit_price)
    for side, order_type, limit, status in others.values_list(
        "trade_type", "order_type", "limit_price", "status"
    ):
        if must_wait_for(mine, OfSide(side, order_type, limit), leaves=status == OrderState.CANCELLING):
            return Hindrance(None, BESIDE_ANOTHER)
    return None


def _ran_away(trade: AutoTrade, snapshot: MarketSnapshot, *, again: bool) -> Hindrance | None:
    """A buy that pays whatever the market gives, now or once its stop is reached, and whose price has run away while it
    waited here or was asked for: it would cost more than was approved and reserved. What sells goes out all the same:
    it only reduces risk."""
    if trade.trade_type == "sell" or trade.order_type in LIMITED:
        return None
    price = snapshot.ask_price(trade.symbol) or snapshot.price(trade.symbol)
    if price is None:
        return Hindrance(OrderState.EXPIRED if again else None, "there is no price of it")
    terms = OrderTerms(
        order_type=OrderType(trade.order_type),
        stop_price=trade.stop_price,
        trail_percentage=trade.trail_percentage,
    )
    reserved = Reservation.objects.filter(owner_id=trade.id).values_list("cash", flat=True).first() or ZERO
    cost = (trade.quantity - trade.filled_quantity) * cost_basis(terms, ask=price)
    if cost <= reserved:
        return None
    gone_to = plain_decimal(price)
    reason = f"its price ran away to {gone_to} before it could be sent: it would cost more than is reserved"
    return Hindrance(OrderState.EXPIRED, reason)


def _is_open(trade: AutoTrade, snapshot: MarketSnapshot, now: datetime) -> bool:
    """In a live market by the clock, too: no quote may have come since the close."""
    place = snapshot.index(trade.symbol)
    if place is None or not snapshot.is_open[place]:
        return False
    closes = float(snapshot.closes_at[place])
    return not is_live(as_of=snapshot.as_of, now=now) or not (now + ON_ITS_WAY).timestamp() >= closes
