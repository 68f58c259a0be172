"""What it takes for a broker and our books to agree. Pure: no clock, no network, no tables.

Two kinds of disagreement. What *is* (a position, the cash, an order's state, a blocked account) can come right by
itself, and then its break ends. What *happened* (an order that is not ours, a report that cannot be true) is for a
person to explain.

A difference that somebody has explained is no news as long as it stays the same: an explanation changes neither the
broker's numbers nor ours.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from foundation.core.money import ZERO, as_decimal
from trading.core.order_states import FINAL

CASH_TOLERANCE = Decimal("0.01")
"""A broker tells its cash in whole cents where we keep eight places."""
UNIT_TOLERANCE = Decimal("0.00000001")
"""Brokers count parts of a share in nine places where we keep eight."""
STATES = frozenset({"position", "cash", "order", "blocked"})
"""Kinds of breaks that end by themselves when they are no longer seen."""
ANSWER = "answer about "
"""So begin the keys of bad reports that ended a reconciliation, as none succeeds while the broker answers so."""


NO_ROUNDING = (ZERO, ZERO)


@dataclass(frozen=True)
class Finding:
    """A disagreement. `key` names what it is about; ours and theirs are JSON values, Decimal, datetime, UUID."""

    kind: str
    key: str
    detail: str
    ours: Mapping[str, Any] = field(default_factory=dict)
    theirs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Holdings:
    """What an account has: currency, cash, and units by symbol (those of zero may be absent). accrued: what a broker
    has still to charge for the day; its cash may be so much less already, or any part of it.

    rounding: by how much more the cash would be if each fill had been booked in whole cents (lowest and highest: half a
    cent goes up or down). Some brokers do, and it adds up with every fill of a part of a share.
    """

    currency: str
    cash: Decimal
    units: Mapping[str, Decimal]
    rounding: tuple[Decimal, Decimal] = NO_ROUNDING
    accrued: Decimal = ZERO


@dataclass(frozen=True)
class Awaited:
    """Fills, and money moved outside of orders, that the broker has told of and that could not be booked: what they
    would change in our holdings."""

    units: Mapping[str, Decimal] = field(default_factory=dict)
    cash: Decimal = ZERO


def compare(*, ours: Holdings, theirs: Holdings, awaited: Awaited) -> list[Finding]:
    """Positions by symbol, and the cash; cash of another currency is not compared, for it cannot agree."""
    found = []
    for symbol in sorted({*ours.units, *theirs.units}):
        mine, its = ours.units.get(symbol, ZERO), theirs.units.get(symbol, ZERO)
        if not any(
            abs(its - known) <= UNIT_TOLERANCE for known in (mine, mine + awaited.units.get(symbol, ZERO))
        ):
            found.append(
                Finding(
                    "position", symbol, f"{symbol}: the broker holds {_text(its)}, our books {_text(mine)}",
                    {"quantity": mine}, {"quantity": its},
                )
            )  # fmt: skip
    money = {"currency": ours.currency, "cash": ours.cash}, {"currency": theirs.currency, "cash": theirs.cash}
    if ours.rounding != NO_ROUNDING:
        money[0]["rounding"] = ours.rounding
    if theirs.accrued:
        money[1]["accrued"] = theirs.accrued
    if ours.currency != theirs.currency:
        detail = f"the broker keeps {theirs.currency}, our books {ours.currency}"
        found.append(Finding("cash", theirs.currency, detail, *money))
    elif not any(
        cash_agrees(theirs.cash - mine, ours.rounding, accrued=theirs.accrued)
        for mine in (ours.cash, ours.cash + awaited.cash)
    ):
        detail = f"the broker has {_text(theirs.cash)} of cash, our books {_text(ours.cash)}"
        found.append(Finding("cash", ours.currency, detail, *money))
    return found


def cash_agrees(
    differs: Decimal, rounding: tuple[Decimal, Decimal], *, accrued: Decimal = ZERO, charged: Decimal = ZERO
) -> bool:
    """Whether the broker's cash is ours but for a cent, but for what comes of rounding each fill, or some, and but for
    what it has accrued and not charged yet, or some of that. charged: what was accrued before, and may be no more."""
    lowest, highest = rounding
    least, most = min(lowest, ZERO) - accrued, max(highest, ZERO) + charged
    return least - CASH_TOLERANCE <= differs <= most + CASH_TOLERANCE


def blocked(objection: str) -> list[Finding]:
    """An account that may not trade at its broker. objection: the broker's words; empty: it may."""
    return [Finding("blocked", "orders", objection, theirs={"objection": objection})] if objection else []


