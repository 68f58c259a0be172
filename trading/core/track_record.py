"""What a rule has earned so far, told from the fills of its portfolio. Pure.

A *round trip* is one buy order of the rule and the sells that took away all that it bought, whoever asked for them:
each fill of a sell takes the oldest units of the instrument that are still held (first in, first out). So an order
filled or sold in ten parts is one round trip and not ten, and one of which a unit is still held is none yet. Its
result is (proceeds - cost - fees) / cost, with the buy's fees whole and each sell's in proportion to the units taken.
"""

import uuid
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from foundation.core.money import ZERO


@dataclass(frozen=True)
class BookedFill:
    """One execution; price in currency per unit, fee in currency. rule_id None: no rule asked for it."""

    instrument_id: int
    trade_id: uuid.UUID
    rule_id: uuid.UUID | None
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal


@dataclass(frozen=True)
class TrackRecord:
    """mean_gain: of those that gained, as a fraction of cost. mean_loss: of the others, as a positive fraction.

    None where there are none.
    """

    round_trips: int
    wins: int
    mean_gain: Decimal | None
    mean_loss: Decimal | None


@dataclass
class _Lot:
    """Units of one buy fill that are still held; `trade_id` None: nobody knows who bought them, and for what."""

    trade_id: uuid.UUID | None
    quantity: Decimal


@dataclass
class _Trip:
    held: Decimal = ZERO
    cost: Decimal = ZERO
    proceeds: Decimal = ZERO
    fees: Decimal = ZERO

    def result(self) -> Decimal:
        return (self.proceeds - self.cost - self.fees) / self.cost


def round_trips(
    fills: Iterable[BookedFill], *, rule_id: uuid.UUID, held_before: Mapping[int, Decimal]
) -> list[Decimal]:
    """The result of each closed round trip of a rule, in the order of their buys.

    fills: all of the portfolio in the rule's instruments, whoever asked for them, the oldest first. held_before: units
    by instrument that were held before the first of them; they are sold first, and are of no round trip.
    """
    lots: dict[int, deque[_Lot]] = {
        key: deque([_Lot(None, quantity)]) for key, quantity in held_before.items() if quantity > 0
    }
    trips: dict[uuid.UUID, _Trip] = {}
    for fill in fills:
        queue = lots.setdefault(fill.instrument_id, deque())
        if fill.side == "sell":
            _sell(fill, queue, trips)
            continue
        queue.append(_Lot(fill.trade_id, fill.quantity))
        if fill.rule_id == rule_id:
            trip = trips.setdefault(fill.trade_id, _Trip())
            trip.held += fill.quantity
            trip.cost += fill.quantity * fill.price
            trip.fees += fill.fee
    return [trip.result() for trip in trips.values() if trip.held == 0]


def _sell(fill: BookedFill, queue: deque[_Lot], trips: Mapping[uuid.UUID, _Trip]) -> None:
    """Take the fill's units from the oldest lots; what no lot can give was nobody's."""
    rest = fill.quantity
    while rest > 0 and queue:
        lot = queue[0]
        taken = min(rest, lot.quantity)
        trip = trips.get(lot.trade_id) if lot.trade_id is not None else None
        if trip is not None:
            trip.held -= taken
            trip.proceeds += taken * fill.price
            trip.fees += fill.fee * taken / fill.quantity
        rest -= taken
        lot.quantity -= taken
        if lot.quantity == 0:
            queue.popleft()


def track_record(results: Iterable[Decimal]) -> TrackRecord:
    """Count and average the results of round trips. One that came out even did not gain."""
    gains: list[Decimal] = []
    losses: list[Decimal] = []
    for result in results:
        (gains if result > 0 else losses).append(result)
    return TrackRecord(
        round_trips=len(gains) + len(losses),
        wins=len(gains),
        mean_gain=sum(gains, ZERO) / len(gains) if gains else None,
        mean_loss=-sum(losses, ZERO) / len(losses) if losses else None,
    )
