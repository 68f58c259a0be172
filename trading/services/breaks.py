"""Breaks: what the broker and our books do not agree on. The only writer of their table.

Each one that is open halts its account (`trading.core.breakers.Breaker.RECONCILIATION`): nothing goes out but cancels
until a person has explained it, or it has come right by itself, and a risk officer or the staff release the halt. Where
only cash differs, or the broker has blocked the account, sells still go out (`Breaker.CASH_DIFFERENCE`,
`Breaker.ACCOUNT_BLOCKED`).
What was explained is not found again as long as it stays the same (`trading.core.reconciliation`).
"""

import hashlib
import json
import math
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.clock import database_now
from foundation.core.canonical import canonical_json, plain_decimal
from foundation.errors import Conflict, InvalidInput, NotFound
from journal.core.events import AlertSpec, Event
from journal.services.journal import append
from portfolios.core.access import Action
from portfolios.models import BrokerAccount
from portfolios.selectors import visible_portfolio
from trading.core.breakers import OF_BLOCKS, Breaker, breaker_of_break, reconciliation, told_of_break
from trading.core.reconciliation import STATES, Finding, is_explained
from trading.models import Execution, Halt, Reconciliation, ReconciliationBreak
from trading.services.breakers import trip_found

Kind = ReconciliationBreak.Kind
KEY_CHARACTERS_MAX, DETAIL_CHARACTERS_MAX, EXPLANATION_CHARACTERS_MAX = 200, 255, 500
PAYLOAD_CHARACTERS_MAX, PAYLOAD_DEPTH_MAX = 4_000, 6
GONE, BACK = "Gone by itself", "Back at what was explained"


@transaction.atomic
def record_break(
    *,
    account_id: uuid.UUID,
    kind: str,
    key: str,
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    detail: str,
) -> ReconciliationBreak | None:
    """Record a break, alert, and halt its account; seen again, it is noted and halts again where it was released.

    ours and theirs may be anything that a broker has said: what JSON cannot hold is told as text. None: somebody has
    explained exactly this.
    """
    return record_breaks(
        account_id=account_id, findings=[Finding(kind, key, detail, ours=ours, theirs=theirs)]
    )[0]


@transaction.atomic
def record_breaks(*, account_id: uuid.UUID, findings: Sequence[Finding]) -> list[ReconciliationBreak | None]:
    """The same for several, in one transaction that journals last."""
    account = BrokerAccount.objects.only("portfolio_id").get(pk=account_id)
    events: list[Event] = []
    rows = [_record(account, _storable(finding), events) for finding in findings]
    _halt_for([row for row in rows if row is not None])
    append(events)
    return rows


def _record(account: BrokerAccount, found: Finding, events: list[Event]) -> ReconciliationBreak | None:
    named = ReconciliationBreak.objects.filter(account=account, kind=found.kind, key=found.key)
    now = database_now()
    explained = _explanation(account.pk, found)
    if explained is not None:
        named.filter(pk=explained.pk).update(last_seen_at=now)
        if found.kind in STATES:
            events += _ended(named.filter(ended_at=None).select_related("account"), BACK)
        return None
    facts = {"ours": dict(found.ours), "theirs": dict(found.theirs), "detail": found.detail}
    row, is_new = named.filter(ended_at=None).get_or_create(
        defaults={**facts, "account": account, "kind": found.kind, "key": found.key}
    )
    named.filter(pk=row.pk, ended_at=None).update(**facts, last_seen_at=now)
    row.refresh_from_db()
    if is_new:
        message = f"Broker and books do not agree ({found.kind}): {found.detail}"
        if found.kind in OF_BLOCKS:
            message = f"No entry is made: {told_of_break(found.kind, found.detail)}"
        events.append(_event(row, "reconciliation.break", now, AlertSpec("critical", message)))
    return row


def is_known(*, account_id: uuid.UUID, found: Finding) -> bool:
    """Whether people have explained exactly this."""
    return _explanation(account_id, _storable(found)) is not None


def _explanation(account_id: uuid.UUID, found: Finding) -> ReconciliationBreak | None:
    """The row of which the explanation still says all of it. Of what *is* the last one counts; what *happened* and was
    explained is so whatever else happens."""
    named = ReconciliationBreak.objects.filter(account_id=account_id, kind=found.kind, key=found.key)
    rows = named.filter(explained_by__isnull=False).order_by("-ended_at")
    for row in rows[:1] if found.kind in STATES else rows:
        was = (row.ours, row.theirs, row.detail)
        if is_explained(found.kind, was=was, now=found, went_on=_went_on(account_id, row.last_seen_at)):
            return row
    return None


