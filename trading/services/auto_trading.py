"""The whole flow, from a due slice to committed intents, on one screen.

claim a due slice → breakers on losses → evaluate_rules (no locks) → a part, where much has triggered →
execute_triggered_rules (portfolios locked, fresh facts) → decisions, trades (pending), reservations → marks →
run recorded → journal → commit → carried out by whoever was asked for (`carry_out`), as a rule at once
"""

import uuid
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction

from foundation.clock import database_now
from foundation.kill_points import reach
from foundation.loading import load_where
from foundation.moments import present_moment
from foundation.version import may_trade
from journal.core.events import PLATFORM_STREAM, AlertSpec, Event
from journal.services.journal import append
from market.core.snapshot import MarketSnapshot
from market.services import snapshots
from portfolios.services.books import open_books
from rules.core.source import Triggered
from rules.models import RuleVersion
from rules.selectors import InForce, active_rule_versions, rules_in_force, versions_by_id
from rules.services.programs import compiled_program, known_program
from sessions.core.config import read_config
from sessions.core.parts import Arc
from sessions.models import EvaluationRun, TradingSession
from sessions.selectors import SessionGroup, SessionToEvaluate, sessions_to_evaluate
from sessions.services.sessions import report_failure
from sessions.services.slices import arc_of, claim_due_slice, note_failure, record_run
from trading.models import AutoTrade
from trading.services.breakers import trip_on_losses
from trading.services.cooldowns import read_cooldowns, write_cooldowns
from trading.services.deciding import ENTRY, Decider
from trading.services.decisions import Draft, record
from trading.services.facts import MarketView, kept_view
from trading.services.faults import TRANSIENT
from trading.services.fresh_state import fresh_states
from trading.services.isolating import isolated
from trading.services.kept_columns import give_back_columns
from trading.services.marking import mark
from trading.services.order_management import store_trades, trade_event, wake_execution
from trading.services.worth import Worth, read_worth

log = structlog.get_logger(__name__)
ALERT_AT_FAILURES = 3
# More than this from one session in one evaluation is a mistake in its rules.
SESSION_HITS_MAX = 5_000
# Decided in one transaction: a second or two, in which the portfolios are locked.
PART_HITS_MAX = 500


@dataclass(frozen=True)
class TriggeredRule:
    """A rule version that is true for a symbol (None: for the portfolio as a whole) in a session."""

    session: SessionToEvaluate
    version: RuleVersion
    symbol: str | None


@dataclass(frozen=True)
class Look:
    """Some sessions, what their portfolios are worth, what is true of them, and by how many rules."""

    group: SessionGroup
    worth: Worth
    triggered: Sequence[TriggeredRule]
    rules: int


@dataclass
class Evaluated:
    """What was decided; events are not journalled yet."""

    triggered: int = 0
    trades: list[AutoTrade] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @classmethod
    def sum(cls, parts: Sequence["Evaluated"]) -> "Evaluated":
        return cls(
            sum(part.triggered for part in parts),
            [trade for part in parts for trade in part.trades],
            [event for part in parts for event in part.events],
        )


@dataclass(frozen=True)
class FailedSlice:
    """A slice that could not be evaluated. It stays due, after a pause."""

    slice_id: int
    reason: str


def evaluate_next_slice(
    *, carry_out: Callable[[Sequence[AutoTrade]], None] = wake_execution
) -> EvaluationRun | FailedSlice | None:
    """Evaluate one due slice in one transaction; None when nothing is due. A crash leaves it due.

    `carry_out` gets the trades that it made once they are committed; whatever becomes of it, they are due.
    """
    snapshot = snapshots.current()
    if snapshot is None or not may_trade():
        return None
    claimed: list[int] = []
    try:
        try:
            done = _evaluate_claimed(snapshot, claimed, isolating=False)
        except TRANSIENT:
            raise
        except Exception as error:  # somebody's data: once more, and whoever is to blame stands alone
            log.warning("slice_broke", slice_id=claimed[:1], error=repr(error))
            claimed.clear()
            newest = snapshots.current()
            assert newest is not None, "there was one before"
            done = _evaluate_claimed(newest, claimed, isolating=True)
    except SoftTimeLimitExceeded:
        raise  # the worker's time is up, and the slice stays due
    except Exception as error:  # one slice must never hold up the others
        connection.close_if_unusable_or_obsolete()
        if not claimed:
            raise
        log.exception("slice_failed", slice_id=claimed[0])
        _note_failed_slice(claimed[0], repr(error)[:500])
        return FailedSlice(claimed[0], repr(error))
    if done is None:
        return None
    run, trades, to_blame = done
    if trades:
        carry_out(trades)
    for session_id, reason in to_blame.items():
        _report_failure(session_id, reason)
    return run


