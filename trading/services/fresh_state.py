"""What a decision about one portfolio may rest on, fresh and under its lock: read in a handful of queries."""

import math
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from foundation.arrays import array_text
from foundation.asking import Steps, asking, together
from foundation.core.money import ZERO, as_decimal
from foundation.loading import rows_of, where
from market.models import Instrument
from portfolios.core.facts import Valuation
from portfolios.core.limits import EffectiveLimits, LimitRow
from portfolios.core.permissions import Permissions
from portfolios.models import BrokerAccount
from portfolios.selectors import effective_limits, instrument_limits, instrument_permissions
from portfolios.services.books import Books
from sessions.core.config import SessionConfig, read_config
from sessions.models import TradingSession
from trading.core.halts import HaltInForce, Halts, OrderScopes, strictest
from trading.core.history import History
from trading.core.order_prices import LIMITED, cost_basis, execution_price
from trading.core.orders import MARKET_DAY, OrderTerms
from trading.core.paper import PaperModel, cost_to_reserve
from trading.core.sizing import SizingFacts
from trading.core.track_record import TrackRecord
from trading.selectors.breakers import losing_streaks
from trading.services.facts import MarketView, OwnedRows, valuation_of, with_marks
from trading.services.history import histories, messages_sent

# Cash set aside beyond the ask, for the market's move until the fill.
RESERVE_CUSHION_BPS = Decimal(200)
NAN = Decimal("NaN")


# Two halves, each by its index.
_IN_FORCE = """
    SELECT id, scope, scope_id, mode, reason, armed_by_rule_id FROM trading_halt
    WHERE released_at IS NULL AND (
        scope IN ('platform', 'symbol')
        OR scope = 'portfolio' AND scope_id = ANY(%s::text[])
        OR scope = 'account' AND scope_id = ANY(%s::text[])
        OR scope = 'session' AND scope_id = ANY(%s::text[]))
    UNION ALL
    SELECT id, scope, scope_id, mode, reason, armed_by_rule_id FROM trading_halt
    WHERE released_at IS NULL AND scope = 'rule'
      AND scope_id IN (SELECT id::text FROM trading_rules WHERE portfolio_id = ANY(%s::uuid[]))
"""


@asking
def halts_in_force(
    portfolio_ids: Collection[uuid.UUID],
    *,
    account_ids: Iterable[uuid.UUID],
    session_ids: Iterable[uuid.UUID | None],
) -> Steps[Halts]:
    """The halts, not released, that may cover an order of these portfolios, accounts and sessions.

    Only those: in a crash each portfolio may have its own.
    """
    portfolios = array_text(portfolio_ids)
    accounts = array_text(set(account_ids))
    trading_sessions = array_text({key for key in session_ids if key is not None})
    (rows,) = yield [(_IN_FORCE, [portfolios, accounts, trading_sessions, portfolios])]
    return Halts(HaltInForce(*row) for row in rows)


def costs_of(account: BrokerAccount) -> PaperModel:
    """How the paper market treats it; of a real broker's account, what its costs are taken for beforehand."""
    return PaperModel(
        fee_bps=account.fee_bps, fee_per_unit=account.fee_per_unit, fee_minimum=account.fee_minimum,
        slippage_bps=account.slippage_bps, price_impact_bps=account.price_impact_bps,
        volume_limit_percentage=account.volume_limit_percentage, latency_ms=account.latency_ms,
        touch_fill_percentage=account.touch_fill_percentage, seed=account.seed,
    )  # fmt: skip