def moved(before: Holdings, after: Holdings) -> frozenset[tuple[str, str]]:
    """(kind, key) of what changed in our books while the broker was asked. Of that nobody can say that it differs: a
    fill was on its way."""
    units = {
        ("position", symbol)
        for symbol in {*before.units, *after.units}
        if before.units.get(symbol, ZERO) != after.units.get(symbol, ZERO)
    }
    return frozenset(units | ({("cash", after.currency)} if before.cash != after.cash else set()))


def confirmed(first: Collection[Finding], second: Iterable[Finding]) -> list[Finding]:
    """Those of the second look that the first one saw with the same numbers on both sides.

    The same difference between other numbers is none: each look may have met another fill on its way.
    """
    seen = {(found.kind, found.key, str(found.ours), str(found.theirs)) for found in first}
    return [one for one in second if (one.kind, one.key, str(one.ours), str(one.theirs)) in seen]


def answer_key(question: str, reason: str) -> str:
    """Names a whole answer that cannot be used by what was asked and why, whatever else it said: prices in it change
    all the time, and it is one break."""
    return f"{ANSWER}{question}: {reason}"


def is_explained(
    kind: str, *, was: tuple[Mapping[str, Any], Mapping[str, Any], str], now: Finding, went_on: bool
) -> bool:
    """Whether an explanation of the same kind and key still says it all. was: ours, theirs, detail as explained.

    went_on: it has been seen by every reconciliation since. Numbers are compared by their difference, because both
    sides move with every fill; what happened once is explained for ever, and an answer that cannot be used until the
    broker has given one that can.
    """
    ours, theirs, detail = was
    if kind in ("foreign_order", "foreign_execution"):
        return True
    if kind in STATES:
        return (went_on or _has_ended(now)) and _same_difference(ours, theirs, now.ours, now.theirs)
    return detail == now.detail and (went_on or not now.key.startswith(ANSWER))


def _has_ended(found: Finding) -> bool:
    """An order that is over on both sides changes no more, and only a look far back sees it."""
    return found.kind == "order" and found.ours.get("status") in FINAL and found.theirs.get("state") in FINAL


def _same_difference(
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    ours_now: Mapping[str, Any],
    theirs_now: Mapping[str, Any],
) -> bool:
    """Of numbers only what the broker has more counts, cash to its tolerance, the rounding since and what is accrued;
    of all else both."""
    before, now = _difference(ours, theirs), _difference(ours_now, theirs_now)
    cash, cash_now = before.pop("cash", ZERO), now.pop("cash", ZERO)
    was, rounding = _rounding(ours), _rounding(ours_now)
    since = (rounding[0] - was[0], rounding[1] - was[1])
    accrued, charged = (as_decimal(told.get("accrued", ZERO)) for told in (theirs_now, theirs))
    return bool(before == now and cash_agrees(cash_now - cash, since, accrued=accrued, charged=charged))


def _rounding(ours: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    lowest, highest = ours.get("rounding", NO_ROUNDING)
    return as_decimal(lowest), as_decimal(highest)


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in {*ours, *theirs} - {"rounding", "accrued"}:
        mine, its = ours.get(name), theirs.get(name)
        if name in ("quantity", "cash"):
            told[name] = as_decimal(its or 0) - as_decimal(mine or 0)
        else:
            told[name] = (mine, its)
    return told


def _text(number: Decimal) -> str:
    return f"{number.normalize():f}"