def _report_failure(session_id: uuid.UUID, reason: str) -> None:
    """What was evaluated is committed, whatever becomes of the report: who breaks again is told of then."""
    try:
        report_failure(session_id=session_id, reason=reason)
    except TRANSIENT as error:
        connection.close_if_unusable_or_obsolete()
        log.warning("failure_not_reported", session_id=str(session_id), reason=reason, error=repr(error))


def _note_failed_slice(slice_id: int, reason: str) -> None:
    """Pause the slice a little longer each time; the third failure in a row is alerted."""
    with transaction.atomic():
        failures = note_failure(slice_id=slice_id)
        if failures == ALERT_AT_FAILURES:
            alert = AlertSpec("critical", f"Slice {slice_id} failed {failures} times in a row: {reason}")
            payload = {"slice_id": slice_id, "failures": failures, "reason": reason}
            append([Event(PLATFORM_STREAM, "slice.failing", database_now(), payload, alert)])


def _evaluate_claimed(
    snapshot: MarketSnapshot, claimed_ids: list[int], *, isolating: bool
) -> tuple[EvaluationRun, Sequence[AutoTrade], dict[uuid.UUID, str]] | None:
    """What it did once that is committed, the trades that it made, and which sessions broke, each with its reason."""
    with transaction.atomic():
        claimed = claim_due_slice(version=snapshot.version)
        if claimed is None:
            return None
        claimed_ids.append(claimed.id)
        reach("evaluation.after_claim", detail=f"slice {claimed.id}")
        group = sessions_to_evaluate(claimed.id)
        view = kept_view(snapshot)
        facts_at, facts_seen = present_moment()
        looks, to_blame = _look(group, view, isolating=isolating)
        triggered = [hit for look in looks for hit in look.triggered]
        left = arc_of(claimed, version=snapshot.version)
        part = left.first((hit.session.portfolio_id for hit in triggered), count_max=PART_HITS_MAX)
        done = _decide(
            [hit for hit in triggered if hit.session.portfolio_id in part],
            view,
            claimed.evaluated_slot,
            to_blame,
            isolating=isolating,
        )
        _mark(looks, view, to_blame, isolating=isolating)
        sessions = len(group) if part == Arc() else sum(key in part for key in group.portfolio_ids)
        run = record_run(
            claimed, snapshot=snapshot, part=part, sessions=sessions, rules=sum(look.rules for look in looks),
            triggered=done.triggered, trades=len(done.trades), facts_at=facts_at, facts_seen=facts_seen,
        )  # fmt: skip
        append(done.events)
        made = f"{len(done.trades)} trades" if done.trades else ""
        reach("evaluation.before_commit", detail=made)
    reach("evaluation.after_commit", detail=made)
    return run, done.trades, to_blame


def _look(
    group: SessionGroup, view: MarketView, *, isolating: bool
) -> tuple[list[Look], dict[uuid.UUID, str]]:
    """What is true of whom, breakers on losses first; and which sessions broke, each with its reason."""
    to_blame: dict[uuid.UUID, str] = {}

    def look(some: SessionGroup) -> Look:
        worth = read_worth(some.portfolio_ids, view, name=None if some.path else some.name)
        _trip_breakers(some, worth)  # before any entry is decided
        return Look(some, worth, *evaluate_rules(some, worth))

    def give_up(alone: SessionGroup, error: Exception) -> None:
        _blame(alone.ids[0], error, to_blame)
        _trip_breakers_alone(alone, view)

    return isolated(group, look, SessionGroup.halves, give_up, isolating=isolating), to_blame


