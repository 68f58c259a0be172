"""What the protections of some portfolios come to, under their locks and on fresh facts.

Everything that is to be written is collected; reservations stand in the open books at once.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from foundation.core.canonical import plain_decimal
from foundation.core.money import ZERO, round_money
from journal.core.events import AlertSpec, Event, Severity
from market.core.snapshot import MarketSnapshot
from portfolios.models import Position
from portfolios.services.books import Books
from sessions.models import TradingSession
from trading.core.market_facts import fresh_prices
from trading.core.order_states import OPEN, OrderState
from trading.core.protections import Kind, Threshold, triggered
from trading.core.rejected_sales import CODE, Rejections
from trading.core.risk import RefusalCode
from trading.models import AutoTrade, Protection
from trading.selectors import orders_in_the_way
from trading.selectors.rejected_sales import rejected_protective_sales
from trading.services.decisions import Draft
from trading.services.facts import MarketView, market_view
from trading.services.fresh_state import FreshState, fresh_states
from trading.services.history import made_way
from trading.services.order_management import request_cancels
from trading.services.protections import Key, percentages_of, recovered
from trading.services.reducing import Reduction, refusal_beforehand, sell


@dataclass
class Protector:
    """Decides for all protections of the portfolios in open books. Make it with `of`."""

    books: Books
    view: MarketView
    states: Mapping[uuid.UUID, FreshState]
    prices: Mapping[int, Decimal]  # fresh ones, by instrument
    ordered: set[Key]  # of which a protective sale is open
    in_the_way: Mapping[Key, list[AutoTrade]]  # orders that a sale has to be rid of
    rejected: Mapping[str, Rejections]  # by their broker, of the sales before; by `_name`
    drafts: list[Draft] = field(default_factory=list)
    trades: list[AutoTrade] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    changed: list[Protection] = field(default_factory=list)  # whose refusal is another now
    gone: list[Protection] = field(default_factory=list)  # whose position is closed
    cleared: list[Event] = field(default_factory=list)  # of orders that were in the way

    @classmethod
    def of(cls, books: Books, snapshot: MarketSnapshot) -> "Protector":
        """What is sold belongs to the portfolio's running session, whatever its status, if there is one."""
        ids = list(books.portfolios)
        running = TradingSession.objects.filter(portfolio_id__in=ids, status__in=TradingSession.RUNNING)
        sessions: dict[uuid.UUID, TradingSession | None] = dict.fromkeys(ids)
        sessions |= {row.portfolio_id: row for row in running}
        view = market_view(snapshot)
        open_sales = AutoTrade.objects.filter(
            portfolio_id__in=ids, origin=AutoTrade.Origin.PROTECTION,
            status__in=[state.value for state in OPEN],
        )  # fmt: skip
        in_the_way: dict[Key, list[AutoTrade]] = {}
        for trade in orders_in_the_way(ids):
            in_the_way.setdefault((trade.portfolio_id, trade.instrument_id), []).append(trade)
        return cls(
            books=books,
            in_the_way=in_the_way,
            view=view,
            states=fresh_states(books, sessions=sessions, view=view),
            prices=fresh_prices(snapshot, now_epoch=view.now_epoch),
            rejected=rejected_protective_sales(ids),
            ordered=set(open_sales.values_list("portfolio_id", "instrument_id")),
        )

    def decide(self) -> None:
        rows = Protection.objects.filter(portfolio_id__in=list(self.books.portfolios))
        for row in rows.order_by("portfolio_id", "instrument_id"):
            position = self.books.positions.get((row.portfolio_id, row.instrument_id))
            if position is None or position.quantity == 0 or position.opened_at != row.opened_at:
                self.gone.append(row)
                continue
            price, state = self.prices.get(row.instrument_id), self.states[row.portfolio_id]
            if price is None or (row.portfolio_id, row.instrument_id) in state.rows.unsettled:
                continue
            threshold = _threshold(row, position, state, price)
            if threshold is None:
                self._unreached(row, price)
            elif (row.portfolio_id, row.instrument_id) not in self.ordered and not self._waits(row):
                self._sell(row, position, state, threshold)

    def _waits(self, row: Protection) -> bool:
        """Its broker has rejected the last sale a moment ago."""
        rejected = self.rejected.get(_name(row))
        return rejected is not None and rejected.must_wait

    def _unreached(self, row: Protection, price: Decimal) -> None:
        self.events += recovered(
            row, symbol=self.view.instruments[row.instrument_id].symbol, at=self.view.snapshot.as_of,
            why=f"the price is {plain_decimal(price)}, which no threshold asks to sell at",
        )  # fmt: skip
        self._refused(row, "")

    def _sell(self, row: Protection, position: Position, state: FreshState, threshold: Threshold) -> None:
        """All that is free, once the orders that buy or wait for another price are out of the way.

        They are cancelled for a sale that may go out only: in a closed market, or at a price that nobody would sell
        at, they go on protecting the position. At the paper broker they are gone at once. What a real one still works
        on stays reserved until it says that the cancel is done, and is sold then; what is promised to a sale at market
        is on its way already.
        """
        in_the_way = self.in_the_way.get((row.portfolio_id, row.instrument_id), [])
        freed = sum((self._promised(trade) for trade in in_the_way), ZERO)
        free = position.quantity - position.reserved_quantity
        if free + freed <= 0:
            return
        draft, trade = None, None
        reduction = self._reduction(row, state, threshold, quantity=free + freed)
        if in_the_way:
            ids = {order.id for order in in_the_way}
            draft = refusal_beforehand(state, reduction, in_the_way=ids, freed=freed)
        if draft is None:
            self._clear_the_way(in_the_way, state, threshold)
            free = position.quantity - position.reserved_quantity
            if free <= 0:
                return
            draft, trade = sell(state, replace(reduction, quantity=free))
        self._tell(row, state, threshold, draft, trade)

    def _promised(self, trade: AutoTrade) -> Decimal:
        """Units that the order keeps from others."""
        reservation = self.books.reservations.get(trade.id)
        return reservation.quantity if reservation is not None else ZERO

    def _reduction(
        self, row: Protection, state: FreshState, threshold: Threshold, *, quantity: Decimal
    ) -> Reduction:
        symbol = state.view.instruments[row.instrument_id].symbol
        price = self.prices[row.instrument_id]
        return Reduction(
            instrument_id=row.instrument_id, quantity=quantity, session_id=None,
            origin=AutoTrade.Origin.PROTECTION, actor=f"{_name(row)} {threshold.kind.value}",
            why=threshold.kind.words, explanation=_explained(threshold, symbol=symbol, price=price, row=row),
        )  # fmt: skip

    def _tell(
        self, row: Protection, state: FreshState, threshold: Threshold, draft: Draft, trade: AutoTrade | None
    ) -> None:
        self.drafts.append(draft)
        if trade is not None:
            self.trades.append(trade)
        elif draft.code == row.refusal:
            return  # told already; the decision counts that it repeats
        rejected = self.rejected.get(_name(row))
        if rejected is not None and draft.code == RefusalCode.DUPLICATE_ORDER:
            return  # by market time it is too soon for the next try
        draft.own_row = True
        price, at = self.prices[row.instrument_id], state.view.snapshot.as_of
        told = _event(row, draft, trade, threshold, price=price, at=at)
        if trade is None or rejected is None:
            self._refused(row, draft.code)
            self.events.append(told)
            return
        begins = row.refusal == "" or (row.refusal != CODE and rejected.count == 1)
        if begins or rejected.tells_again:
            sentence = draft.explanation["sentence"]
            self.events.append(_rejected(row, told, rejected, sentence=sentence))
        self._refused(row, CODE)
        self.events.append(replace(told, alert=None))

    def _clear_the_way(
        self, in_the_way: Sequence[AutoTrade], state: FreshState, threshold: Threshold
    ) -> None:
        """Cancel these orders, whoever wanted them."""
        if not in_the_way:
            return
        reason = f"the {threshold.kind.words} of {in_the_way[0].symbol} sells at market"
        events = request_cancels(in_the_way, books=self.books, reason=reason)
        made_way(state.history, in_the_way)
        self.cleared += events

    def _refused(self, row: Protection, code: str) -> None:
        if row.refusal != code:
            row.refusal = code
            self.changed.append(row)


