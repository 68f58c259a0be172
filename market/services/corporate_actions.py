"""Recording what companies do to their shares. Booking it for who holds them is the portfolios' business."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, transaction

from foundation.clock import database_now
from foundation.core.money import PLACES
from foundation.errors import Conflict, InvalidInput, NotFound
from foundation.wakeups import wake_on_commit
from journal.core.events import PLATFORM_STREAM, Event
from journal.services.journal import append
from market.models import TOO_LARGE, CorporateAction, Instrument
from market.selectors import market_now
from market.services import revision

REASON_LENGTH_MAX = 200
BOOK = "portfolios.tasks.book_corporate_actions"
EXTERNAL_ID_LENGTH_MAX = 200
UNITS_MAX = 10**6
Kind = CorporateAction.Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCorporateAction:
    """A dividend with `amount` (currency for each unit), or a split with `new_units` for `old_units`.

    `ex_at` is market time. `cash_in_lieu_price`, of a split, is currency for each new unit.
    """

    external_id: str
    symbol: str
    kind: str
    ex_at: datetime
    amount: Decimal | None = None
    new_units: int | None = None
    old_units: int | None = None
    cash_in_lieu_price: Decimal | None = None


@transaction.atomic
def record(item: NewCorporateAction, *, actor: AbstractBaseUser | None) -> tuple[CorporateAction, bool]:
    """Store a fact once, and whether it is new. The same id with the same content is the same fact.

    A price for cash in lieu that was not known yet may be added by recording the split again with it. Raises
    InvalidInput with a path for each error; Conflict for a known id with other content, for a second split at
    the same time, and for a split before an action of the same instrument that is in force already (whose
    entitlements were counted in other units).
    """
    row = _validated(item)
    _one_at_a_time()
    known = CorporateAction.objects.filter(external_id=item.external_id).select_related("instrument").first()
    if known is not None:
        return _told_again(known, row, actor), False
    if row.kind == Kind.SPLIT:
        _refuse_a_second_split(row)
        _refuse_a_late_split(row)
    row.save(force_insert=True)
    revision.bump()
    wake_on_commit(BOOK, queue="market")
    payload = {
        "corporate_action_id": row.id, "external_id": row.external_id, "symbol": item.symbol, "kind": row.kind,
        "ex_at": row.ex_at, "amount": row.amount, "new_units": row.new_units, "old_units": row.old_units,
        "cash_in_lieu_price": row.cash_in_lieu_price, "actor": _name(actor),
    }  # fmt: skip
    append([Event(PLATFORM_STREAM, "corporate_action.recorded", database_now(), payload)])
    return row, True


@transaction.atomic
def withdraw(*, action_id: uuid.UUID, actor: AbstractBaseUser | None, reason: str) -> CorporateAction:
    """It was recorded wrongly: book it for nobody any more, and make room for what is right.

    What is booked already stays until it is reversed, entry by entry; until then nothing of the same instrument is
    booked in those portfolios. Raises NotFound, InvalidInput (no reason), Conflict (withdrawn already).
    """
    text = reason.strip()
    if not 0 < len(text) <= REASON_LENGTH_MAX:
        message = f"say why, in 1 to {REASON_LENGTH_MAX} characters"
        raise InvalidInput(f"reason: {message}.", errors=[{"path": "reason", "message": message}])
    _one_at_a_time()
    rows = CorporateAction.objects.select_related("instrument").select_for_update(of=("self",), no_key=True)
    action = rows.filter(pk=action_id).first()
    if action is None:
        raise NotFound(f"There is no corporate action {action_id}.")
    if action.withdrawn_at is not None:
        raise Conflict("This corporate action is withdrawn already.", code="already_withdrawn")
    action.withdrawn_at = database_now()
    action.withdrawn_by_id = actor.pk if actor else None
    action.save(update_fields=["withdrawn_at", "withdrawn_by"])
    revision.bump()
    wake_on_commit(BOOK, queue="market")
    payload = {
        "corporate_action_id": action.id, "external_id": action.external_id, "symbol": action.instrument.symbol,
        "kind": action.kind, "ex_at": action.ex_at, "reason": text, "actor": _name(actor),
    }  # fmt: skip
    append([Event(PLATFORM_STREAM, "corporate_action.withdrawn", action.withdrawn_at, payload)])
    return action


def _name(actor: AbstractBaseUser | None) -> str:
    return actor.get_username() if actor else "system"


def _one_at_a_time() -> None:
    """So that the same fact told twice at once is stored once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('corporate actions', 0))")


