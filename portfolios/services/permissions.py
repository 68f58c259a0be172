"""Which instruments may be bought: lists that are replaced as a whole, and told in the journal."""

import uuid
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, transaction
from django.db.models import Q

from foundation.clock import database_now
from foundation.errors import InvalidInput, NotFound
from journal.core.events import PLATFORM_STREAM, Event
from journal.services.journal import append
from market.models import Instrument
from portfolios.core.permissions import PERMITTED, RESTRICTED
from portfolios.models import InstrumentPermission, Portfolio

SYMBOLS_MAX = 10_000
REASON_CHARACTERS_MAX = 255
ERRORS_MAX = 20
"""of unknown symbols: looking for a similar name is dear"""
PLATFORM_KEY = 0x5065726D697473_01
"""of the advisory lock that makes writers of the platform's lists wait for each other"""


@transaction.atomic
def set_instrument_permissions(
    *,
    portfolio_id: uuid.UUID | None,
    permitted: Collection[str],
    restricted: Mapping[str, str],
    actor: AbstractBaseUser | None,
) -> None:
    """Replace the lists of a portfolio, or (None) of the platform.

    `permitted` are symbols, none for all; `restricted` are symbols with the reason. Only buys are held up by
    them: what is held may always be sold. Raises InvalidInput (with the path of each unknown symbol), NotFound.
    """
    instruments = _instruments(permitted, restricted)
    if portfolio_id is None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PLATFORM_KEY])
    elif not Portfolio.objects.select_for_update(no_key=True).filter(pk=portfolio_id).exists():
        raise NotFound(f"There is no portfolio {portfolio_id}.")
    mine = Q(portfolio=None) if portfolio_id is None else Q(portfolio_id=portfolio_id)
    InstrumentPermission.objects.filter(mine).delete()
    wanted = [(symbol, PERMITTED, "") for symbol in sorted(set(permitted))]
    wanted += [(symbol, RESTRICTED, reason) for symbol, reason in sorted(restricted.items())]
    InstrumentPermission.objects.bulk_create(
        InstrumentPermission(
            portfolio_id=portfolio_id, instrument_id=instruments[symbol], kind=kind, reason=reason,
            created_by_id=actor.pk if actor else None,
        )
        for symbol, kind, reason in wanted
    )  # fmt: skip
    payload = {
        "permitted": sorted(set(permitted)), "restricted": dict(sorted(restricted.items())),
        "actor": actor.get_username() if actor else "system",
    }  # fmt: skip
    append([Event(portfolio_id or PLATFORM_STREAM, "permissions.set", database_now(), payload)])


def _instruments(permitted: Collection[str], restricted: Mapping[str, str]) -> dict[str, int]:
    """Ids by symbol, of instruments that there are and that stand in one list only."""
    if len(permitted) + len(restricted) > SYMBOLS_MAX:
        raise InvalidInput(f"The lists may have at most {SYMBOLS_MAX:,} symbols together.")
    known = dict(Instrument.objects.values_list("symbol", "id"))
    named = [(f"permitted[{index}]", symbol) for index, symbol in enumerate(permitted)]
    named += [(f"restricted.{symbol}", symbol) for symbol in restricted]
    unknown = [(path, symbol) for path, symbol in named if symbol not in known]
    errors = [_unknown(path, symbol, known) for path, symbol in unknown[:ERRORS_MAX]]
    errors += [
        {
            "path": f"permitted[{index}]",
            "message": f"{symbol} is restricted too: keep it in one of the lists.",
        }
        for index, symbol in enumerate(permitted)
        if symbol in restricted
    ]
    errors += [
        {
            "path": f"restricted.{symbol}",
            "message": f"A reason has at most {REASON_CHARACTERS_MAX} characters.",
        }
        for symbol, reason in restricted.items()
        if len(reason) > REASON_CHARACTERS_MAX
    ]
    if errors:
        raise InvalidInput("; ".join(f"{e['path']}: {e['message']}" for e in errors), errors=errors)
    return known


def _unknown(path: str, symbol: str, known: Collection[str]) -> dict[str, Any]:
    row = {"path": path, "message": f"There is no instrument {symbol!r}."}
    near = get_close_matches(symbol, known, n=1)
    return row | ({"suggestion": f"Did you mean {near[0]}?"} if near else {})
