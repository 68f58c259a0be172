"""Which trades of paper accounts a snapshot concerns: told by the database, without locks.

What is pending always is due; what works at the paper market, only when the snapshot may do something to it: its
price, its stop, its end, a split of its instrument. So thousands of orders that rest far from the market cost a tick
one look at the open trades' index, and no portfolio is locked for them. The look is generous and decides nothing: who
is due is matched by `trading.core.paper_matching`, under its portfolio's lock.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from foundation.arrays import array_text
from foundation.loading import selected
from market.core.snapshot import MarketSnapshot
from market.selectors import latest_splits
from trading.models import AutoTrade

Key = tuple[uuid.UUID, datetime, uuid.UUID]


@dataclass(frozen=True, slots=True)
class Due:
    """A trade that is to be looked at, in the order in which all of them are: by portfolio, then by age; of those
    that were made together by id, and so in the order in which they were decided."""

    portfolio_id: uuid.UUID
    created_at: datetime
    id: uuid.UUID

    @property
    def key(self) -> Key:
        return self.portfolio_id, self.created_at, self.id


# matched_slot 0: the paper market has never taken it in, so it does not work there.
_OPEN = """
    t.status IN ('pending', 'accepted', 'partially_filled')
    AND t.status NOT IN ('filled', 'cancelled', 'rejected', 'expired')
    AND a.broker = 'paper'
"""
_WORKING = f"""
    {_OPEN} AND t.status <> 'pending' AND t.matched_slot > 0 AND t.matched_slot < %(version)s
"""

_INSTRUMENTS = f"""
    SELECT t.instrument_id, min(t.market_at)
    FROM auto_trades t JOIN portfolios_brokeraccount a ON a.id = t.account_id
    WHERE {_WORKING} GROUP BY t.instrument_id
"""  # noqa: S608

_MARKET = """
    unnest(%(instruments)s::bigint[], %(lasts)s::numeric[], %(bids)s::numeric[], %(asks)s::numeric[],
           %(splits)s::timestamptz[]) AS m (instrument_id, last, bid, ask, split_at)
"""

# The limit and stop tests mirror `paper_matching`; latency and chance are left to it.
_CONCERNED = f"""
    {_WORKING} AND (
        t.expires_at <= %(as_of)s
        OR t.market_at < m.split_at
        OR (t.triggered_at IS NOT NULL OR t.order_type IN ('market', 'limit')) AND (
            t.limit_price IS NULL AND m.bid IS NOT NULL AND m.ask IS NOT NULL
            OR t.trade_type = 'buy' AND m.ask <= t.limit_price
            OR t.trade_type = 'sell' AND m.bid >= t.limit_price)
        OR t.triggered_at IS NULL AND t.order_type IN ('stop', 'stop_limit') AND (
            t.trade_type = 'buy' AND m.last >= t.stop_price
            OR t.trade_type = 'sell' AND m.last <= t.stop_price)
        OR t.triggered_at IS NULL AND t.order_type = 'trailing_stop' AND (
            t.best_price IS NULL AND m.last IS NOT NULL
            OR t.trade_type = 'buy' AND m.last * 100 >= t.best_price * (100 + t.trail_percentage)
            OR t.trade_type = 'sell' AND m.last * 100 <= t.best_price * (100 - t.trail_percentage)))
"""

_DUE = f"""
    SELECT t.portfolio_id, t.created_at, t.id
    FROM auto_trades t JOIN portfolios_brokeraccount a ON a.id = t.account_id
    LEFT JOIN {_MARKET} ON m.instrument_id = t.instrument_id
    WHERE (t.status = 'pending' AND {_OPEN} OR {_CONCERNED})
      AND (%(portfolio)s::uuid IS NULL OR t.portfolio_id = %(portfolio)s)
      AND (%(after_trade)s::uuid IS NULL OR (t.portfolio_id, t.created_at, t.id)
           > (%(after_portfolio)s::uuid, %(after_time)s::timestamptz, %(after_trade)s::uuid))
    ORDER BY t.portfolio_id, t.created_at, t.id LIMIT %(limit)s
