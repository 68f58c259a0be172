"""Risk on fresh state: everything that a decision about one portfolio may rest on, under its lock.

A batch is checked cumulatively: what one approved order reserves in the open books is spent for the next.
"""

import math
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from django.db.models import CharField, Count, Q
from django.db.models.functions import Cast

from foundation.clock import database_now
from foundation.core.money import ZERO, as_decimal
from market.models import Instrument
from portfolios.core.facts import Valuation
from portfolios.core.limits import EffectiveLimits
from portfolios.models import BrokerAccount
from portfolios.selectors import effective_limits
from portfolios.services.books import Books
from rules.models import TradingRule
from sessions.models import TradingSession
from trading.core.halts import HaltInForce, Halts, OrderScopes, strictest
from trading.core.order_states import OrderState
from trading.core.paper import Costs, cost_to_reserve
from trading.core.risk import Approved, Refused, RiskRequest, assess
from trading.core.sizing import SizingFacts
from trading.core.track_record import TrackRecord
from trading.models import AutoTrade, Halt
from trading.services.facts import MarketView, OwnedRows, valuation_of, with_marks

# Cash set aside beyond the ask, for the market's move until the fill.
RESERVE_CUSHION_BPS = Decimal(200)
PERCENT = Decimal(100)
Scope = Halt.Scope


def halts_in_force(
    portfolio_ids: Collection[uuid.UUID],
    *,
    account_ids: Iterable[uuid.UUID],
    session_ids: Iterable[uuid.UUID | None],
) -> Halts:
    """The halts, not released, that may cover an order of these portfolios, accounts and sessions.

    Only those: in a crash each portfolio may have its own.
    """
    ids = {Scope.PORTFOLIO: portfolio_ids, Scope.ACCOUNT: account_ids, Scope.SESSION: session_ids}
    mine = Q(scope__in=[Scope.PLATFORM, Scope.SYMBOL])
    for scope, keys in ids.items():
        mine |= Q(scope=scope, scope_id__in=[str(key) for key in keys if key is not None])
    rules = TradingRule.objects.filter(portfolio_id__in=portfolio_ids).values(key=Cast("id", CharField()))
    in_force = Halt.objects.filter(released_at=None)
    # Two halves, each by its index.
    found = in_force.filter(mine).union(in_force.filter(scope=Scope.RULE, scope_id__in=rules), all=True)
    columns = ("id", "scope", "scope_id", "mode", "reason", "armed_by_rule_id")
    return Halts(HaltInForce(*row) for row in found.values_list(*columns))


def costs_of(account: BrokerAccount) -> Costs:
    return Costs(fee_bps=account.fee_bps, fee_minimum=account.fee_minimum, slippage_bps=account.slippage_bps)


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
    halts: Iterable[HaltInForce]  # that may cover an order of this portfolio
    daily_trades: int
    unknown_by_instrument: Mapping[int, int]
    now_epoch: float
    track_records: dict[uuid.UUID, TrackRecord] = field(default_factory=dict)  # of rules, once read
    _valued: tuple[int, Valuation] | None = None

    def valuation(self) -> Valuation:
        """At this moment, with everything that this batch has already reserved; made again when that changes."""
        if self._valued is None or self._valued[0] != self.books.changes:
            self._valued = (self.books.changes, self._value())
        return self._valued[1]

    def _value(self) -> Valuation:
        rows = OwnedRows(
            portfolios=self.books.portfolios,
            positions={self.portfolio_id: self.books.positions_of(self.portfolio_id)},
            reservations={self.portfolio_id: self.books.reservations_of(self.portfolio_id)},
            marks=self.rows.marks,
            peaks=self.rows.peaks,
        )
        return valuation_of(rows, self.portfolio_id, self.view)

    def sizing_equity(self) -> Decimal | None:
        """What sizes in percent of equity are percent of, in currency; None: something held has no known price."""
        equity = self.valuation().equity
        return Decimal(repr(equity)) if math.isfinite(equity) else None

    def working_cash(self, instrument_id: int) -> Decimal:
        """What working buys of an instrument have reserved."""
        mine = self.books.reservations_of(self.portfolio_id)
        return sum((row.cash for row in mine if row.instrument_id == instrument_id), ZERO)

    def price(self, instrument: Instrument) -> Decimal | None:
        return self.view.snapshot.price(instrument.symbol)

    def price_age_seconds(self, instrument: Instrument) -> Decimal:
        """Database time since the quote was received; infinite when there is none."""
        place = self.view.snapshot.index(instrument.symbol)
        received = float(self.view.snapshot.price_received_at[place]) if place is not None else float("nan")
        if received != received:
            return Decimal("Infinity")
        return as_decimal(max(self.now_epoch - received, 0.0))

    def exposure(self, instrument: Instrument, price: Decimal) -> Decimal:
        """Worth of what is held of it and what working buys have reserved for it."""
        held = self.books.position(self.portfolio_id, instrument.id).quantity
        return held * price + self.working_cash(instrument.id)

    def sizing_facts(self, instrument: Instrument, price: Decimal, equity: Decimal) -> SizingFacts:
        position = self.books.position(self.portfolio_id, instrument.id)
        return SizingFacts(
            price=price, equity=equity, held=position.quantity, reserved=position.reserved_quantity,
            exposure=self.exposure(instrument, price), lot=instrument.lot_size,
        )  # fmt: skip

    def cash_needed(self, instrument: Instrument, quantity: Decimal) -> Decimal:
        ask = self.view.snapshot.ask_price(instrument.symbol) or self.price(instrument)
        assert ask is not None, "sized on a known price"
        return cost_to_reserve(
            quantity=quantity, ask=ask, costs=costs_of(self.account), cushion_bps=RESERVE_CUSHION_BPS
        )

    def halt_for(self, *, symbol: str, rule_id: uuid.UUID | None) -> HaltInForce | None:
        scopes = OrderScopes(
            account_id=self.account.id, portfolio_id=self.portfolio_id, rule_id=rule_id, symbol=symbol,
            session_id=self.session.id if self.session else None,
        )  # fmt: skip
        return strictest(self.halts, scopes)


