"""Reading what portfolios ordered before: a handful of queries, however many portfolios."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import F, Max, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from foundation.arrays import array_text
from foundation.asking import Steps, asking
from foundation.core.money import ZERO
from market.models import CorporateAction
from portfolios.core.limits import EffectiveLimits, LimitRow
from portfolios.models import CorporateActionBooking, Reservation
from trading.core.history import History, OpenOrder, PastOrder, Traded, still_held, window
from trading.core.order_states import DOUBTFUL, FINAL, OrderState
from trading.core.orders import OrderType
from trading.models import AutoTrade, Execution
from trading.selectors.breakers import releases_of_rules

Origin = AutoTrade.Origin
CENT = Decimal("0.01")
# What they sell is not held against anybody.
NOT_COUNTED = frozenset({Origin.FLATTEN, Origin.PROTECTION})


def past_order(trade: AutoTrade) -> PastOrder:
    protective = trade.origin in NOT_COUNTED
    return PastOrder(
        trade.instrument_id, trade.trade_type, trade.quantity, trade.rule_id, trade.market_at, trade.market_day,
        counts=not protective, protective=protective,
    )  # fmt: skip


def made_way(history: History, trades: Sequence[AutoTrade]) -> None:
    """Those of the trades that have ended for what comes now are not held against it; at a real broker they leave."""
    history.gone({trade.id for trade in trades if trade.status in FINAL})
    history.leave({trade.id for trade in trades if _leaves(trade.status, trade.cancel_requested_at)})


def open_order(trade: AutoTrade) -> OpenOrder:
    return _open_order(
        trade.id, trade.instrument_id, trade.trade_type, trade.session_id, trade.status, trade.rule_id,
        trade.order_type, trade.limit_price, trade.cancel_requested_at,
    )  # fmt: skip


def _open_order(
    trade_id: uuid.UUID, instrument_id: int, side: str, session_id: uuid.UUID | None, status: str,
    rule_id: uuid.UUID | None, order_type: str, limit_price: Decimal | None, cancel_requested_at: datetime | None,
) -> OpenOrder:  # fmt: skip
    works = order_type != OrderType.MARKET or status not in (OrderState.PENDING, OrderState.SUBMITTING)
    return OpenOrder(
        trade_id, instrument_id, side, session_id, status in DOUBTFUL, limit_price, rule_id, works,
        order_type=order_type, leaves=_leaves(status, cancel_requested_at),
    )  # fmt: skip


def _leaves(status: str, cancel_requested_at: datetime | None) -> bool:
    """Its cancel is under way, or begins as soon as it has been sent."""
    return status == OrderState.CANCELLING or (
        status == OrderState.SUBMITTING and cancel_requested_at is not None
    )


@asking
def histories(
    limits: Mapping[uuid.UUID, EffectiveLimits],
    *,
    of_instruments: Iterable[LimitRow],
    as_of: datetime,
    capped_sessions: Collection[uuid.UUID],
) -> Steps[dict[uuid.UUID, History]]:
    """Of portfolios whose locks the caller holds, so that nobody orders between this look and his order; messages and
    losing streaks hang on nothing else and are asked for beside it (`messages_sent`, `losing_streaks`).

    `limits` and those `of_instruments` tell how far to look back; `capped_sessions` are those whose own purchases
    count.
    """
    found = {key: History(as_of) for key in limits}
    rows = [each.values for each in limits.values()] + [values for _, _, values in of_instruments]
    yield from _add_orders(
        found, as_of, twins=_longest(rows, "duplicate_order_seconds"),
        rules=_longest(rows, "rule_execution_window_minutes", minutes=True),
    )  # fmt: skip
    _add_sales(found, as_of - _longest(rows, "entry_cooldown_minutes", minutes=True))
    for portfolio_id, mine in _bought(capped_sessions).items():
        found[portfolio_id].session_bought = mine
    return found


def _longest(rows: Iterable[Mapping[str, Decimal | None]], name: str, *, minutes: bool = False) -> timedelta:
    return max((window(row.get(name), minutes=minutes) for row in rows), default=timedelta())


_COUNTED_TODAY = """
    SELECT portfolio_id, instrument_id, rule_id, count(*) FROM auto_trades
    WHERE portfolio_id = ANY(%s::uuid[]) AND market_day = %s AND origin <> ALL (%s)
    GROUP BY portfolio_id, instrument_id, rule_id
"""

# The day finds them by the index.
_RECENT = """
    SELECT portfolio_id, instrument_id, trade_type, quantity, rule_id, market_at, market_day, created_at, origin
    FROM auto_trades
    WHERE portfolio_id = ANY(%s::uuid[]) AND market_day >= %s
      AND (market_at > %s OR rule_id IS NOT NULL AND market_at > %s)
"""

_WORKING = """
    SELECT portfolio_id, id, instrument_id, trade_type, session_id, status, rule_id, order_type, limit_price,
           cancel_requested_at
    FROM auto_trades
    WHERE portfolio_id = ANY(%s::uuid[]) AND status NOT IN ('filled', 'cancelled', 'rejected', 'expired')