def _decide(
    hits: Sequence[TriggeredRule],
    view: MarketView,
    previous_slot: int,
    to_blame: dict[uuid.UUID, str],
    *,
    isolating: bool,
) -> Evaluated:
    """Decide on what has triggered, portfolio by portfolio in the order of their ids."""
    per_portfolio: dict[uuid.UUID, list[TriggeredRule]] = {}
    for hit in hits:
        per_portfolio.setdefault(hit.session.portfolio_id, []).append(hit)
    in_order = [per_portfolio[key] for key in sorted(per_portfolio)]
    parts = isolated(
        in_order,
        lambda some: execute_triggered_rules(
            list(chain.from_iterable(some)), view, previous_slot=previous_slot
        ),
        lambda some: (some[: len(some) // 2], some[len(some) // 2 :]),
        lambda alone, error: _blame(alone[0][0].session.id, error, to_blame),
        isolating=isolating,
    )
    return Evaluated.sum(parts)


def _mark(
    looks: Sequence[Look], view: MarketView, to_blame: dict[uuid.UUID, str], *, isolating: bool
) -> None:
    """After the portfolios' locks, as a deposit does it, so that the two never wait for each other in a circle."""

    def note(some: SessionGroup, look: Look) -> None:
        worth = look.worth if some is look.group else read_worth(some.portfolio_ids, view)
        marked = mark(worth)
        if not some.path:
            give_back_columns(marked, name=some.name)

    for each in looks:
        isolated(
            each.group,
            partial(note, look=each),
            SessionGroup.halves,
            lambda alone, error: _blame(alone.ids[0], error, to_blame),
            isolating=isolating,
        )


def _blame(session_id: uuid.UUID, error: Exception, to_blame: dict[uuid.UUID, str]) -> None:
    log.error("session_failed", session_id=str(session_id), exc_info=error)
    to_blame[session_id] = f"its evaluation failed: {type(error).__name__}: {error}"[:200]


def _trip_breakers(group: SessionGroup, worth: Worth) -> None:
    """Daily loss and drawdown, whether any rule fires or not."""
    trip_on_losses(worth, session_ids=group.session_ids, market_day=worth.valued.as_of.date())


def _trip_breakers_alone(group: SessionGroup, view: MarketView) -> None:
    """What broke the session's evaluation has undone its breakers with it, but its loss is as real as before."""
    try:
        with transaction.atomic():
            _trip_breakers(group, read_worth(group.portfolio_ids, view))
    except TRANSIENT:
        raise
    except Exception:
        log.exception("breakers_failed", session_id=str(group.ids[0]))


def evaluate_rules(group: SessionGroup, worth: Worth) -> tuple[list[TriggeredRule], int]:
    """All rules of all these sessions as programs over the snapshot: (what is true, number of rules).

    `worth` is of these sessions' portfolios, in their order. It writes nothing and locks nothing. Raises
    TooManyTriggered.
    """
    view = worth.view
    owned = worth.owned_facts(group.ids, [view.universe_of(universe) for universe in group.universes])
    # The revisions were read before the rules are, so a program is never older than its stamp.
    stamp = worth.columns.rules_revision.tobytes() + group.stamp
    rules = 0
    hits: list[Triggered] = []
    for sources, rows in group.by_sources.items():
        name = group.name, sources
        program = known_program(name=name, stamp=stamp)
        if program is None:
            program = compiled_program(_owners_of_rules(rows), name=name, stamp=stamp)
        rules += len(program)
        hits += program.evaluate(view.facts(sources), owned, triggered_max=SESSION_HITS_MAX)
    by_id = {row.id: row for row in group.sessions} if hits else {}
    versions = versions_by_id(key for key, _, _ in hits)  # type: ignore[misc]
    return [
        TriggeredRule(by_id[owner], versions[key], symbol)  # type: ignore[index]
        for key, symbol, owner in hits
    ], rules


def _owners_of_rules(trading_sessions: Sequence[SessionToEvaluate]) -> dict[int, Hashable]:
    """The versions in force that run in these sessions, each with its session."""
    by_portfolio = {row.portfolio_id: row for row in trading_sessions}
    return {
        rule.version_id: by_portfolio[rule.portfolio_id].id
        for rule in rules_in_force(by_portfolio)
        if _runs_in(by_portfolio[rule.portfolio_id], rule)
    }


def _runs_in(trading_session: SessionToEvaluate | TradingSession, version: RuleVersion | InForce) -> bool:
    """A paused session makes no entries; its exits and risk rules go on."""
    return trading_session.status == TradingSession.Status.ACTIVE or version.rule_type != ENTRY


def execute_triggered_rules(
    triggered: Sequence[TriggeredRule], view: MarketView, *, previous_slot: int
) -> Evaluated:
    """Lock the portfolios that triggered, decide on fresh facts, and store decisions, trades and reservations."""
    done = Evaluated(triggered=len(triggered))
    if not triggered:
        return done
    per_session: dict[uuid.UUID, list[TriggeredRule]] = {}
    for hit in triggered:
        per_session.setdefault(hit.session.id, []).append(hit)
    books = open_books({hit.session.portfolio_id for hit in triggered})
    running = load_where(TradingSession, "t.id = ANY(%s)", [list(per_session)])
    fresh = {row.portfolio_id: row for row in running}
    in_force: dict[uuid.UUID, list[RuleVersion]] = {key: [] for key in books.portfolios}
    for version in active_rule_versions(books.portfolios):
        in_force[version.rule.portfolio_id].append(version)
    states = fresh_states(books, sessions=fresh, view=view)
    cooldowns = read_cooldowns(chain.from_iterable(in_force.values()), as_of=view.snapshot.as_of)
    drafts: list[Draft] = []
    trades: list[AutoTrade] = []
    alerts: dict[uuid.UUID, list[AlertSpec]] = {}
    for portfolio_id in sorted(states):
        row = fresh[portfolio_id]
        current = {version.pk for version in in_force[portfolio_id]}
        hits = [
            (hit.version, hit.symbol)
            for hit in per_session[row.id]
            if _runs_in(row, hit.version) and hit.version.pk in current
        ]
        if row.status not in (TradingSession.Status.ACTIVE, TradingSession.Status.PAUSED):
            continue
        decider = Decider(
            states[portfolio_id], row, read_config(row.config), cooldowns, in_force[portfolio_id]
        )  # fmt: skip
        verdicts = decider.decide(hits)
        drafts += verdicts.drafts
        trades += verdicts.trades
        alerts |= verdicts.alerts
        done.events += verdicts.cleared
    recorded = record(drafts, snapshot=view.snapshot, previous_slot=previous_slot)
    store_trades(trades)
    write_cooldowns(cooldowns, by_symbol=view.by_symbol)
    books.save()
    done.trades += trades
    done.events += recorded.events
    done.events += _alert_events(drafts, alerts, recorded.continued, view.snapshot)
    done.events += [
        trade_event(trade, "trade.created", at=trade.market_at, trigger_price=trade.trigger_price)
        for trade in trades
    ]
    return done


def _alert_events(
    drafts: Sequence[Draft],
    alerts: Mapping[uuid.UUID, Sequence[AlertSpec]],
    continued: Collection[uuid.UUID],
    snapshot: MarketSnapshot,
) -> list[Event]:
    """One event for each alert that a rule asked for, but for those that only go on from the last evaluation."""
    return [
        Event(
            stream=draft.portfolio_id, kind="rule.alerted", at=snapshot.as_of, alert=spec,
            payload={"rule_id": draft.rule_id, "symbol": draft.symbol, "message": spec.message},
        )
        for draft in drafts
        if draft.id not in continued
        for spec in alerts.get(draft.id, ())
    ]  # fmt: skip
