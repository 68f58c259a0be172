"""Protections of positions: attached by a buy's fill, set and removed by people, gone when nothing is held.

The only writer of `Protection`, always under the portfolio's lock. Who watches them is `protection_watch`.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.clock import database_now
from foundation.core.canonical import plain_decimal
from foundation.errors import Conflict, InvalidInput, NotFound
from journal.core.events import AlertSpec, Event
from journal.services.journal import append
from market.core.snapshot import MarketSnapshot
from market.models import Instrument
from portfolios.models import Position, PositionMark
from portfolios.services.books import Books, open_books
from portfolios.services.marks import PeakMark, note_peaks
from trading.core.orders import OrderType
from trading.core.protections import (
    TAKE_PROFIT_MAX,
    Kind,
    Percentages,
    in_place_of_stop,
    in_place_of_trail,
    peak_of,
    percentages,
)
from trading.core.rejected_sales import CODE as BROKER_REJECTED
from trading.models import AutoTrade, Protection

Key = tuple[uuid.UUID, int]  # portfolio and instrument
_COLUMNS = ("stop_loss_percentage", "take_profit_percentage", "trailing_stop_percentage")


def percentages_of(row: Protection | AutoTrade) -> Percentages:
    return Percentages(
        stop_loss=row.stop_loss_percentage,
        take_profit=row.take_profit_percentage,
        trailing_stop=row.trailing_stop_percentage,
    )


def _put(row: Protection, protected: Percentages) -> None:
    row.stop_loss_percentage = protected.stop_loss
    row.take_profit_percentage = protected.take_profit
    row.trailing_stop_percentage = protected.trailing_stop


def _set_event(row: Protection, *, symbol: str, at: datetime) -> Event:
    payload = {
        "protection_id": row.id, "symbol": symbol, "actor": row.actor, "trade_id": row.trade_id,
        **{name: getattr(row, name) for name in _COLUMNS},
    }  # fmt: skip
    return Event(row.portfolio_id, "protection.set", at, payload)


def _removed_event(row: Protection, *, symbol: str, reason: str, at: datetime) -> Event:
    payload = {"protection_id": row.id, "symbol": symbol, "reason": reason}
    return Event(row.portfolio_id, "protection.removed", at, payload)


def recovered(row: Protection, *, symbol: str, why: str, at: datetime) -> list[Event]:
    """That the broker's rejections of its sale are over, if people were told of them; else nothing."""
    if row.refusal != BROKER_REJECTED:
        return []
    payload = {"protection_id": row.id, "symbol": symbol, "reason": why}
    message = f"The protection of {symbol}, whose sale the broker had rejected, is well again: {why}."
    return [Event(row.portfolio_id, "protection.recovered", at, payload, AlertSpec("info", message))]


@dataclass
class FilledProtections:
    """What the fills of a batch do to protections, in their order; `store` writes it in the same transaction."""

    wanted: dict[Key, tuple[Percentages, AutoTrade, Position, datetime]] = field(default_factory=dict)
    closed: dict[Key, tuple[str, datetime]] = field(default_factory=dict)  # symbol and market time

    def note(self, trade: AutoTrade, *, quantity: Decimal, at: datetime, position: Position) -> None:
        """After a fill of `quantity` at market time `at` is booked.

        The first fill of a buy attaches, so that what somebody removes meanwhile stays removed; a later one does
        if it opens the position anew.
        """
        key = (trade.portfolio_id, trade.instrument_id)
        if position.quantity == 0:
            self.wanted.pop(key, None)
            self.closed[key] = trade.symbol, at
            return
        protected = percentages_of(trade)
        attaches = trade.filled_quantity == quantity or position.quantity == quantity
        if trade.trade_type == "buy" and protected and attaches:
            before = self.wanted[key][0] if key in self.wanted else Percentages()
            self.wanted[key] = (before.replaced_by(protected), trade, position, at)

    def store(self) -> list[Event]:
        if not self.wanted and not self.closed:
            return []
        known = _stored(self.wanted.keys() | self.closed.keys())
        events = list[Event]()
        for key, (symbol, at) in self.closed.items():
            row = known.pop(key, None)
            if row is not None:
                reason = "nothing is held any more"
                events += recovered(row, symbol=symbol, why=reason, at=at)
                events.append(_removed_event(row, symbol=symbol, reason=reason, at=at))
                row.delete()
        for key, (protected, trade, position, at) in self.wanted.items():
            events += _attach(known.get(key), protected, trade=trade, position=position, at=at)
        return events


