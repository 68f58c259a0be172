"""Orders that a person asks for by hand: the same fresh state, the same controls, the same record as a rule's.

A running session's limits, halts, hours and capital cap hold for them, too, and what they fill counts in it. A
refusal is recorded like a trade, and its record stays although the answer is an error.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.core.canonical import plain_decimal
from foundation.core.money import PLACES
from foundation.errors import InvalidInput, RecordedRefusal, Unavailable
from foundation.version import may_trade
from journal.services.journal import append
from market.models import Instrument
from market.services import snapshots
from portfolios.core.access import Action, may, wanted
from portfolios.selectors import role_of
from portfolios.services.books import open_books
from portfolios.standing import standing_of
from sessions.models import TradingSession
from trading.core.order_prices import measured_at
from trading.core.orders import MARKET_DAY, OrderTerms, term_faults, told
from trading.core.risk import Approved, Finding, RefusalCode, Refused, findings_as_rows, refused
from trading.models import AutoTrade, Side
from trading.services.decisions import Draft, Outcome, record
from trading.services.facts import MarketView, market_view
from trading.services.fresh_state import FreshState, fresh_states
from trading.services.order_management import Intent, make_trade, store_trades, trade_event, wake_execution
from trading.services.risk_management import OrderWish, validate_trade

SIZING_METHOD = "by_hand"
QUANTITY_MAX = Decimal(10) ** 12  # the columns end there


@dataclass(frozen=True)
class Preview:
    """What the controls would say now. code: of the refusal, None when approved."""

    approved: bool
    code: str | None
    detail: str
    checks: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class _Look:
    """An order under its portfolio's lock, with what the controls say. price None: nobody knows it."""

    state: FreshState
    instrument: Instrument
    side: str
    quantity: Decimal
    terms: OrderTerms
    price: Decimal | None
    verdict: Approved | Refused


def place_trade(
    *, portfolio_id: uuid.UUID, symbol: str, side: str, quantity: Decimal, actor: AbstractBaseUser,
    terms: OrderTerms = MARKET_DAY,
) -> AutoTrade:  # fmt: skip
    """Make a pending trade, or raise RecordedRefusal with the control's code, `checks` and `decision_id`.

    The refusal is raised after its record is written; whoever has a transaction open commits it. Raises
    InvalidInput (nothing is recorded), NotFound, and Unavailable without market data or on code that may not trade.
    """
    if not may_trade():
        raise Unavailable("This version of the code may not trade.")
    with transaction.atomic():
        look = _look(
            portfolio_id=portfolio_id, symbol=symbol, side=side, quantity=quantity, terms=terms, actor=actor
        )  # fmt: skip
        draft, trade = _decide(look, actor)
        recorded = record(
            [draft],
            snapshot=look.state.view.snapshot,
            previous_slot=look.state.view.snapshot.version - 1,
        )
        events = recorded.events
        if trade is not None:
            store_trades([trade])
            look.state.books.save()
            events.append(
                trade_event(trade, "trade.created", at=trade.market_at, trigger_price=trade.trigger_price)
            )
            wake_execution([trade])
        append(events)
    if trade is None:
        raise RecordedRefusal(draft.detail, code=draft.code, checks=draft.checks, decision_id=draft.id)
    return trade


@transaction.atomic
def preview_trade(
    *, portfolio_id: uuid.UUID, symbol: str, side: str, quantity: Decimal, actor: AbstractBaseUser,
    terms: OrderTerms = MARKET_DAY,
) -> Preview:  # fmt: skip
    """The same look under the same lock; nothing is written. Raises InvalidInput, NotFound, Unavailable."""
    verdict = _look(
        portfolio_id=portfolio_id, symbol=symbol, side=side, quantity=quantity, terms=terms, actor=actor
    ).verdict
    checks = findings_as_rows(verdict.findings)
    if isinstance(verdict, Refused):
        return Preview(approved=False, code=verdict.code.value, detail=verdict.detail, checks=checks)
    return Preview(approved=True, code=None, detail="", checks=checks)


def _look(
    *, portfolio_id: uuid.UUID, symbol: str, side: str, quantity: Decimal, terms: OrderTerms, actor: AbstractBaseUser
) -> _Look:  # fmt: skip
    books = open_books([portfolio_id])
    snapshot = snapshots.current()
    if snapshot is None:
        raise Unavailable("There is no market data yet.")
    view = market_view(snapshot)
    instrument = _checked(view, symbol=symbol, side=side, quantity=quantity, terms=terms)
    running = TradingSession.objects.filter(portfolio_id=portfolio_id, status__in=TradingSession.RUNNING)
    state = fresh_states(books, sessions={portfolio_id: running.first()}, view=view)[portfolio_id]
    price, objection = state.price(instrument), _objection_to(actor, portfolio_id)
    if price is None:
        verdict: Approved | Refused = _without_price(objection)
    else:
        verdict = validate_trade(
            state, OrderWish(side, quantity, instrument, price, actor_objection=objection, terms=terms)
        )
    return _Look(state, instrument, side, quantity, terms, price, verdict)


