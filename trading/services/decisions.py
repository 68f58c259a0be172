"""The record of every decision. One equal to its predecessor raises a counter instead of adding a row, and gives it
its own reasons: whoever looks asks why it is so now, and for how long."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from foundation.arrays import array_text
from foundation.copying import StoredJson, copy_values
from foundation.core.canonical import canonical_json
from foundation.ids import id_in_order
from foundation.loading import selected
from journal.core.events import Event
from market.core.snapshot import MarketSnapshot
from trading.models import Decision

Outcome = Decision.Outcome
# A rule that also alerts, blocks or halts has a row of decisions of its own for each of these; every other
# outcome is the answer to its wish to trade, or to its firing as such.
_APART = (Outcome.ALERTED, Outcome.BLOCKING, Outcome.HALTED)
_Key = tuple[uuid.UUID, uuid.UUID | None, int | None, str]


@dataclass
class Draft:
    """A decision to be recorded. instrument_id None: about the portfolio as a whole.

    own_row: something was done, so it repeats no decision before it, however equal; as every trade.
    """

    portfolio_id: uuid.UUID
    session_id: uuid.UUID | None
    rule_id: uuid.UUID | None
    rule_version_id: int | None
    instrument_id: int | None
    symbol: str | None
    outcome: str
    explanation: dict[str, Any]
    code: str = ""
    detail: str = ""
    sizing: dict[str, Any] = field(default_factory=dict)
    checks: Sequence[Any] | StoredJson = ()
    outranked_by: dict[str, Any] | None = None
    own_row: bool = False
    id: uuid.UUID = field(default_factory=id_in_order)

    def key(self) -> _Key:
        """Whose predecessor it has: the session's, or of what no session decided the portfolio's."""
        apart = str(self.outcome) if self.outcome in _APART else ""
        return (self.session_id or self.portfolio_id, self.rule_id, self.instrument_id, apart)


def _stored(value: Any) -> StoredJson:
    """As it is stored: Decimals as text, never as floats."""
    return value if isinstance(value, StoredJson) else StoredJson(canonical_json(value))


@dataclass(frozen=True)
class _Predecessor:
    id: uuid.UUID
    rule_version_id: int | None
    outcome: str
    code: str
    last_slot: int
    detail: str


# As the indexes `decision_predecessor` and `decision_predecessor_outside` have them: a NULL is looked up like any
# other value, so that each key is one probe and nothing is sorted. What a person asked for by hand is nobody's
# predecessor: a flatten that is refused after it is told all the same.
_LAST_OF = """
    SELECT k.owner_id, k.rule_id, k.instrument_id, k.apart,
           d.id, d.rule_version_id, d.outcome, d.code, d.last_slot, d.detail
    FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::text[]) AS k (owner_id, rule_id, instrument_id, apart)
    CROSS JOIN LATERAL (
        SELECT id, rule_version_id, outcome, code, last_slot, detail FROM trading_decision AS d
        WHERE {owned}
          AND coalesce(d.rule_id, '00000000-0000-0000-0000-000000000000'::uuid)
            = coalesce(k.rule_id, '00000000-0000-0000-0000-000000000000'::uuid)
          AND coalesce(d.instrument_id, 0::bigint) = coalesce(k.instrument_id, 0::bigint)
          AND CASE WHEN d.outcome IN ('alerted', 'blocking', 'halted') THEN d.outcome ELSE '' END = k.apart
          AND d.sizing ->> 'method' IS DISTINCT FROM 'by_hand'
        ORDER BY d.last_slot DESC, d.created_at DESC LIMIT 1
    ) AS d
"""
_PREDECESSORS = _LAST_OF.format(owned="d.session_id = k.owner_id")
_PREDECESSORS_OUTSIDE = _LAST_OF.format(owned="d.session_id IS NULL AND d.portfolio_id = k.owner_id")


def _predecessors(drafts: Sequence[Draft]) -> dict[_Key, _Predecessor]:
    """The last decision of the session on each draft's rule and symbol: one probe of an index for each."""
    inside = {draft.key() for draft in drafts if draft.session_id is not None}
    outside = {draft.key() for draft in drafts if draft.session_id is None}
    found: dict[_Key, _Predecessor] = {}
    for query, wanted in ((_PREDECESSORS, inside), (_PREDECESSORS_OUTSIDE, outside)):
        keys = list(wanted)
        if keys:
            owners, rules, instruments, apart = zip(*keys, strict=True)
            rows = selected(
                query, [array_text(owners), array_text(rules), array_text(instruments), list(apart)]
            )
            found |= {row[:4]: _Predecessor(*row[4:]) for row in rows}
    return found