def validate_trade(
    state: FreshState, *, side: str, quantity: Decimal, instrument: Instrument, price: Decimal,
    rule_id: uuid.UUID | None, protective: bool = False,
) -> Approved | Refused:  # fmt: skip
    """Every control on one order, on fresh state. Only an Approved can become a trade."""
    portfolio = state.books.portfolios[state.portfolio_id]
    position = state.books.position(state.portfolio_id, instrument.id)
    valuation = state.valuation()
    facts = valuation.portfolio
    equity = Decimal(repr(valuation.equity))
    exposure = state.exposure(instrument, price)
    place = state.view.snapshot.index(instrument.symbol)
    halt = state.halt_for(symbol=instrument.symbol, rule_id=rule_id)
    request = RiskRequest(
        side=side,
        quantity=quantity,
        price=price,
        cost=state.cash_needed(instrument, quantity) if side == "buy" else ZERO,
        equity=equity,
        free_cash=portfolio.cash - portfolio.reserved_cash,
        free_quantity=position.quantity - position.reserved_quantity,
        position_value=exposure,
        gross_exposure=Decimal(repr(facts["gross_exposure_percentage"])) * equity / PERCENT,
        open_positions=int(facts["open_positions"]),
        opens_position=side == "buy" and exposure == 0,
        daily_trades=state.daily_trades,
        daily_pnl_percentage=Decimal(repr(facts["daily_pnl_percentage"])),
        price_age_seconds=state.price_age_seconds(instrument),
        market_open=place is not None and bool(state.view.snapshot.is_open[place]),
        instrument_active=instrument.is_active,
        protective=protective,
        halt=halt.mode if halt else None,
        halt_reason=halt.reason if halt else "",
        unknown_on_symbol=state.unknown_by_instrument.get(instrument.id, 0),
        limits=state.limits,
    )
    return assess(request)


def fresh_states(
    books: Books, *, sessions: Mapping[uuid.UUID, TradingSession | None], view: MarketView
) -> dict[uuid.UUID, FreshState]:
    """The state of each portfolio in the open books (its running session given), in a handful of queries."""
    ids = list(books.portfolios)
    accounts = {row.portfolio_id: row for row in BrokerAccount.objects.filter(portfolio_id__in=ids)}
    session_ids = {key: (row.id if row else None) for key, row in sessions.items()}
    limits = effective_limits(session_ids)
    halts = halts_in_force(
        ids, account_ids=[row.id for row in accounts.values()], session_ids=session_ids.values()
    )
    day = view.snapshot.as_of.date()
    counted = AutoTrade.objects.filter(portfolio_id__in=ids, market_day=day).exclude(
        origin=AutoTrade.Origin.FLATTEN
    )
    daily = dict(counted.values_list("portfolio_id").annotate(n=Count("id")))
    unknown: dict[uuid.UUID, dict[int, int]] = {}
    doubtful = AutoTrade.objects.filter(
        portfolio_id__in=ids, status__in=[OrderState.UNKNOWN, OrderState.QUARANTINED]
    )
    for portfolio_id, instrument_id, count in doubtful.values_list("portfolio_id", "instrument_id").annotate(
        n=Count("id")
    ):
        unknown.setdefault(portfolio_id, {})[instrument_id] = count
    rows = with_marks(
        portfolios=books.portfolios,
        positions=books.positions.values(),
        reservations=books.reservations.values(),
    )
    now_epoch = database_now().timestamp()
    return {
        key: FreshState(
            portfolio_id=key, session=sessions.get(key), account=accounts[key], view=view, books=books, rows=rows,
            limits=limits[key], daily_trades=daily.get(key, 0),
            halts=halts.within(
                portfolio_id=key, account_id=accounts[key].id, session_id=session_ids.get(key)
            ),
            unknown_by_instrument=unknown.get(key, {}), now_epoch=now_epoch,
        )
        for key in ids
    }  # fmt: skip