def _stored(keys: Iterable[Key]) -> dict[Key, Protection]:
    wanted = set(keys)
    rows = Protection.objects.filter(
        portfolio_id__within={key[0] for key in wanted}, instrument_id__within={key[1] for key in wanted}
    )
    found = {(row.portfolio_id, row.instrument_id): row for row in rows}
    return {key: row for key, row in found.items() if key in wanted}


def _attach(
    row: Protection | None, protected: Percentages, *, trade: AutoTrade, position: Position, at: datetime
) -> list[Event]:
    """Those that the buy names replace the position's; what an earlier opening left behind counts for nothing."""
    if row is None:
        row = Protection(portfolio_id=trade.portfolio_id, instrument_id=trade.instrument_id)
    before = percentages_of(row) if row.opened_at == position.opened_at else Percentages()
    after = before.replaced_by(protected)
    if before == after:
        return []
    _put(row, after)
    assert position.opened_at is not None, "it is open"
    row.opened_at = position.opened_at
    row.actor, row.rule_version_id, row.trade, row.refusal = trade.actor, trade.rule_version_id, trade, ""
    row.save()
    return [_set_event(row, symbol=trade.symbol, at=at)]


def watch_in_place_of(trade: AutoTrade, *, books: Books, price: Decimal | None) -> tuple[str, list[Event]]:
    """A stop order that sells all of a position ends without having sold it: what it did is done by our own watch.

    price: the present one. Who watches now, in a sentence (empty: nobody), and what that is told by; the portfolio is
    locked. Of a part of a position nobody watches, for a protection sells all of it; nor where a limit was set.
    """
    key = (trade.portfolio_id, trade.instrument_id)
    position = books.positions.get(key)
    if position is None or position.quantity <= 0 or position.opened_at is None:
        return "", []
    if trade.quantity - trade.filled_quantity < position.quantity:
        return "", []
    row = _stored([key]).get(key)
    belongs = row is not None and row.opened_at == position.opened_at
    protected = percentages_of(row) if row is not None and belongs else Percentages()
    mark = PositionMark.objects.filter(position_id=position.pk, opened_at=position.opened_at).first()
    peak = peak_of(mark.peak_price if mark is not None else None, price)
    wanted = None
    if trade.order_type == OrderType.STOP and trade.stop_price is not None:
        cost = position.average_cost
        wanted = in_place_of_stop(trade.stop_price, protected, average_cost=cost, peak=peak)
    elif trade.order_type == OrderType.TRAILING_STOP and trade.trail_percentage is not None:
        wanted = in_place_of_trail(
            trade.trail_percentage, protected, peak=peak, price=peak if price is None else price
        )
    if wanted is None:
        return "", []
    if not wanted:
        return "The position's own protection, which sells no later, watches on.", []
    events = _attach(row, wanted, trade=trade, position=position, at=database_now())
    ((kind, percentage),) = ((kind, value) for kind in Kind if (value := wanted.of(kind)) is not None)
    words = f"{kind.words} of {plain_decimal(percentage)} %"
    return f"From now on a {words} of our own watches in its place.", events


def note_first_prices(trades: Iterable[AutoTrade], *, books: Books, snapshot: MarketSnapshot) -> None:
    """The price of the market in which a buy was filled may be the highest since its position was opened.

    After the books are saved, which gives new positions their ids.
    """
    peaks: dict[int, PeakMark] = {}
    for trade in trades:
        position = books.position(trade.portfolio_id, trade.instrument_id)
        price = snapshot.price(trade.symbol)
        if trade.trade_type == "buy" and position.opened_at is not None and price is not None:
            peaks[position.pk] = PeakMark(position.pk, position.opened_at, position.quantity, price)
    note_peaks(list(peaks.values()))