def _told_again(
    known: CorporateAction, row: CorporateAction, actor: AbstractBaseUser | None
) -> CorporateAction:
    if known.withdrawn_at is not None:
        message = "is that of an action which was withdrawn"
        raise Conflict(
            f"external_id {message}. If it is right this time, record it under another external_id.",
            errors=[{"path": "external_id", "message": message}],
        )
    fields = ("instrument_id", "kind", "ex_at", "amount", "new_units", "old_units")
    other = [name for name in fields if getattr(known, name) != getattr(row, name)]
    prices = (known.cash_in_lieu_price, row.cash_in_lieu_price)
    if None not in prices and prices[0] != prices[1]:
        other.append("cash_in_lieu_price")
    if other:
        paths = ["symbol" if name == "instrument_id" else name for name in other]
        raise Conflict(
            f"{row.external_id!r} is recorded already with another {', '.join(paths)}. If this is another action, "
            "give it another external_id.",
            errors=[{"path": path, "message": "differs from what is recorded"} for path in paths],
        )
    if known.cash_in_lieu_price is None and row.cash_in_lieu_price is not None:
        known.cash_in_lieu_price = row.cash_in_lieu_price
        known.save(update_fields=["cash_in_lieu_price"])
        wake_on_commit(BOOK, queue="market")
        payload = {
            "corporate_action_id": known.id, "external_id": known.external_id, "symbol": known.instrument.symbol,
            "cash_in_lieu_price": known.cash_in_lieu_price, "actor": _name(actor),
        }  # fmt: skip
        append([Event(PLATFORM_STREAM, "corporate_action.priced", database_now(), payload)])
    return known


def _refuse_a_second_split(row: CorporateAction) -> None:
    """The same split told by two sources under two ids must not be booked twice."""
    other = CorporateAction.objects.filter(
        instrument_id=row.instrument_id, ex_at=row.ex_at, kind=Kind.SPLIT, withdrawn_at=None
    ).first()
    if other is not None:
        message = f"is that of the split {other.external_id!r} of the same instrument"
        raise Conflict(
            f"ex_at {message}. It is recorded already; if that is wrong, withdraw it first.",
            errors=[{"path": "ex_at", "message": message}],
        )


def _refuse_a_late_split(row: CorporateAction) -> None:
    now = market_now()
    if now is None:
        return
    later = CorporateAction.objects.filter(
        instrument_id=row.instrument_id, ex_at__gt=row.ex_at, ex_at__lte=now, withdrawn_at=None
    )
    found = later.order_by("ex_at").first()
    if found is not None:
        message = (
            f"lies before {found.external_id!r} (ex {found.ex_at.isoformat()}), which is in force already"
        )
        raise Conflict(
            f"ex_at {message}. Withdraw that one and reverse what was booked for it, then record the split, and "
            "after it the other one under another external_id.",
            errors=[{"path": "ex_at", "message": message}],
        )


def _validated(item: NewCorporateAction) -> CorporateAction:
    errors: list[dict[str, Any]] = []

    def refuse(path: str, message: str) -> None:
        errors.append({"path": path, "message": message})

    if not 0 < len(item.external_id) <= EXTERNAL_ID_LENGTH_MAX:
        refuse("external_id", f"must have 1 to {EXTERNAL_ID_LENGTH_MAX} characters")
    instrument = Instrument.objects.filter(symbol=item.symbol).first()
    if instrument is None:
        refuse("symbol", f"{item.symbol!r} is not known here")
    if item.ex_at.tzinfo is None:
        refuse("ex_at", "must have a time zone: market time in UTC, like 2004-01-02T14:30:00Z")
    if item.kind == Kind.DIVIDEND:
        _check_dividend(item, refuse)
    elif item.kind == Kind.SPLIT:
        _check_split(item, refuse)
    else:
        refuse("kind", f"must be one of {', '.join(Kind.values)}, got {item.kind!r}")
    if errors:
        first = errors[0]
        raise InvalidInput(f"{first['path']}: {first['message']}.", errors=errors)
    assert instrument is not None
    return CorporateAction(
        external_id=item.external_id, instrument=instrument, kind=item.kind, ex_at=item.ex_at, amount=item.amount,
        new_units=item.new_units, old_units=item.old_units, cash_in_lieu_price=item.cash_in_lieu_price,
    )  # fmt: skip


def _is_price(value: Decimal) -> bool:
    return value.is_finite() and PLACES <= value < TOO_LARGE and value == value.quantize(PLACES)


def _check_dividend(item: NewCorporateAction, refuse: Any) -> None:
    if item.amount is None or not _is_price(item.amount):
        refuse("amount", "must be given: currency for each unit, positive, at most 8 places")
    for name in ("new_units", "old_units", "cash_in_lieu_price"):
        if getattr(item, name) is not None:
            refuse(name, "is for a split only")


def _check_split(item: NewCorporateAction, refuse: Any) -> None:
    for name in ("new_units", "old_units"):
        value = getattr(item, name)
        if value is None or not 0 < value <= UNITS_MAX:
            refuse(name, f"must be given: a whole number from 1 to {UNITS_MAX}")
    if item.new_units is not None and item.new_units == item.old_units:
        refuse("new_units", "equals old_units: that splits nothing")
    if item.amount is not None:
        refuse("amount", "is for a dividend only")
    price = item.cash_in_lieu_price
    if price is not None and not _is_price(price):
        refuse("cash_in_lieu_price", "must be positive, with at most 8 places")
