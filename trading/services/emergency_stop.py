"""The emergency stop: console, API, admin, command line, rules and breakers all call `arm`.

*Armed* when the halt's row is committed; it needs PostgreSQL only. It is *drained* by `draining`.
"""

import json
import uuid
from datetime import datetime
from functools import partial

import structlog
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import OperationalError, connection, transaction

from foundation.clock import database_now
from foundation.core.canonical import canonical_json
from foundation.errors import Conflict, Forbidden, InvalidInput, NotFound
from foundation.tokens import is_program
from foundation.wakeups import wake_on_commit
from journal.core.events import PLATFORM_STREAM, AlertSpec, Event
from journal.services.journal import append
from market.models import Instrument
from portfolios.core.access import Action, may
from portfolios.models import BrokerAccount, Portfolio
from portfolios.selectors import role_of
from portfolios.standing import AnyUser, refusal, standing_of
from rules.models import TradingRule
from sessions.models import TradingSession
from trading.core.breakers import OF_ACCOUNTS, OF_OUTAGES, Breaker, Tripped, breaker_of_break
from trading.models import Halt, Reconciliation, ReconciliationBreak
from trading.services.stop_audience import note_released

log = structlog.get_logger(__name__)
Scope = Halt.Scope
# Scopes that a portfolio's people may stop themselves; the others are the staff's.
OF_MEMBERS = frozenset({Scope.PORTFOLIO, Scope.SESSION, Scope.RULE})
DRAIN_TASK = "trading.tasks.drain_halts"
REASON_CHARACTERS_MAX = 255
# So long an arming waits for a busy journal; the sweep tells it otherwise.
TELLING_PATIENCE_MS = 50


def portfolio_of(scope: str, scope_id: str) -> uuid.UUID | None:
    """The portfolio that a scope lies in, None for platform and symbol. Raises InvalidInput, NotFound."""
    if scope == Scope.PLATFORM:
        if scope_id:
            raise InvalidInput("scope_id: must be empty for the platform.")
        return None
    if scope == Scope.SYMBOL:
        if not Instrument.objects.filter(symbol=scope_id).exists():
            raise NotFound(f"There is no instrument {scope_id!r}.")
        return None
    try:
        key = uuid.UUID(scope_id)
    except ValueError as error:
        raise InvalidInput(f"scope_id: must be a UUID for scope {scope!r}, got {scope_id!r}.") from error
    found: uuid.UUID | None = {
        Scope.PORTFOLIO: Portfolio.objects.filter(pk=key).values_list("id", flat=True),
        Scope.ACCOUNT: BrokerAccount.objects.filter(pk=key).values_list("portfolio_id", flat=True),
        Scope.SESSION: TradingSession.objects.filter(pk=key).values_list("portfolio_id", flat=True),
        Scope.RULE: TradingRule.objects.filter(pk=key).values_list("portfolio_id", flat=True),
    }[Scope(scope)].first()
    if found is None:
        raise NotFound(f"There is no {scope} {scope_id}.")
    return found


def arm(
    *,
    scope: str,
    scope_id: str = "",
    mode: str = Halt.Mode.HALT,
    reason: str,
    actor: AbstractBaseUser | None,
    rule_id: uuid.UUID | None = None,
    tripped: Tripped | None = None,
) -> Halt:
    """Stop trading in a scope, at once. `actor` None: a rule (`rule_id`), a breaker (`tripped`, which
    `breakers.trip` gives) or the command line.

    One row, committed first; the journal is told afterwards, by the sweep if its stream is busy now. Raises
    InvalidInput, NotFound, and IntegrityError where a rule's or a breaker's own halt is there already.
    """
    if scope not in Scope.values:
        raise InvalidInput(f"scope: must be one of {', '.join(Scope.values)}, got {scope!r}.")
    if mode not in Halt.Mode.values:
        raise InvalidInput(f"mode: must be one of {', '.join(Halt.Mode.values)}, got {mode!r}.")
    if not reason.strip() or len(reason) > REASON_CHARACTERS_MAX:
        raise InvalidInput(f"reason: must have 1 to {REASON_CHARACTERS_MAX} characters.")
    portfolio_id = portfolio_of(scope, scope_id)
    if portfolio_id is not None:
        scope_id = str(uuid.UUID(scope_id))  # by its one spelling: orders are compared with it as text
    halt = Halt.objects.create(
        scope=scope,
        scope_id=scope_id,
        mode=mode,
        reason=reason.strip(),
        armed_by_id=actor.pk if actor else None,
        armed_by_rule_id=rule_id,
        armed_by_breaker=tripped.breaker if tripped is not None else "",
        episode=tripped.episode if tripped is not None else "",
        numbers=json.loads(canonical_json(tripped.numbers)) if tripped is not None else {},
    )
    # After the outermost commit, whoever opened it: the halt must not wait for a busy journal.
    transaction.on_commit(partial(_tell_armed_quietly, scope, scope_id), robust=True)
    wake_on_commit(DRAIN_TASK, queue="execution")
    halt.refresh_from_db()
    return halt