def _checked(view: MarketView, *, symbol: str, side: str, quantity: Decimal, terms: OrderTerms) -> Instrument:
    """The instrument. Raises InvalidInput with the path of each fault, and its cure."""
    errors: list[dict[str, Any]] = []
    if side not in Side.values:
        errors.append({"path": "trade_type", "message": "It must be buy or sell."})
    instrument = view.by_symbol.get(symbol)
    if instrument is None:
        near = get_close_matches(symbol, view.by_symbol, n=1)
        cure = (
            f"Did you mean {near[0]}?" if near else "GET /api/market/instruments lists those that there are."
        )
        errors.append(
            {"path": "symbol", "message": f"There is no instrument {symbol!r}.", "suggestion": cure}
        )
    fault = _quantity_fault(quantity, instrument)
    if fault is not None:
        errors.append(fault)
    errors += term_faults(terms, tick=PLACES if instrument is None else instrument.tick_size)
    if errors:
        raise InvalidInput("; ".join(f"{row['path']}: {row['message']}" for row in errors), errors=errors)
    assert instrument is not None
    return instrument


def _quantity_fault(quantity: Decimal, instrument: Instrument | None) -> dict[str, Any] | None:
    if not quantity.is_finite() or not 0 < quantity < QUANTITY_MAX:
        message = "It must be a number above 0 and below 10^12."
        return {"path": "quantity", "message": message, "suggestion": "The side says which way it goes."}
    lot = PLACES if instrument is None else instrument.lot_size
    if quantity % lot == 0:
        return None
    whole = max(quantity // lot, Decimal(1)) * lot
    return {
        "path": "quantity",
        "message": f"It must be a multiple of the lot, which is {plain_decimal(lot)}.",
        "suggestion": f"The nearest below is {plain_decimal(whole)}."
        if whole < quantity
        else f"The smallest is {plain_decimal(whole)}.",
    }


def _objection_to(actor: AbstractBaseUser, portfolio_id: uuid.UUID) -> str:
    """Why he may not trade here, asked under the portfolio's lock; empty when he may."""
    name = actor.get_username()
    if not actor.is_active:
        return f"{name} is not an active user"
    role = role_of(actor, portfolio_id)
    if may(Action.TRADE, standing_of(actor, role)):
        return ""
    return f"{name} needs {wanted(Action.TRADE)} here; his is {role}"


def _without_price(objection: str) -> Refused:
    """Nothing can be measured; who may not trade at all is told that first."""
    findings = (
        Finding(
            RefusalCode.NOT_PERMITTED, not objection, "not entitled" if objection else "entitled", "entitled",
            objection,
        ),
        Finding(RefusalCode.STALE_DATA, False, "unknown", "known", "the price"),
    )  # fmt: skip
    return refused(next(finding for finding in findings if not finding.passed), findings)


def _decide(look: _Look, actor: AbstractBaseUser) -> tuple[Draft, AutoTrade | None]:
    """The record, and the unsaved trade if every control approved."""
    state, verdict, name = look.state, look.verdict, actor.get_username()
    draft = Draft(
        portfolio_id=state.portfolio_id, session_id=state.session.id if state.session else None, rule_id=None,
        rule_version_id=None, instrument_id=look.instrument.id, symbol=look.instrument.symbol,
        outcome=Outcome.TRADED, explanation={"sentence": f"{name} asked for it by hand."}, sizing=_sizing(look),
        checks=list(findings_as_rows(verdict.findings)), own_row=True,
    )  # fmt: skip
    if isinstance(verdict, Refused):
        draft.outcome, draft.code, draft.detail = Outcome.REFUSED, verdict.code.value, verdict.detail
        return draft, None
    order = f"{look.side} {plain_decimal(look.quantity)} {look.instrument.symbol}{told(look.terms)}"
    draft.detail = f"{order}: by hand, {name}"
    intent = Intent(
        decision_id=draft.id, rule_id=None, rule_version_id=None, approved=verdict, instrument=look.instrument,
        origin=AutoTrade.Origin.MANUAL, actor=f"user:{name}",
    )  # fmt: skip
    return draft, make_trade(state, intent)


def _sizing(look: _Look) -> dict[str, Any]:
    """The size was given; what it comes to, in the portfolio's currency."""
    known: dict[str, Any] = {"method": SIZING_METHOD, "side": look.side, "quantity": look.quantity}
    if look.price is not None:
        at = measured_at(look.terms, side=look.side, last=look.price)
        known |= {"price": at, "value": look.quantity * at}
    if isinstance(look.verdict, Approved) and look.side == Side.BUY:
        known["cost"] = look.verdict.request.cost
    return known