@transaction.atomic
def set_protection(
    *, portfolio_id: uuid.UUID, symbol: str, stop_loss_percentage: Decimal | None = None,
    take_profit_percentage: Decimal | None = None, trailing_stop_percentage: Decimal | None = None,
    actor: AbstractBaseUser | None,
) -> Protection:  # fmt: skip
    """Protect an open position in this way and no other: what is left out is no longer protected so.

    Percentages as the rule language has them. Raises InvalidInput, NotFound, Conflict (nothing is held).
    """
    given = {
        "stop_loss_percentage": stop_loss_percentage,
        "take_profit_percentage": take_profit_percentage,
        "trailing_stop_percentage": trailing_stop_percentage,
    }
    _check(given)
    instrument = _instrument(symbol)
    books = open_books([portfolio_id])
    position = books.position(portfolio_id, instrument.id)
    if position.quantity == 0 or position.opened_at is None:
        raise Conflict(f"Nothing is held of {symbol} that could be protected.", code="no_position")
    row = _stored([(portfolio_id, instrument.id)]).get((portfolio_id, instrument.id))
    if row is None:
        row = Protection(portfolio_id=portfolio_id, instrument_id=instrument.id)
    _put(
        row,
        percentages(
            stop_loss=stop_loss_percentage, take_profit=take_profit_percentage,
            trailing_stop=trailing_stop_percentage,
        ),
    )  # fmt: skip
    row.opened_at, row.refusal = position.opened_at, ""
    row.actor = f"user:{actor.get_username()}" if actor else "system"
    row.rule_version, row.trade = None, None
    row.save()
    append([_set_event(row, symbol=symbol, at=database_now())])
    return row


def _check(given: dict[str, Decimal | None]) -> None:
    """Raises InvalidInput with the path of each number that protects nothing."""
    errors: list[dict[str, Any]] = []
    for name, value in given.items():
        target = name == "take_profit_percentage"
        limit = TAKE_PROFIT_MAX if target else Decimal(100)
        if value is None:
            continue
        if value.is_finite() and value > 0 and (value < limit or (target and value == limit)):
            continue
        cure = f"Use a number above 0 and {'up to' if target else 'below'} {limit}."
        errors.append({"path": name, "message": f"{value} percent is not possible.", "suggestion": cure})
    if errors:
        raise InvalidInput("A percentage is out of range.", errors=errors)
    if all(value is None for value in given.values()):
        raise InvalidInput(
            f"Give at least one of {', '.join(given)}; a protection is removed with DELETE.",
            errors=[{"path": "", "message": "No percentage is given."}],
        )


def _instrument(symbol: str) -> Instrument:
    found = Instrument.objects.filter(symbol=symbol).first()
    if found is None:
        raise NotFound(f"There is no instrument {symbol}.")
    return found


@transaction.atomic
def remove_protection(*, portfolio_id: uuid.UUID, symbol: str, actor: AbstractBaseUser | None) -> None:
    """The position is kept, unprotected. Raises NotFound."""
    instrument = _instrument(symbol)
    open_books([portfolio_id])
    row = _stored([(portfolio_id, instrument.id)]).get((portfolio_id, instrument.id))
    if row is None:
        raise NotFound(f"{symbol} has no protection in this portfolio.")
    reason = f"by {actor.get_username() if actor else 'system'}"
    event = _removed_event(row, symbol=symbol, reason=reason, at=database_now())
    row.delete()
    append([event])


def forget(rows: Sequence[Protection], *, symbols: Mapping[int, str], at: datetime) -> list[Event]:
    """Remove what belongs to a position that was closed, or opened anew, by anything but a fill."""
    reason = "its position was closed"
    events = list[Event]()
    for row in rows:
        symbol = symbols[row.instrument_id]
        events += recovered(row, symbol=symbol, why=reason, at=at)
        events.append(_removed_event(row, symbol=symbol, reason=reason, at=at))
    Protection.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return events


def store_refusals(rows: Sequence[Protection]) -> None:
    """Which control keeps each of them from selling, now; empty: none."""
    Protection.objects.bulk_update(rows, ["refusal"])
