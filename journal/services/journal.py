"""The only writer of the journal.

`append` is the last act of the caller's transaction: what is done and the record of it commit or
roll back together, and a stream's row stays locked for as short as can be. A roll-back leaves no gap,
for `seq` is counted on the locked row, not by a sequence.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string

from foundation.arrays import array_text
from foundation.copying import copy_values
from foundation.core.canonical import canonical_json
from foundation.core.quick import quick_init
from foundation.loading import carried_out, selected
from foundation.wakeups import wake_on_commit
from journal.core.chain import entry_hash
from journal.core.events import Event
from journal.core.kinds import kind_of
from journal.models import Alert, AlertDelivery, Entry
from journal.services.hints import send_hints

DELIVER_ALERTS = "journal.tasks.deliver_alerts"
EVENTS_MAX = 50_000
INSERT_BATCH_ROWS = 5_000


class OutsideTransaction(RuntimeError):
    """journal.append was called outside a transaction: the record could commit without the deed."""


@quick_init
@dataclass(frozen=True)
class Recorded:
    """Where an event was put."""

    stream: UUID
    seq: int


class _NewEntry(NamedTuple):
    """A row of the journal, in the order of its attributes' names."""

    stream_id: UUID
    seq: int
    kind: str
    at: datetime
    payload: str
    prev_hash: str
    hash: str
    recorded_at: datetime


_COLUMNS = _NewEntry._fields


@dataclass
class _Head:
    seq: int
    hash: str


def append(events: Sequence[Event]) -> list[Recorded]:
    """Add events to their streams, in the given order; call it once in a transaction, and last.

    Locks the streams in the order of their ids, so that two callers never wait for each other in a
    circle; other locks come before it (see the lock order in the architecture). Returns one
    `Recorded` for each event. After the commit it sends hints to the WebSockets and, if an event
    carries an alert, wakes the delivery; neither can fail or delay the caller.

    Raises OutsideTransaction, UnknownKind for a kind that no room has declared, and ValueError for a payload that
    has no canonical JSON (NaN).
    """
    if not connection.in_atomic_block:
        raise OutsideTransaction("journal.append needs an open transaction.atomic() block")
    if not events:
        return []
    assert len(events) <= EVENTS_MAX, "a transaction of this size must be cut in pieces"
    for kind in {event.kind for event in events}:
        kind_of(kind)
    payloads = [canonical_json(event.payload) for event in events]
    if settings.JOURNAL_CHECK_PAYLOADS:
        check: Callable[[Event, str], None] = import_string(settings.JOURNAL_CHECK_PAYLOADS)
        for event, payload in zip(events, payloads, strict=True):
            check(event, payload)
    heads, recorded_at = _lock_heads({event.stream for event in events})
    entries = [
        _next_entry(heads[event.stream], event, payload, recorded_at)
        for event, payload in zip(events, payloads, strict=True)
    ]
    copy_values(Entry, _COLUMNS, entries)
    _store_heads(heads)
    if _raise_alerts(events, entries):
        wake_on_commit(DELIVER_ALERTS, queue="notification")
    hints = {stream: head.seq for stream, head in heads.items()}
    transaction.on_commit(partial(send_hints, hints), robust=True)
    return [Recorded(entry.stream_id, entry.seq) for entry in entries]


def _lock_heads(streams: Iterable[UUID]) -> tuple[dict[UUID, _Head], datetime]:
    """The heads of these streams, locked, and the time of the lock.

    All missing rows are made before any existing one is locked: who waits for a row that another
    transaction is making holds no lock on an existing stream, so there is no circle.
    """
    wanted = set(streams)
    ids = array_text(wanted)
    make = (
        "INSERT INTO journal_streams (id) SELECT wanted.id FROM unnest(%s::uuid[]) AS wanted(id) "
        "WHERE NOT EXISTS (SELECT 1 FROM journal_streams s WHERE s.id = wanted.id) "
        "ORDER BY wanted.id ON CONFLICT DO NOTHING"
    )
    lock = (
        "SELECT id, head_seq, head_hash FROM journal_streams WHERE id = ANY(%s::uuid[]) "
        "ORDER BY id FOR NO KEY UPDATE"
    )
    _, locked, ((recorded_at,),) = carried_out(
        [(make, [ids]), (lock, [ids]), ("SELECT clock_timestamp()", ())]
    )
    heads = {stream: _Head(seq, hash_) for stream, seq, hash_ in locked}
    assert len(heads) == len(wanted), "a stream's row is never deleted"
    return heads, recorded_at


def _next_entry(head: _Head, event: Event, payload: str, recorded_at: datetime) -> _NewEntry:
    previous, head.seq = head.hash, head.seq + 1
    head.hash = entry_hash(
        previous,
        stream=event.stream,
        seq=head.seq,
        kind=event.kind,
        at=event.at,
        payload=payload,
        recorded_at=recorded_at,
    )
    return _NewEntry(event.stream, head.seq, event.kind, event.at, payload, previous, head.hash, recorded_at)


def _store_heads(heads: dict[UUID, _Head]) -> None:
    selected(
        "UPDATE journal_streams AS s SET head_seq = h.seq, head_hash = h.hash "
        "FROM unnest(%s::uuid[], %s::bigint[], %s::text[]) AS h(id, seq, hash) WHERE s.id = h.id",
        [
            array_text(heads),
            array_text([head.seq for head in heads.values()]),
            array_text([head.hash for head in heads.values()]),
        ],
    )


def _raise_alerts(events: Sequence[Event], entries: Sequence[_NewEntry]) -> bool:
    """Write the alerts and their deliveries; whether any is to be delivered."""
    alerts = [
        (
            event.alert.delivered,
            Alert(
                stream_id=entry.stream_id,
                seq=entry.seq,
                kind=event.kind,
                severity=event.alert.severity,
                message=event.alert.message,
            ),
        )
        for event, entry in zip(events, entries, strict=True)
        if event.alert is not None
    ]
    Alert.objects.bulk_create([alert for _, alert in alerts], batch_size=INSERT_BATCH_ROWS)
    channels = [AlertDelivery.Channel.LOG]
    if settings.ALERT_WEBHOOK_URL:
        channels.append(AlertDelivery.Channel.WEBHOOK)
    deliveries = [
        AlertDelivery(alert=alert, channel=channel)
        for delivered, alert in alerts
        if delivered
        for channel in channels
    ]
    AlertDelivery.objects.bulk_create(deliveries, batch_size=INSERT_BATCH_ROWS)
    return bool(deliveries)