def _name(row: Protection) -> str:
    return f"protection:{row.id}"


def _rejected(row: Protection, told: Event, rejected: Rejections, *, sentence: str) -> Event:
    """`protection.refused` beside the next try: the broker takes no sale, and its last words on that."""
    last = AutoTrade.objects.filter(
        portfolio_id=row.portfolio_id, instrument_id=row.instrument_id, origin=AutoTrade.Origin.PROTECTION,
        status=OrderState.REJECTED,
    ).latest("created_at")  # fmt: skip
    times = f"{rejected.count} times in a row" if rejected.count > 1 else "once"
    detail = f"its broker has rejected the sale {times}: {last.status_reason}"
    message = f"{sentence} It is not sold: {detail}. It is tried again."
    payload = {**told.payload, "code": CODE, "detail": detail, "trade_id": None}
    return replace(
        told, kind="protection.refused", payload=payload, alert=AlertSpec("critical", message[:2000])
    )


def _threshold(row: Protection, position: Position, state: FreshState, price: Decimal) -> Threshold | None:
    mark = state.rows.peaks.get(position.pk)
    noted = mark.peak_price if mark is not None and mark.opened_at == position.opened_at else None
    return triggered(percentages_of(row), average_cost=position.average_cost, noted_peak=noted, price=price)