@dataclass
class FreshState:
    """One portfolio under lock. `books` are shared by the batch and change as orders are approved."""

    portfolio_id: uuid.UUID
    session: TradingSession | None
    account: BrokerAccount
    view: MarketView
    books: Books
    rows: OwnedRows
    limits: EffectiveLimits
    instrument_limits: Mapping[int, LimitRow]
    permissions: Permissions
    halts: Iterable[HaltInForce]  # that may cover an order of this portfolio
    history: History
    now_epoch: float
    config: SessionConfig = field(default_factory=SessionConfig)
    track_records: dict[uuid.UUID, TrackRecord] = field(default_factory=dict)  # of rules, once read
    _valued: tuple[int, Valuation] | None = None
    _settled: tuple[int, Valuation] | None = None
    _exposed: tuple[int, dict[int, Decimal]] | None = None

    def valuation(self) -> Valuation:
        """At this moment, with everything that this batch has already reserved; made again when that changes."""
        if self._valued is None or self._valued[0] != self.books.changes:
            self._valued = (self.books.changes, self._value())
        return self._valued[1]

    def settled(self) -> Valuation:
        """Its equity, day's profit and drawdown are those of this moment: what is reserved does not change them."""
        if self._settled is None or self._settled[0] != self.books.settled:
            self._settled = (self.books.settled, self.valuation())
        return self._settled[1]

    def _value(self) -> Valuation:
        rows = OwnedRows(
            portfolios=self.books.portfolios,
            positions={self.portfolio_id: self.books.positions_of(self.portfolio_id)},
            reservations={self.portfolio_id: self.books.reservations_of(self.portfolio_id)},
            marks=self.rows.marks,
            peaks=self.rows.peaks,
            unsettled=self.rows.unsettled,
        )
        return valuation_of(rows, self.portfolio_id, self.view)

    def equity(self) -> Decimal:
        """NaN while the price of something held is unknown."""
        return Decimal(repr(self.settled().equity))

    def known_equity(self) -> Decimal | None:
        """None while the price of something held is unknown."""
        equity = self.equity()
        return None if equity.is_nan() else equity

    def capital_cap(self) -> Decimal | None:
        """What the session may have invested, in currency; None: everything."""
        cap = self.config.capital_cap
        return cap.amount(self.equity()) if cap is not None else None

    def sizing_equity(self) -> Decimal | None:
        """What sizes are percent of: the equity, or the part of it that the session was given.

        None: something held has no known price.
        """
        equity, cap = self.known_equity(), self.capital_cap()
        return equity if equity is None or cap is None else min(equity, cap)

    def exposures(self) -> dict[int, Decimal]:
        """Instrument -> worth of what is held of it and what working buys have reserved for it; NaN: no price."""
        if self._exposed is None or self._exposed[0] != self.books.changes:
            self._exposed = (self.books.changes, self._expose())
        return self._exposed[1]

    def _expose(self) -> dict[int, Decimal]:
        found: dict[int, Decimal] = {}
        for position in self.books.positions_of(self.portfolio_id):
            if position.quantity > 0:
                found[position.instrument_id] = position.quantity * self.known_price(position.instrument_id)
        for row in self.books.reservations_of(self.portfolio_id):
            if row.cash > 0:
                found[row.instrument_id] = found.get(row.instrument_id, ZERO) + row.cash
        return found

    def known_price(self, instrument_id: int) -> Decimal:
        """As a fact: NaN where the quote is stale, as well as where there is none."""
        instrument = self.view.instruments[instrument_id]
        price = self.price(instrument)
        fresh = math.isfinite(self.view.prices.get(instrument.symbol, math.nan))
        return price if price is not None and fresh else NAN

    def price(self, instrument: Instrument) -> Decimal | None:
        """None where it counts in other units than what is held: a split is on its way into the books."""
        if self.rows.unsettled and (self.portfolio_id, instrument.id) in self.rows.unsettled:
            return None
        return self.view.snapshot.price(instrument.symbol)

    def price_age_seconds(self, instrument: Instrument) -> Decimal:
        """Database time since the quote was received; infinite when there is none."""
        place = self.view.snapshot.index(instrument.symbol)
        received = float(self.view.snapshot.price_received_at[place]) if place is not None else float("nan")
        if received != received:
            return Decimal("Infinity")
        return as_decimal(max(self.now_epoch - received, 0.0))

    def exposure(self, instrument: Instrument) -> Decimal:
        """Worth of what is held of it and what working buys have reserved for it."""
        return self.exposures().get(instrument.id, ZERO)

    def session_invested(self) -> Decimal:
        """Worth of what the session has bought and still holds, and of its working buys."""
        total = ZERO
        for instrument_id, units in self.history.session_bought.items():
            held = min(units, self.books.position(self.portfolio_id, instrument_id).quantity)
            if held > 0:
                total += held * self.known_price(instrument_id)
        session_id = self.session.id if self.session is not None else None
        mine = {order.id for order in self.history.open_orders if order.session_id == session_id}
        working = self.books.reservations_of(self.portfolio_id)
        return total + sum((row.cash for row in working if row.owner_id in mine), ZERO)

    def sizing_facts(self, instrument: Instrument, price: Decimal, equity: Decimal) -> SizingFacts:
        position = self.books.position(self.portfolio_id, instrument.id)
        return SizingFacts(
            price=price, equity=equity, held=position.quantity, reserved=position.reserved_quantity,
            exposure=self.exposure(instrument), lot=instrument.lot_size, cost=position.cost,
        )  # fmt: skip

    def execution_price(
        self, instrument: Instrument, side: str, *, terms: OrderTerms = MARKET_DAY
    ) -> Decimal:
        """The worst that an order of these terms is expected to get, slippage included; NaN without a quote."""
        snapshot = self.view.snapshot
        touch = (
            snapshot.ask_price(instrument.symbol) if side == "buy" else snapshot.bid_price(instrument.symbol)
        )
        return execution_price(
            terms,
            side=side,
            touch=NAN if touch is None else touch,
            slippage_bps=self.account.slippage_bps,
        )

    @cached_property
    def costs(self) -> PaperModel:
        return costs_of(self.account)

    def cash_needed(
        self, instrument: Instrument, quantity: Decimal, *, terms: OrderTerms = MARKET_DAY
    ) -> Decimal:
        """What a buy may really pay. A limit price is never exceeded; else slippage and a cushion come on top."""
        ask = self.view.snapshot.ask_price(instrument.symbol) or self.price(instrument)
        assert ask is not None, "sized on a known price"
        costs, cushion = self.costs, RESERVE_CUSHION_BPS
        if terms.order_type in LIMITED:
            costs, cushion = replace(costs, slippage_bps=ZERO, price_impact_bps=ZERO), ZERO
        basis = cost_basis(terms, ask=ask)
        return cost_to_reserve(quantity=quantity, ask=basis, costs=costs, cushion_bps=cushion)

    def halt_for(self, *, symbol: str, rule_id: uuid.UUID | None) -> HaltInForce | None:
        if not self.halts:
            return None
        scopes = OrderScopes(
            account_id=self.account.id, portfolio_id=self.portfolio_id, rule_id=rule_id, symbol=symbol,
            session_id=self.session.id if self.session else None,
        )  # fmt: skip
        return strictest(self.halts, scopes)

    def limits_for(self, instrument: Instrument) -> EffectiveLimits:
        """The tightest of all scopes, the instrument's own among them."""
        return self.limits.tightened_by(self.instrument_limits.get(instrument.id))