def _went_on(account_id: uuid.UUID, last_seen_at: datetime) -> bool:
    """Whether the last reconciliation that succeeded saw what was explained, or something else in its place."""
    last = last_success(account_id)
    return last is None or last_seen_at >= last


def last_success(account_id: uuid.UUID) -> datetime | None:
    rows = Reconciliation.objects.filter(account_id=account_id, finished_at__isnull=False, failure="")
    return rows.order_by("-started_at").values_list("started_at", flat=True).first()


def _still_explained(account_id: uuid.UUID, seen: Collection[tuple[str, str]]) -> None:
    """What was explained, and is there, or could not be judged this time, or is another difference now (`seen`), is not
    taken for gone in between."""
    mine = ReconciliationBreak.objects.filter(account_id=account_id, key__in={key for _, key in seen})
    last = last_success(account_id)
    rows = [
        pk
        for pk, kind, key, at in mine.filter(explained_by__isnull=False).values_list(
            "id", "kind", "key", "last_seen_at"
        )
        if (kind, key) in seen and (last is None or at >= last)
    ]
    if rows:
        mine.filter(pk__in=rows).update(last_seen_at=database_now())


def _halt_for(rows: Sequence[ReconciliationBreak]) -> None:
    """Once by each breaker for any number of breaks, by the first of them."""
    first = {breaker_of_break(row.kind): row for row in reversed(rows)}
    for breaker, row in sorted(first.items()):
        _halt(breaker, row)


def _halt(breaker: Breaker, row: ReconciliationBreak) -> None:
    """Whoever is releasing the halt is waited for: it counts what is open."""
    mine = Halt.objects.filter(
        armed_by_breaker=breaker, scope=Halt.Scope.ACCOUNT, scope_id=str(row.account_id)
    )
    if mine.filter(released_at=None).select_for_update(no_key=True).first() is not None:
        return
    released = mine.order_by("-released_at").values_list("released_at", flat=True).first()
    found = reconciliation(released_at=released, kind=row.kind, key=row.key, detail=row.detail)
    trip_found(found, scope=Halt.Scope.ACCOUNT, scope_id=str(row.account_id))


@transaction.atomic
def halt_while_open(*, account_id: uuid.UUID) -> int:
    """How many breaks are open; where there are any, the account is halted (again)."""
    rows = ReconciliationBreak.objects.filter(account_id=account_id, ended_at=None)
    found = list(rows.order_by("found_at"))
    _halt_for(found)
    return len(found)


@transaction.atomic
def end_gone(
    *, account_id: uuid.UUID, kinds: Collection[str], seen: Collection[tuple[str, str]],
    explained: Collection[tuple[str, str]] = (),
) -> int:  # fmt: skip
    """End the open breaks of these kinds that a whole look did not see any more; returns how many. The halt stays
    until a person releases it. seen: that is there, or of which nothing can be said. explained: that is just as it was
    explained, whatever it was in between."""
    _still_explained(account_id, {*seen, *explained})
    rows = ReconciliationBreak.objects.filter(account_id=account_id, kind__in=kinds, ended_at=None)
    locked = rows.select_for_update(no_key=True, of=("self",)).select_related("account").order_by("id")
    over = [row for row in locked if (row.kind, row.key) not in seen]
    back = [row for row in over if (row.kind, row.key) in explained]
    gone = [row for row in over if (row.kind, row.key) not in explained]
    append([*_ended(gone, GONE), *_ended(back, BACK)])
    return len(over)


@transaction.atomic
def end_booked(*, account_id: uuid.UUID) -> int:
    """End the breaks over fills that could not be booked and by now are, as they were told; returns how many."""
    rows = ReconciliationBreak.objects.filter(account_id=account_id, kind=Kind.EXECUTION, ended_at=None)
    booked = {
        key: (plain_decimal(quantity), plain_decimal(price))
        for key, quantity, price in Execution.objects.filter(
            account_id=account_id, execution_id__in=rows.values("key")
        ).values_list("execution_id", "quantity", "price")
    }
    locked = rows.filter(key__in=booked).select_for_update(no_key=True, of=("self",))
    return _end(
        [
            row
            for row in locked.select_related("account").order_by("id")
            if booked[row.key] == (row.theirs.get("units"), row.theirs.get("price"))
        ]
    )


