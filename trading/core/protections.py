"""The protections of a position: at which price it is sold, and whether that price is reached. Pure.

    stop loss      average cost × (1 − percentage / 100)     sells at or below it
    trailing stop  peak × (1 − percentage / 100)             sells at or below it
    take profit    average cost × (1 + percentage / 100)     sells at or above it

The average cost is the position's present one, the peak the highest price since it was opened: percentages, not
prices, are what is kept, so that further buys and splits move the thresholds with the position.
"""

from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from foundation.core.money import PLACES, round_money

PERCENT = Decimal(100)
BELOW_ALL = PERCENT  # a stop at 100 % below would never sell
TAKE_PROFIT_MAX = Decimal(1000)


class Kind(StrEnum):
    """In the order in which they are asked."""

    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    TAKE_PROFIT = "take_profit"

    @property
    def words(self) -> str:
        return self.value.replace("_", " ")


@dataclass(frozen=True)
class Percentages:
    """How a position is to be protected, in percent; None: not so.

    Stops are above 0 and below 100, a target above 0 and up to 1000. Made by `percentages` they are as the columns
    hold them.
    """

    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_stop: Decimal | None = None

    def __bool__(self) -> bool:
        return any(self.of(kind) is not None for kind in Kind)

    def of(self, kind: Kind) -> Decimal | None:
        value: Decimal | None = getattr(self, kind.value)
        return value

    def replaced_by(self, newer: "Percentages") -> "Percentages":
        """Those that the newer ones name are theirs; the others stay."""
        named = {kind.value: newer.of(kind) for kind in Kind if newer.of(kind) is not None}
        return replace(self, **named)


NONE = Percentages()


def percentages(
    *, stop_loss: Decimal | None, take_profit: Decimal | None, trailing_stop: Decimal | None
) -> Percentages:
    """To 8 places. The language permits numbers finer than that, which must not round to where nothing is
    protected: the nearest that protects is taken."""
    return Percentages(
        stop_loss=_within(stop_loss, BELOW_ALL - PLACES),
        take_profit=_within(take_profit, TAKE_PROFIT_MAX),
        trailing_stop=_within(trailing_stop, BELOW_ALL - PLACES),
    )


def _within(percentage: Decimal | None, highest: Decimal) -> Decimal | None:
    return None if percentage is None else min(max(round_money(percentage), PLACES), highest)


def peak_of(noted: Decimal | None, price: Decimal | None) -> Decimal | None:
    """The highest price since the opening: what was noted, or the present price if it is higher."""
    known = [number for number in (noted, price) if number is not None]
    return max(known, default=None)


@dataclass(frozen=True)
class Threshold:
    """A price in currency per unit, and what it follows from: `reference` is the average cost or the peak."""

    kind: Kind
    percentage: Decimal
    reference: Decimal
    price: Decimal

    def reached(self, price: Decimal) -> bool:
        """The threshold itself belongs to it."""
        return price >= self.price if self.kind is Kind.TAKE_PROFIT else price <= self.price

    def distance(self, price: Decimal) -> Decimal:
        """How far the price has to go until it is reached, in percent of it; 0 and below: it is reached."""
        gap = self.price - price if self.kind is Kind.TAKE_PROFIT else price - self.price
        return gap / price * PERCENT


def threshold_of(
    kind: Kind, protected: Percentages, *, average_cost: Decimal, peak: Decimal | None
) -> Threshold | None:
    """None when it is not protected so, or what it counts from is unknown."""
    percentage = protected.of(kind)
    reference = peak if kind is Kind.TRAILING_STOP else average_cost
    if percentage is None or reference is None or not reference > 0:
        return None
    share = 1 + percentage / PERCENT if kind is Kind.TAKE_PROFIT else 1 - percentage / PERCENT
    return Threshold(kind, percentage, reference, reference * share)


def triggered(
    protected: Percentages, *, average_cost: Decimal, noted_peak: Decimal | None, price: Decimal | None
) -> Threshold | None:
    """The first threshold that a fresh price has reached, in the order of `Kind`; an unknown price reaches none."""
    if price is None or not price.is_finite() or price <= 0:
        return None
    peak = peak_of(noted_peak, price)
    for kind in Kind:
        threshold = threshold_of(kind, protected, average_cost=average_cost, peak=peak)
        if threshold is not None and threshold.reached(price):
            return threshold
    return None


def in_place_of_stop(
    stop: Decimal, protected: Percentages, *, average_cost: Decimal, peak: Decimal | None
) -> Percentages | None:
    """What a position needs beside `protected` to be sold at that price as soon as a stop order there would have been;
    nothing where it is. Above the average cost no stop loss does it: a trailing stop that begins there. None: neither
    can say it."""
    for kind in (Kind.STOP_LOSS, Kind.TRAILING_STOP):
        threshold = threshold_of(kind, protected, average_cost=average_cost, peak=peak)
        if threshold is not None and threshold.price >= stop:
            return NONE
    if stop < average_cost:
        return Percentages(stop_loss=_below(average_cost, stop))
    if peak is not None and stop < peak:
        return Percentages(trailing_stop=_below(peak, stop))
    return None


def in_place_of_trail(
    percentage: Decimal, protected: Percentages, *, peak: Decimal | None, price: Decimal | None
) -> Percentages | None:
    """The same of a trailing stop. None where it would sell at once: the order has followed a lower price than the
    position's peak, and only its broker knows which."""
    if protected.trailing_stop is not None and protected.trailing_stop <= percentage:
        return NONE
    if peak is None or price is None or price <= peak * (1 - percentage / PERCENT):
        return None
    return Percentages(trailing_stop=percentage)


def _below(reference: Decimal, price: Decimal) -> Decimal:
    """In percent, never so much that the threshold would be below the price."""
    share = (1 - price / reference) * PERCENT
    return max(share.quantize(PLACES, ROUND_DOWN), PLACES)