def _tell_armed_quietly(scope: str, scope_id: str) -> None:
    try:
        if Halt.objects.filter(scope=scope, scope_id=scope_id, journalled_at=None).exists():
            tell_armed(scope, scope_id, patience_ms=TELLING_PATIENCE_MS)
    except OperationalError as error:
        log.warning("halts_not_journalled_yet", scope=scope, scope_id=scope_id, error=repr(error))


@transaction.atomic
def tell_armed(scope: str, scope_id: str, *, patience_ms: int | None = None) -> None:
    """Journal and alert every arming in a scope that nobody was told of yet; rules may arm many at once.

    With `patience_ms` it gives up where it had to wait longer for a lock: who armed the halt waits for his answer.
    """
    if patience_ms is not None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{patience_ms}ms"])
    rows = Halt.objects.select_for_update(no_key=True, of=("self",)).select_related("armed_by")
    untold = list(rows.filter(scope=scope, scope_id=scope_id, journalled_at=None).order_by("armed_at", "id"))
    if untold:
        now = database_now()
        Halt.objects.filter(pk__in=[halt.pk for halt in untold]).update(journalled_at=now)
        append([armed_event(halt, now) for halt in untold])


def armed_event(halt: Halt, at: datetime) -> Event:
    name = halt.armed_by.get_username() if halt.armed_by else "system"
    if halt.armed_by_breaker:
        by = f"by the breaker {halt.armed_by_breaker}"
    else:
        by = f"by {name}" if halt.armed_by_rule_id is None else "by a rule"
    alert = AlertSpec("critical", f"Emergency stop ({halt}) armed {by}: {halt.reason}")
    return halt_event(halt, "halt.armed", at, name, alert)


def released_event(halt: Halt, at: datetime) -> Event:
    name = halt.released_by.get_username() if halt.released_by else "system"
    told = f"released by {name}" if halt.released_by else "over: what its breaker missed is heard again"
    alert = AlertSpec("warning", f"Emergency stop ({halt}) {told}")
    return halt_event(halt, "halt.released", at, name, alert)


def halt_event(halt: Halt, kind: str, at: datetime, actor: str, alert: AlertSpec | None = None) -> Event:
    payload = {
        "halt_id": halt.id, "scope": halt.scope, "scope_id": halt.scope_id, "mode": halt.mode,
        "reason": halt.reason, "actor": actor, "rule_id": halt.armed_by_rule_id,
    }  # fmt: skip
    if halt.armed_by_breaker:
        payload |= {"breaker": halt.armed_by_breaker, "episode": halt.episode, "numbers": halt.numbers}
    return Event(stream=stream_of(halt), kind=kind, at=at, payload=payload, alert=alert)


def stream_of(halt: Halt) -> uuid.UUID:
    """Whose journal tells of it. It was checked when it was armed."""
    if halt.scope == Scope.PORTFOLIO:
        return uuid.UUID(halt.scope_id)
    if halt.scope in OF_MEMBERS or halt.scope == Scope.ACCOUNT:
        return portfolio_of(halt.scope, halt.scope_id) or PLATFORM_STREAM
    return PLATFORM_STREAM


@transaction.atomic
def release(*, halt_id: uuid.UUID, actor: AbstractBaseUser) -> Halt:
    """Let trading go on. Nobody releases the halt that he armed himself; a rule's or a breaker's needs a risk
    officer.

    Raises NotFound, Conflict (released already, four eyes, breaks of the account that are open, or a broker that
    cannot be read), Forbidden (not this actor's to release).
    """
    rows = Halt.objects.select_for_update(no_key=True, of=("self",)).select_related("armed_by")
    halt = rows.filter(pk=halt_id).first()
    if halt is None:
        raise NotFound(f"There is no halt {halt_id}.")
    role = None
    breaks = 0
    if halt.scope in OF_MEMBERS or halt.armed_by_breaker in OF_ACCOUNTS:
        portfolio_id = portfolio_of(halt.scope, halt.scope_id)
        assert portfolio_id is not None
        role = role_of(actor, portfolio_id)
    if halt.armed_by_breaker in OF_ACCOUNTS:
        kept = ReconciliationBreak.objects.filter(account_id=uuid.UUID(halt.scope_id), ended_at=None)
        kinds = kept.values_list("kind", flat=True)
        breaks = sum(breaker_of_break(kind) == halt.armed_by_breaker for kind in kinds)
    objection = objection_to_release(halt, actor, role=role, open_breaks=breaks) or _cannot_be_read(halt)
    if objection is None and is_program(actor.pk):
        objection = Forbidden("A person must release it; you are a service account.", code="person_required")
    if objection is not None:
        raise objection
    return _end(halt, actor)