def end_of_connection(*, account_id: uuid.UUID) -> list[Event]:
    """The open breaks are of an account that this one was connected to before: neither side holds anything there any
    more, and nothing of it can be compared again. They end; their halt stays until a person releases it. In the
    caller's transaction, which has locked the account; it journals."""
    rows = ReconciliationBreak.objects.filter(account_id=account_id, ended_at=None).select_related("account")
    return _ended(list(rows.order_by("id")), "Of an earlier connection")


def _end(rows: Sequence[ReconciliationBreak]) -> int:
    append(_ended(rows, GONE))
    return len(rows)


def _ended(rows: Iterable[ReconciliationBreak], why: str) -> list[Event]:
    rows = list(rows)
    now = database_now()
    ReconciliationBreak.objects.filter(pk__in=[row.pk for row in rows], ended_at=None).update(ended_at=now)
    return [
        _event(row, "reconciliation.break_ended", now, AlertSpec("info", f"{why}: {row.detail}"))
        for row in rows
    ]


@transaction.atomic
def explain_break(*, break_id: uuid.UUID, explanation: str, actor: AbstractBaseUser) -> ReconciliationBreak:
    """A person says why it is so, which ends the break. Never the system.

    Raises NotFound, Forbidden (neither risk officer of the portfolio nor staff), InvalidInput, Conflict (it has
    ended).
    """
    rows = ReconciliationBreak.objects.select_for_update(no_key=True, of=("self",)).select_related("account")
    row = rows.filter(pk=break_id).first()
    if row is None:
        raise NotFound(f"There is no break {break_id}.")
    visible_portfolio(actor, row.account.portfolio_id, action=Action.EXPLAIN_BREAK)
    text = explanation.strip()
    if not 0 < len(text) <= EXPLANATION_CHARACTERS_MAX:
        message = f"Say in 1 to {EXPLANATION_CHARACTERS_MAX} characters why it is so."
        raise InvalidInput(f"explanation: {message}", errors=[{"path": "explanation", "message": message}])
    if row.ended_at is not None:
        raise Conflict("The break has ended already.", code="break_ended")
    now, name = database_now(), actor.get_username()
    ReconciliationBreak.objects.filter(pk=row.pk).update(
        explained_by_id=actor.pk, explanation=text, ended_at=now
    )
    row.refresh_from_db()
    alert = AlertSpec("info", f"{name} explained the {row.kind} break {row.key}: {text}")
    append([_event(row, "reconciliation.break_explained", now, alert, explanation=text, actor=name)])
    return row


def _event(row: ReconciliationBreak, kind: str, at: datetime, alert: AlertSpec, **more: Any) -> Event:
    payload = {
        "break_id": row.pk, "account_id": row.account_id, "kind": row.kind, "key": row.key, "ours": row.ours,
        "theirs": row.theirs, "detail": row.detail, **more,
    }  # fmt: skip
    return Event(stream=row.account.portfolio_id, kind=kind, at=at, payload=payload, alert=alert)


def payload_key(payload: Any) -> str:
    """Names what a broker said by its words: told twice, it is one break."""
    return hashlib.sha256(json.dumps(_plain(payload), sort_keys=True).encode()).hexdigest()[:32]


def _storable(found: Finding) -> Finding:
    """As the columns can hold it."""
    return replace(
        found,
        key=_text(found.key)[:KEY_CHARACTERS_MAX],
        detail=_text(found.detail)[:DETAIL_CHARACTERS_MAX],
        ours=_bounded(found.ours),
        theirs=_bounded(found.theirs),
    )


def _bounded(facts: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {str(name): _plain(value) for name, value in facts.items()}
    text = json.dumps(plain)
    return plain if len(text) <= PAYLOAD_CHARACTERS_MAX else {"cut": text[:PAYLOAD_CHARACTERS_MAX]}


def _plain(value: Any, depth: int = 0) -> Any:
    """JSON that PostgreSQL can store, whatever it was: no NaN, no zero characters, no half characters."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _text(value)
    if depth < PAYLOAD_DEPTH_MAX and isinstance(value, Mapping):
        return {_text(str(name)): _plain(one, depth + 1) for name, one in value.items()}
    if depth < PAYLOAD_DEPTH_MAX and isinstance(value, list | tuple):
        return [_plain(one, depth + 1) for one in value]
    try:
        return json.loads(canonical_json(value))
    except (TypeError, ValueError):
        return _text(str(value))


def _text(value: str) -> str:
    return value.replace("\x00", "�").encode(errors="replace").decode()
