"""Reading what portfolios ordered before: a handful of queries, however many portfolios."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection
from django.db.models import Max, Sum

from foundation.core.money import ZERO
from portfolios.core.limits import EffectiveLimits
from trading.core.history import History, OpenOrder, PastOrder
from trading.core.order_states import OPEN, OrderState
from trading.models import AutoTrade
from trading.selectors.breakers import losing_streaks

Origin = AutoTrade.Origin
# What they sell is not held against anybody.
NOT_COUNTED = frozenset({Origin.FLATTEN, Origin.PROTECTION})
DOUBTFUL = frozenset({OrderState.UNKNOWN, OrderState.QUARANTINED})


def past_order(trade: AutoTrade) -> PastOrder:
    return PastOrder(
        trade.instrument_id, trade.trade_type, trade.quantity, trade.rule_id, trade.market_at, trade.market_day,
        trade.origin not in NOT_COUNTED,
    )  # fmt: skip


def open_order(trade: AutoTrade) -> OpenOrder:
    doubtful = trade.status in DOUBTFUL
    return OpenOrder(trade.id, trade.instrument_id, trade.trade_type, trade.session_id, doubtful)


def histories(
    limits: Mapping[uuid.UUID, EffectiveLimits], *, as_of: datetime, capped_sessions: Collection[uuid.UUID]
) -> dict[uuid.UUID, History]:
    """Of portfolios whose locks the caller holds, so that nobody orders between this look and his order.

    `limits` tell how far to look back; `capped_sessions` are those whose own purchases count.
    """
    found = {key: History(as_of) for key in limits}
    _add_orders(found, limits, as_of)
    for portfolio_id, (second, minute) in messages_sent(found).items():
        found[portfolio_id].messages_last_second = second
        found[portfolio_id].messages_last_minute = minute
    _add_sales(found, limits, as_of)
    for portfolio_id, losses in losing_streaks(found).items():
        found[portfolio_id].losing_streak = losses
    bought = _bought(capped_sessions)
    for portfolio_id, mine in bought.items():
        found[portfolio_id].session_bought = mine
    return found


def _longest(limits: Iterable[EffectiveLimits], name: str) -> float:
    return max((float(each.get(name) or 0) for each in limits), default=0.0)


def _add_orders(
    found: Mapping[uuid.UUID, History], limits: Mapping[uuid.UUID, EffectiveLimits], as_of: datetime
) -> None:
    seconds = _longest(limits.values(), "duplicate_order_seconds")
    minutes = _longest(limits.values(), "rule_execution_window_minutes")
    since = as_of - max(timedelta(seconds=seconds), timedelta(minutes=minutes))
    mine = AutoTrade.objects.filter(portfolio_id__in=found)
    recent = mine.filter(market_day__gte=since.date()).values_list(
        "portfolio_id", "instrument_id", "trade_type", "quantity", "rule_id", "market_at", "market_day", "origin"
    )  # fmt: skip
    orders: dict[uuid.UUID, list[PastOrder]] = {}
    for portfolio_id, instrument_id, side, quantity, rule_id, market_at, market_day, origin in recent:
        counts = origin not in NOT_COUNTED
        orders.setdefault(portfolio_id, []).append(
            PastOrder(instrument_id, side, quantity, rule_id, market_at, market_day, counts)
        )
    for portfolio_id, rows in orders.items():
        found[portfolio_id].add(rows)
    working = mine.filter(status__in=[state.value for state in OPEN])
    for portfolio_id, trade_id, instrument_id, side, session_id, status in working.values_list(
        "portfolio_id", "id", "instrument_id", "trade_type", "session_id", "status"
    ):
        found[portfolio_id].open_orders.append(
            OpenOrder(trade_id, instrument_id, side, session_id, status in DOUBTFUL)
        )


def messages_sent(portfolio_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, tuple[int, int]]:
    """Orders and cancels within the last second and the last minute of database time; those without any are absent.

    To the moment: what was decided exactly a second ago is not within it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT portfolio_id, count(*) FILTER (WHERE at > t.now - interval '1 second'), count(*)
            FROM trading_ordermessage, (SELECT clock_timestamp() AS now) AS t
            WHERE portfolio_id = ANY(%s) AND at > t.now - interval '1 minute' GROUP BY portfolio_id
            """,
            [list(portfolio_ids)],
        )
        return {portfolio_id: (second, minute) for portfolio_id, second, minute in cursor.fetchall()}


def _add_sales(
    found: Mapping[uuid.UUID, History], limits: Mapping[uuid.UUID, EffectiveLimits], as_of: datetime
) -> None:
    """Only where somebody asks for a rest after a sale."""
    minutes = _longest(limits.values(), "entry_cooldown_minutes")
    if minutes <= 0:
        return
    sales = AutoTrade.objects.filter(
        portfolio_id__in=found, trade_type="sell", filled_quantity__gt=0,
        executed_at__gt=as_of - timedelta(minutes=minutes),
    )  # fmt: skip
    sold: dict[uuid.UUID, dict[int, datetime]] = {}
    for portfolio_id, instrument_id, at in sales.values_list("portfolio_id", "instrument_id").annotate(
        at=Max("executed_at")
    ):
        sold.setdefault(portfolio_id, {})[instrument_id] = at
    for portfolio_id, mine in sold.items():
        found[portfolio_id].sold_at = mine


def _bought(session_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[int, Decimal]]:
    """Units that sessions have bought and not sold, by portfolio and instrument."""
    if not session_ids:
        return {}
    filled = AutoTrade.objects.filter(session_id__in=session_ids, filled_quantity__gt=0)
    net: dict[uuid.UUID, dict[int, Decimal]] = {}
    for portfolio_id, instrument_id, side, units in filled.values_list(
        "portfolio_id", "instrument_id", "trade_type"
    ).annotate(units=Sum("filled_quantity")):
        mine = net.setdefault(portfolio_id, {})
        mine[instrument_id] = mine.get(instrument_id, ZERO) + (units if side == "buy" else -units)
    return net
