"""Adding what may be traded, and under which tags staff sort it. Instruments are never removed, for books and history
speak of them."""

import re
from collections.abc import Sequence
from decimal import Decimal

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.clock import database_now
from foundation.errors import Conflict, InvalidInput, NotFound
from journal.core.events import PLATFORM_STREAM, Event
from journal.services.journal import append
from market.models import TAG_LENGTH_MAX, TOO_LARGE, Exchange, Instrument

TICK_SIZE, LOT_SIZE = Decimal("0.01"), Decimal(1)
_PLACES = Decimal("0.00000001")
TAGS_MAX = 32
TAG = re.compile(rf"[a-z0-9][a-z0-9_-]{{0,{TAG_LENGTH_MAX - 1}}}")


@transaction.atomic
def add_instrument(
    *,
    symbol: str,
    exchange: str,
    actor: AbstractBaseUser | None,
    name: str = "",
    sector: str = "",
    currency: str = "USD",
    tick_size: Decimal = TICK_SIZE,
    lot_size: Decimal = LOT_SIZE,
) -> tuple[Instrument, bool]:
    """The instrument, and whether it is new. The same facts about a known symbol change nothing.

    The feed carries it from its next look on. Raises InvalidInput with a path for each error, Conflict for a known
    symbol of which something else is stored.
    """
    errors = []
    if not 0 < len(symbol) <= 20 or not symbol.isprintable() or " " in symbol:
        errors.append({"path": "symbol", "message": "must have 1 to 20 printable characters, and no space"})
    if not Exchange.objects.filter(pk=exchange).exists():
        known = ", ".join(Exchange.objects.order_by("code").values_list("code", flat=True)[:20])
        message = f"{exchange[:20]!r} is not known here (known: {known}); load it by manage.py load_calendar"
        errors.append({"path": "exchange", "message": message})
    if len(currency) != 3 or not (currency.isascii() and currency.isalpha() and currency.isupper()):
        errors.append({"path": "currency", "message": "must be three capital letters, like USD"})
    for path, value in (("tick_size", tick_size), ("lot_size", lot_size)):
        if not (value.is_finite() and _PLACES <= value < TOO_LARGE and value == value.quantize(_PLACES)):
            errors.append({"path": path, "message": "must be positive, with at most 8 places"})
    if errors:
        raise InvalidInput(f"{errors[0]['path']}: {errors[0]['message']}.", errors=errors)
    facts = {
        "name": name or symbol, "exchange_id": exchange, "sector": sector, "currency": currency,
        "tick_size": tick_size, "lot_size": lot_size,
    }  # fmt: skip
    instrument, is_new = Instrument.objects.get_or_create(symbol=symbol, defaults=facts)
    if not is_new:
        other = [name for name, value in facts.items() if getattr(instrument, name) != value]
        if other:
            paths = [name.removesuffix("_id") for name in other]
            raise Conflict(
                f"{symbol} is known already with another {', '.join(paths)}.",
                errors=[{"path": path, "message": "differs from what is stored"} for path in paths],
            )
        return instrument, False
    payload = {**facts, "symbol": symbol, "actor": actor.get_username() if actor else "system"}
    append([Event(PLATFORM_STREAM, "market.instrument_added", database_now(), payload)])
    return instrument, True


@transaction.atomic
def set_tags(*, symbol: str, tags: Sequence[str], actor: AbstractBaseUser | None) -> Instrument:
    """Replace an instrument's tags; they are kept sorted, each once. Saying the same again changes nothing.

    It holds for running sessions from their next evaluation on. Raises NotFound, and InvalidInput with the path of
    each bad tag.
    """
    errors = [
        {
            "path": f"tags[{index}]",
            "message": f"{tag[:40]!r} is no tag.",
            "suggestion": f'Write 1 to {TAG_LENGTH_MAX} small letters, digits, - and _, as "large-cap".',
        }
        for index, tag in enumerate(tags)
        if TAG.fullmatch(tag) is None
    ]
    wanted = sorted(set(tags))
    if len(wanted) > TAGS_MAX:
        errors.append({"path": "tags", "message": f"at most {TAGS_MAX} tags"})
    if errors:
        raise InvalidInput("; ".join(f"{row['path']}: {row['message']}" for row in errors), errors=errors)
    rows = Instrument.objects.select_related("exchange").select_for_update(of=("self",), no_key=True)
    instrument = rows.filter(symbol=symbol).first()
    if instrument is None:
        raise NotFound(f"There is no instrument {symbol[:40]!r}.")
    if instrument.tags != wanted:
        before, instrument.tags = instrument.tags, wanted
        instrument.save(update_fields=["tags"])
        payload = {
            "symbol": instrument.symbol, "tags": wanted, "tags_before": before,
            "actor": actor.get_username() if actor is not None else "system",
        }  # fmt: skip
        append([Event(PLATFORM_STREAM, "instrument.tagged", database_now(), payload)])
    return instrument