"""


def _add_orders(
    found: Mapping[uuid.UUID, History], as_of: datetime, *, twins: timedelta, rules: timedelta
) -> Steps[None]:
    """The trades of the day as numbers; one by one only those that may be twins, or executions of a rule that count."""
    ids = array_text(found)
    counted, recent, working = yield [
        (_COUNTED_TODAY, [ids, as_of.date(), sorted(origin.value for origin in NOT_COUNTED)]),
        (_RECENT, [ids, (as_of - max(twins, rules)).date(), as_of - twins, as_of - rules]),
        (_WORKING, [ids]),
    ]
    for portfolio_id, instrument_id, rule_id, orders in counted:
        found[portfolio_id].count_today(instrument_id=instrument_id, rule_id=rule_id, orders=orders)
    short = _short([row[1] for row in working if row[5] == OrderState.CANCELLING])
    for portfolio_id, *of_order in working:
        order = _open_order(*of_order)
        found[portfolio_id].open_orders.append(order._replace(doubtful=order.doubtful or order.id in short))
    released = releases_of_rules(found) if any(row[4] is not None for row in recent) else {}
    for portfolio_id, instrument_id, side, quantity, rule_id, market_at, day, created_at, origin in recent:
        released_at = released.get(rule_id) if rule_id is not None else None
        found[portfolio_id].add(
            [
                PastOrder(
                    instrument_id, side, quantity, rule_id, market_at, day, counts=False,
                    judged=released_at is not None and created_at <= released_at,
                    protective=origin in NOT_COUNTED,
                )
            ]
        )  # fmt: skip


def _short(cancelling: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Of orders that are being cancelled those for which less is reserved than may still be filled: they turned up when
    not all of it was free. Until their broker has ended them, nobody knows what will be held."""
    if not cancelling:
        return set()
    rest = F("quantity") - F("filled_quantity")
    price = Coalesce("limit_price", "stop_price", "trigger_price")
    own = Reservation.objects.filter(owner_id=OuterRef("pk"))
    rows = AutoTrade.objects.filter(pk__in=cancelling).annotate(
        units=Subquery(own.values("quantity")),
        money=Subquery(own.values("cash")),
        rest=rest,
        worth=rest * price,
    )
    less = Q(trade_type="sell", units__lt=F("rest")) | Q(trade_type="buy", money__lt=F("worth") - CENT)
    return set(rows.filter(less).values_list("id", flat=True))


_MESSAGES = """
    SELECT portfolio_id, count(*) FILTER (WHERE at > t.now - interval '1 second'), count(*)
    FROM trading_ordermessage, (SELECT clock_timestamp() AS now) AS t
    WHERE portfolio_id = ANY(%s::uuid[]) AND at > t.now - interval '1 minute' GROUP BY portfolio_id
"""


@asking
def messages_sent(portfolio_ids: Collection[uuid.UUID]) -> Steps[dict[uuid.UUID, tuple[int, int]]]:
    """Orders and cancels within the last second and the last minute of database time; those without any are absent.

    To the moment: what was decided exactly a second ago is not within it.
    """
    (sent,) = yield [(_MESSAGES, [array_text(portfolio_ids)])]
    return {portfolio_id: (second, minute) for portfolio_id, second, minute in sent}


def _add_sales(found: Mapping[uuid.UUID, History], since: datetime) -> None:
    """Only where somebody asks for a rest after a sale."""
    if not found or since >= next(iter(found.values())).as_of:
        return
    sales = AutoTrade.objects.filter(
        portfolio_id__in=found, trade_type="sell", filled_quantity__gt=0, executed_at__gt=since
    )
    sold: dict[uuid.UUID, dict[int, datetime]] = {}
    for portfolio_id, instrument_id, at in sales.values_list("portfolio_id", "instrument_id").annotate(
        at=Max("executed_at")
    ):
        sold.setdefault(portfolio_id, {})[instrument_id] = at
    for portfolio_id, mine in sold.items():
        found[portfolio_id].sold_at = mine


def _bought(session_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[int, Decimal]]:
    """Units that sessions have bought and still hold, by portfolio and instrument: their executions in order, without
    those that were reversed, and with the splits that came between."""
    if not session_ids:
        return {}
    traded: dict[tuple[uuid.UUID, int], list[Traded]] = {}
    executed = Execution.objects.filter(trade__session_id__in=session_ids, reversed_at=None)
    for portfolio_id, instrument_id, side, units, at in executed.order_by("market_at", "id").values_list(
        "trade__portfolio_id", "trade__instrument_id", "trade__trade_type", "quantity", "market_at"
    ):
        traded.setdefault((portfolio_id, instrument_id), []).append(
            Traded(at, units if side == "buy" else -units)
        )
    splits = CorporateActionBooking.objects.filter(
        action__kind=CorporateAction.Kind.SPLIT, booked_at__isnull=False, reversed_at=None,
        portfolio_id__in={portfolio_id for portfolio_id, _ in traded},
    )  # fmt: skip
    for portfolio_id, instrument_id, at, new, old in splits.values_list(
        "portfolio_id", "action__instrument_id", "action__ex_at", "action__new_units", "action__old_units"
    ):
        if (portfolio_id, instrument_id) in traded and new is not None and old is not None:
            traded[portfolio_id, instrument_id].append(Traded(at, ZERO, Decimal(new) / old))
    found: dict[uuid.UUID, dict[int, Decimal]] = {}
    for (portfolio_id, instrument_id), mine in traded.items():
        found.setdefault(portfolio_id, {})[instrument_id] = still_held(mine)
    return found