"""  # noqa: S608

# Rows that somebody works on are left out: they wait for nobody, and their own batch remembers the price, too.
_FOLLOW = f"""
    WITH risen AS (
        SELECT t.id, m.last FROM auto_trades t JOIN portfolios_brokeraccount a ON a.id = t.account_id
        JOIN {_MARKET} ON m.instrument_id = t.instrument_id
        WHERE {_WORKING} AND t.order_type = 'trailing_stop' AND t.triggered_at IS NULL
          AND (m.split_at IS NULL OR t.market_at >= m.split_at)
          AND (t.trade_type = 'sell' AND m.last > t.best_price OR t.trade_type = 'buy' AND m.last < t.best_price)
        FOR NO KEY UPDATE OF t SKIP LOCKED)
    UPDATE auto_trades AS t SET best_price = risen.last FROM risen WHERE t.id = risen.id
"""  # noqa: S608


@dataclass(frozen=True)
class Looked:
    """A snapshot, and what of it the working orders depend on."""

    snapshot: MarketSnapshot
    instruments: Sequence[int]
    splits: dict[int, datetime]

    @classmethod
    def at(cls, snapshot: MarketSnapshot) -> "Looked":
        """One query, and one more if anything works at the paper market."""
        since: dict[int, datetime] = dict(selected(_INSTRUMENTS, {"version": snapshot.version}))
        splits = latest_splits(
            instrument_ids=set(since), after=min(since.values()), until=snapshot.as_of
        ) if since else {}  # fmt: skip
        return cls(snapshot, sorted(since), splits)

    def next(self, *, after: Key | None, portfolio_id: uuid.UUID | None = None, count_max: int) -> list[Due]:
        """The next trades that are due behind `after`."""
        last: Any = after or (None, None, None)
        more = {
            "portfolio": portfolio_id, "limit": count_max,
            "after_portfolio": last[0], "after_time": last[1], "after_trade": last[2],
        }  # fmt: skip
        return [Due(*row) for row in selected(_DUE, {**self._columns(), **more})]

    def follow_best_prices(self) -> None:
        """Let trailing stops remember a better price than any since they began. It comes to nothing else: a price that
        is the best one triggers nothing."""
        if self.instruments:
            with connection.cursor() as cursor:
                cursor.execute(_FOLLOW, self._columns())

    def _columns(self) -> dict[str, Any]:
        """Of a closed market nothing is told, nor of quotes of before the open: an order meets no price there."""
        snapshot = self.snapshot
        symbols = dict(zip(snapshot.instrument_ids, snapshot.symbols, strict=True))
        open_now = {
            instrument_id: symbols[instrument_id]
            for instrument_id in self.instruments
            if instrument_id in symbols and snapshot.trades(_place(snapshot, symbols[instrument_id]))
        }

        def of(price: Any) -> list[Decimal | None]:
            return [price(open_now[key]) if key in open_now else None for key in self.instruments]

        return {
            "version": snapshot.version, "as_of": snapshot.as_of, "instruments": list(self.instruments),
            "lasts": of(snapshot.price), "bids": of(snapshot.bid_price), "asks": of(snapshot.ask_price),
            "splits": [self.splits.get(key) for key in self.instruments],
        }  # fmt: skip


def _place(snapshot: MarketSnapshot, symbol: str) -> int:
    place = snapshot.index(symbol)
    assert place is not None
    return place


_REMEMBER = """
    UPDATE auto_trades AS t SET matched_slot = greatest(t.matched_slot, n.slot), triggered_at = n.triggered_at,
        best_price = CASE WHEN t.trade_type = 'sell' THEN greatest(t.best_price, n.best_price)
                          ELSE least(t.best_price, n.best_price) END
    FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[], %s::numeric[]) AS n (id, slot, triggered_at, best_price)
    WHERE t.id = n.id
"""


def remember(trades: Iterable[AutoTrade]) -> None:
    """Keep what the market did to them but for their status: the last snapshot, the trigger, the best price. Their
    portfolios are locked."""
    rows = list(trades)
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(
                _REMEMBER,
                [array_text([t.id for t in rows]), array_text([t.matched_slot for t in rows]),
                 array_text([t.triggered_at for t in rows]), array_text([t.best_price for t in rows])],
            )  # fmt: skip