def _equal(draft: Draft, previous: _Predecessor) -> bool:
    if draft.own_row or draft.outcome == Outcome.TRADED:
        return False
    if draft.outcome == Outcome.RESTING and draft.detail != previous.detail:
        return False  # a rest until another time is another rest
    return (previous.rule_version_id, previous.outcome, previous.code) == (
        draft.rule_version_id,
        draft.outcome,
        draft.code,
    )


@dataclass(frozen=True)
class Recorded:
    """rows: the drafts that became decisions; events: one for each of them; continued: drafts that only
    repeat the decision of the evaluation just before (an alert is not given twice for these)."""

    rows: set[uuid.UUID]
    events: list[Event]
    continued: set[uuid.UUID]


def record(drafts: Sequence[Draft], *, snapshot: MarketSnapshot, previous_slot: int) -> Recorded:
    """Store decisions; `previous_slot` is the version that was evaluated before this one."""
    known = _predecessors(drafts) if drafts else {}
    new: list[Draft] = []
    repeated: dict[uuid.UUID, Draft] = {}
    continued: set[uuid.UUID] = set()
    events: list[Event] = []
    for draft in drafts:
        previous = known.get(draft.key())
        if previous is not None and _equal(draft, previous):
            repeated[previous.id] = draft
            if previous.last_slot >= previous_slot:
                continued.add(draft.id)
            continue
        new.append(draft)
        payload = {
            "decision_id": draft.id, "session_id": draft.session_id, "rule_id": draft.rule_id, "symbol": draft.symbol,
            "outcome": draft.outcome, "code": draft.code, "detail": draft.detail,
        }  # fmt: skip
        events.append(
            Event(stream=draft.portfolio_id, kind="decision.made", at=snapshot.as_of, payload=payload)
        )
    copy_values(Decision, _COLUMNS, [_values(draft, snapshot) for draft in new])
    _repeat(repeated, snapshot)
    return Recorded(rows={draft.id for draft in new}, events=events, continued=continued)


# With the reasons of the newest; when it was first so stays.
_REPEAT = """
    UPDATE trading_decision AS d SET repeated = d.repeated + 1, last_slot = %s, last_market_at = %s,
        detail = n.detail, explanation = n.explanation::jsonb, sizing = n.sizing::jsonb, checks = n.checks::jsonb,
        outranked_by = n.outranked_by::jsonb
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
        AS n (id, detail, explanation, sizing, checks, outranked_by)
    WHERE d.id = n.id
"""


def _repeat(repeated: Mapping[uuid.UUID, Draft], snapshot: MarketSnapshot) -> None:
    if not repeated:
        return
    reasons = zip(*map(_reasons, repeated.values()), strict=True)
    columns = [array_text(repeated), *map(array_text, reasons)]
    selected(_REPEAT, [snapshot.version, snapshot.as_of, *columns])


_COLUMNS = (
    "id", "portfolio_id", "session_id", "rule_id", "rule_version_id", "instrument_id", "slot", "market_at", "outcome",
    "code", "detail", "explanation", "sizing", "checks", "outranked_by", "repeated", "last_slot", "last_market_at",
)  # fmt: skip


def _reasons(draft: Draft) -> tuple[Any, ...]:
    """Why, in the order of the columns `detail` to `outranked_by`."""
    outranked = _stored(draft.outranked_by) if draft.outranked_by else None
    return (draft.detail, _stored(draft.explanation), _stored(draft.sizing), _stored(draft.checks), outranked)


def _values(draft: Draft, snapshot: MarketSnapshot) -> tuple[Any, ...]:
    """In the order of `_COLUMNS`."""
    return (
        draft.id, draft.portfolio_id, draft.session_id, draft.rule_id, draft.rule_version_id, draft.instrument_id,
        snapshot.version, snapshot.as_of, str(draft.outcome), draft.code, *_reasons(draft), 0, snapshot.version,
        snapshot.as_of,
    )  # fmt: skip
