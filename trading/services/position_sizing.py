"""Sizing on fresh state: the action's wish and the portfolio's room become a quantity."""

import uuid
from dataclasses import replace
from decimal import Decimal

from foundation.core.money import ZERO, as_decimal
from market.models import Instrument
from rules.core.actions import ActionRequest
from trading.core.kelly import Advice, NoOdds, Odds, odds_of_advice, preferred_odds
from trading.core.order_prices import measured_at
from trading.core.rule_orders import terms_of
from trading.core.sizing import Sized, needs_equity, size
from trading.core.track_record import TrackRecord
from trading.selectors import track_record_of
from trading.services.fresh_state import FreshState


def size_action(
    state: FreshState,
    action: ActionRequest,
    *,
    instrument: Instrument,
    rule_id: uuid.UUID,
    sources: tuple[str, ...],
) -> tuple[Sized, Decimal | None]:
    """(size with its arithmetic, the last price). An unknown price gives no size, nor does an unknown equity where the
    size needs it. A limit order is sized at its limit, which is what it pays or gets.

    What a session may have invested measures what it buys and sells, and not what a position comes down to: that holds
    what was there before it, too.

    `rule_id` wants it; `sources` is the session's preference of recommendations. What only some methods need is
    read only for these.
    """
    price = state.price(instrument)
    equity = state.known_equity() if action.sizing_method == "reduce" else state.sizing_equity()
    if price is None:
        return Sized(quantity=ZERO, arithmetic={}, reason="the price is unknown"), None
    if equity is None and needs_equity(action):
        return Sized(quantity=ZERO, arithmetic={}, reason="the portfolio's equity is unknown"), price
    terms = terms_of(action, price=price, tick=instrument.tick_size)
    at = measured_at(terms, side=action.side, last=price)
    facts = state.sizing_facts(instrument, at, equity if equity is not None else ZERO)
    if action.sizing_method == "volatility_target":
        facts = replace(facts, volatility=_volatility(state, instrument, sources))
    elif action.sizing_method == "kelly":
        odds = _odds(state, action.symbol, price=price, rule_id=rule_id, sources=sources)
        facts = replace(facts, odds=odds)
    return size(action, facts=facts), price


def _volatility(state: FreshState, instrument: Instrument, sources: tuple[str, ...]) -> Decimal | None:
    """Annualised, a fraction; None where the fact is unknown, a stale one included."""
    values = state.view.facts(sources).values.get("volatility")
    place = state.view.snapshot.index(instrument.symbol)
    if values is None or place is None or values[place] != values[place]:
        return None
    return as_decimal(float(values[place]))


def _odds(
    state: FreshState, symbol: str, *, price: Decimal, rule_id: uuid.UUID, sources: tuple[str, ...]
) -> Odds | NoOdds:
    advised = odds_of_advice(_advice(state, symbol, sources), price=price)
    return preferred_odds(advised, lambda: _track_record(state, rule_id))


def _advice(state: FreshState, symbol: str, sources: tuple[str, ...]) -> Advice | None:
    advised = state.view.recommendation(sources, symbol)
    if advised is None:
        return None
    row = advised.row
    return Advice(
        id=str(row.id), recommendation=row.recommendation, confidence=as_decimal(row.confidence),
        target=row.target_price, stop=row.stop_price, price_factor=advised.price_factor,
    )  # fmt: skip


def _track_record(state: FreshState, rule_id: uuid.UUID) -> TrackRecord:
    """Read once for a rule, for however many symbols it fires: under the lock no fill is booked."""
    if rule_id not in state.track_records:
        positions = state.books.positions_of(state.portfolio_id)
        held = {row.instrument_id: row.quantity for row in positions}
        state.track_records[rule_id] = track_record_of(state.portfolio_id, rule_id=rule_id, held=held)
    return state.track_records[rule_id]
