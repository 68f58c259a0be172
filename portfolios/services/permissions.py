"""Which instruments may be bought: lists that are replaced as a whole, loosened only by two people."""

import uuid
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, transaction
from django.db.models import Max

from foundation.clock import database_now
from foundation.errors import Conflict, InvalidInput, NotFound
from journal.core.events import PLATFORM_STREAM, AlertSpec, Event
from journal.services.journal import append
from market.models import Instrument
from portfolios.core.permissions import PERMITTED, RESTRICTED, loosens
from portfolios.models import InstrumentPermission, InstrumentPermissionProposal, Portfolio
from portfolios.selectors import (
    any_needs_four_eyes,
    needs_four_eyes,
    of_portfolio,
    pending_permissions,
    permission_lists,
)
from portfolios.services.approvals import decide, require_second_person

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
) -> InstrumentPermissionProposal:
    """Replace the lists of a portfolio, or (None) of the platform: at once, or when a second person approves it.

    It waits where the portfolio (for the platform: any) needs four eyes and the new lists are looser than those in
    force. What only tightens takes effect at once, and replaces what waits. `permitted` are symbols, none for all;
    `restricted` are symbols with the reason. Only buys are held up by them: what is held may always be sold. Raises
    InvalidInput (with the path of each unknown symbol), NotFound, Conflict (nobody proposes what must wait).
    """
    instruments = _instruments(permitted, restricted)
    _lock(portfolio_id)
    old = permission_lists(portfolio_id)
    careful = any_needs_four_eyes() if portfolio_id is None else bool(needs_four_eyes([portfolio_id]))
    waits = careful and loosens(
        permitted=permitted, restricted=restricted,
        old_permitted=old["permitted"], old_restricted=old["restricted"],
    )  # fmt: skip
    if waits and actor is None:
        raise Conflict(
            "These lists wait for a second person's approval: somebody must propose them.", code="four_eyes"
        )
    mine = InstrumentPermissionProposal.objects.filter(of_portfolio(portfolio_id))
    row = InstrumentPermissionProposal.objects.create(
        portfolio_id=portfolio_id, version=(mine.aggregate(top=Max("version"))["top"] or 0) + 1,
        permitted=sorted(set(permitted)), restricted=dict(sorted(restricted.items())),
        created_by_id=actor.pk if actor else None, needs_approval=waits,
    )  # fmt: skip
    if not waits:
        _put_in_force(row, instruments)
    _record(row, "permissions.proposed" if waits else "permissions.set", actor)
    return row


def approve_permissions(*, proposal_id: uuid.UUID, actor: AbstractBaseUser) -> InstrumentPermissionProposal:
    """Put lists in force that another person proposed, exactly those.

    Raises NotFound, Forbidden (a role is missing), Conflict (`four_eyes`: one's own; `not_waiting`; `superseded`:
    the lists were changed, or another change was proposed, since), InvalidInput (an instrument is gone).
    """
    return _decide(proposal_id, actor, approve=True)


def reject_permissions(*, proposal_id: uuid.UUID, actor: AbstractBaseUser) -> InstrumentPermissionProposal:
    """Let lists that wait never be in force; one's own are withdrawn so. Raises like `approve_permissions`."""
    return _decide(proposal_id, actor, approve=False)


@transaction.atomic
def _decide(
    proposal_id: uuid.UUID, actor: AbstractBaseUser, *, approve: bool
) -> InstrumentPermissionProposal:
    row = InstrumentPermissionProposal.objects.filter(pk=proposal_id).first()
    if row is None:
        raise NotFound("There are no such lists, or they are not yours to see.")
    require_second_person(
        proposed_by=row.created_by_id, actor=actor, portfolio_id=row.portfolio_id, approve=approve
    )
    _lock(row.portfolio_id)
    row.refresh_from_db()
    what = f"Version {row.version} of the lists"
    decide(pending=pending_permissions(), version=row, what=what, actor=actor, approve=approve)
    if approve:
        _put_in_force(row, _instruments(row.permitted, row.restricted))
    _record(row, "permissions.approved" if approve else "permissions.rejected", actor)
    return row


def _lock(portfolio_id: uuid.UUID | None) -> None:
    if portfolio_id is None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PLATFORM_KEY])
    elif not Portfolio.objects.select_for_update(no_key=True).filter(pk=portfolio_id).exists():
        raise NotFound(f"There is no portfolio {portfolio_id}.")


def _put_in_force(row: InstrumentPermissionProposal, instruments: Mapping[str, int]) -> None:
    """As a whole, in place of the rows that are in force."""
    mine = of_portfolio(row.portfolio_id)
    InstrumentPermission.objects.filter(mine).delete()
    wanted = [(symbol, PERMITTED, "") for symbol in row.permitted]
    wanted += [(symbol, RESTRICTED, reason) for symbol, reason in row.restricted.items()]
    InstrumentPermission.objects.bulk_create(
        InstrumentPermission(
            portfolio_id=row.portfolio_id, instrument_id=instruments[symbol], kind=kind, reason=reason,
            created_by_id=row.created_by_id,
        )
        for symbol, kind, reason in wanted
    )  # fmt: skip


def _record(row: InstrumentPermissionProposal, kind: str, actor: AbstractBaseUser | None) -> None:
    """Who must hear of it is alerted, as of limits."""
    name = actor.get_username() if actor else "system"
    payload = {
        "permitted": row.permitted, "restricted": row.restricted, "version": row.version, "actor": name,
    }  # fmt: skip
    told = f"Version {row.version} of the lists of instruments"
    messages = {
        "permissions.proposed": f"{told}, proposed by {name}, waits for another person's approval",
        "permissions.approved": f"{told} is in force, approved by {name}",
        "permissions.rejected": f"{told} was rejected by {name}",
    }
    alert = AlertSpec("info", messages[kind]) if kind in messages else None
    append([Event(row.portfolio_id or PLATFORM_STREAM, kind, database_now(), payload, alert)])


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