def _explained(threshold: Threshold, *, symbol: str, price: Decimal, row: Protection) -> dict[str, Any]:
    """As a rule's condition is told, with what the threshold follows from."""
    kind = threshold.kind
    above = kind is Kind.TAKE_PROFIT
    reference = "peak" if kind is Kind.TRAILING_STOP else "average cost"
    limit = round_money(threshold.price)
    sentence = (
        f"{kind.words.capitalize()} of {symbol}: the price is {plain_decimal(price)}, at or "
        f"{'above' if above else 'below'} {plain_decimal(limit)}, which is {plain_decimal(threshold.percentage)} % "
        f"{'above' if above else 'below'} its {reference} of {plain_decimal(threshold.reference)}."
    )
    condition = {
        "field": "price", "operator": "greater_or_equal" if above else "less_or_equal", "fact": price,
        "threshold": limit, "outcome": True,
    }  # fmt: skip
    return {
        "outcome": True, "sentence": sentence, "conditions": {"all": [condition], "outcome": True},
        "protection": {
            "id": row.id, "kind": kind.value, "percentage": threshold.percentage,
            "reference": reference, "reference_price": threshold.reference, "threshold": limit, "price": price,
        },
    }  # fmt: skip


def _event(
    row: Protection, draft: Draft, trade: AutoTrade | None, threshold: Threshold, *, price: Decimal, at: datetime
) -> Event:  # fmt: skip
    """`protection.triggered`, or `protection.refused`: a position that wants to be sold and is not."""
    payload = {
        "protection_id": row.id, "decision_id": draft.id, "symbol": draft.symbol, "protection": threshold.kind.value,
        "percentage": threshold.percentage, "threshold": round_money(threshold.price), "price": price,
        "quantity": draft.sizing["quantity"], "code": draft.code, "detail": draft.detail,
        "trade_id": trade.id if trade is not None else None,
    }  # fmt: skip
    sentence = draft.explanation["sentence"]
    if trade is not None:
        severity: Severity = "info" if threshold.kind is Kind.TAKE_PROFIT else "warning"
        return Event(row.portfolio_id, "protection.triggered", at, payload, AlertSpec(severity, sentence))
    alert = AlertSpec("critical", f"{sentence} It cannot be sold yet: {draft.detail}")
    return Event(row.portfolio_id, "protection.refused", at, payload, alert)