def note_heard(halt: Halt, *, since: datetime | None, at: datetime | None) -> None:
    """Of a stop for an outage: since when, and when last, its breaker has heard whom it had missed."""
    Halt.objects.filter(pk=halt.pk, released_at=None).update(heard_since=since, heard_at=at)


@transaction.atomic
def release_after_outage(*, halt_id: uuid.UUID) -> Halt | None:
    """What its breaker stopped for is over (`outages`), and nobody has to judge anything. None: somebody was faster."""
    rows = Halt.objects.select_for_update(no_key=True).filter(pk=halt_id, released_at=None)
    halt = rows.filter(armed_by_breaker__in=OF_OUTAGES).first()
    return _end(halt, None) if halt is not None else None


def _end(halt: Halt, actor: AbstractBaseUser | None) -> Halt:
    """Of a row that is locked and in force. Nobody releases what ends by itself."""
    now = database_now()
    # It may be over before its arming could be told: what was first is told first.
    events = [armed_event(halt, now)] if halt.journalled_at is None else []
    Halt.objects.filter(pk=halt.pk, released_at=None).update(
        released_at=now, released_by_id=actor.pk if actor else None, journalled_at=halt.journalled_at or now
    )
    halt.refresh_from_db()
    note_released(halt)
    append([*events, released_event(halt, now)])
    wake_on_commit(DRAIN_TASK, queue="execution")  # which tells the portfolios
    return halt


def _cannot_be_read(halt: Halt) -> Conflict | None:
    """Explained or not: while a reconciliation cannot read what the broker says, nobody would learn of the fills. What
    was so before the account was disconnected, or connected anew, no reconciliation can ever put right."""
    if halt.armed_by_breaker != Breaker.RECONCILIATION:
        return None
    account = BrokerAccount.objects.get(pk=uuid.UUID(halt.scope_id))
    if account.broker == BrokerAccount.Broker.PAPER:
        return None
    done = Reconciliation.objects.filter(account=account, finished_at__isnull=False)
    if account.connected_at is not None:
        done = done.filter(started_at__gte=account.connected_at)
    last = done.order_by("-started_at").first()
    if last is None or not last.failure.startswith(Reconciliation.BAD_REPORT):
        return None
    cure = "put it right there, and reconcile"
    if last.failure.startswith(Reconciliation.UNREAD):
        cure = "put it right there, or end that order by hand and explain its break; then reconcile"
    told = f"The last reconciliation could not read the broker ({last.failure}): {cure}."
    return Conflict(told, code="broker_unreadable")


def objection_to_release(
    halt: Halt, actor: AnyUser, *, role: str | None, open_breaks: int
) -> Conflict | Forbidden | None:
    """Why the actor, with this role in the portfolio of the halt, may not release it; None when he may.

    open_breaks: of its account, where reconciliation has armed it.
    """
    if halt.released_at is not None:
        return Conflict("The halt is released already.", code="halt_released")
    if halt.armed_by_id is not None and halt.armed_by_id == actor.pk:
        return Conflict(
            "A halt must be released by another person than the one who armed it.", code="four_eyes"
        )
    standing = standing_of(actor, role)
    if halt.armed_by_breaker in OF_ACCOUNTS:
        if not may(Action.RELEASE_ACCOUNT, standing):
            return refusal(Action.RELEASE_ACCOUNT, standing)
        if open_breaks:
            return Conflict(
                f"{open_breaks} of the account's breaks are open: explain each of them first.",
                code="breaks_open",
            )
        return None
    action = Action.RELEASE_STOP if halt.armed_by_id is not None else Action.RELEASE_BREAKER
    if halt.scope not in OF_MEMBERS:
        action = Action.RELEASE_PLATFORM
    return None if may(action, standing) else refusal(action, standing)