@asking
def _accounts_of(portfolio_ids: Collection[uuid.UUID]) -> Steps[dict[uuid.UUID, BrokerAccount]]:
    (rows,) = yield [where(BrokerAccount, "t.portfolio_id = ANY(%s::uuid[])", [array_text(portfolio_ids)])]
    return {row.portfolio_id: row for row in rows_of(BrokerAccount, rows)}


@asking
def _clock() -> Steps[datetime]:
    """As `database_now`."""
    (((now,),),) = yield [("SELECT clock_timestamp()", ())]
    return now


def fresh_states(
    books: Books, *, sessions: Mapping[uuid.UUID, TradingSession | None], view: MarketView
) -> dict[uuid.UUID, FreshState]:
    """The state of each portfolio in the open books (its running session given), in a handful of trips to the
    database."""
    ids = list(books.portfolios)
    session_ids = {key: (row.id if row else None) for key, row in sessions.items()}
    configs = {key: read_config(row.config) for key, row in sessions.items() if row is not None}
    capped = [
        row.id for key, row in sessions.items() if row is not None and configs[key].capital_cap is not None
    ]
    accounts, limits, of_instruments, permissions, sent, streaks, rows = together(
        _accounts_of.steps(ids), effective_limits.steps({key: session_ids.get(key) for key in ids}),
        instrument_limits.steps(), instrument_permissions.steps(ids), messages_sent.steps(ids),
        losing_streaks.steps(ids),
        with_marks.steps(
            portfolios=books.portfolios, positions=books.positions.values(),
            reservations=books.reservations.values(),
        ),
    )  # fmt: skip
    halts, before, now = together(
        halts_in_force.steps(
            ids, account_ids=[row.id for row in accounts.values()], session_ids=session_ids.values()
        ),
        histories.steps(
            limits, of_instruments=of_instruments.values(), as_of=view.snapshot.as_of, capped_sessions=capped
        ),
        _clock.steps(),
    )  # fmt: skip
    for key in ids:
        before[key].messages_last_second, before[key].messages_last_minute = sent.get(key, (0, 0))
        before[key].losing_streak = streaks[key]
    now_epoch = now.timestamp()
    return {
        key: FreshState(
            portfolio_id=key, session=sessions.get(key), account=accounts[key], view=view, books=books, rows=rows,
            limits=limits[key], instrument_limits=of_instruments, permissions=permissions[key],
            halts=halts.within(
                portfolio_id=key, account_id=accounts[key].id, session_id=session_ids.get(key)
            ),
            history=before[key], now_epoch=now_epoch, config=configs.get(key, SessionConfig()),
        )
        for key in ids
    }  # fmt: skip
