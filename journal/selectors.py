"""Reads of the journal, and the two questions that are asked upstairs: who may see, and act on, which stream."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import connection
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject
from django.utils.module_loading import import_string

from foundation.core.canonical import canonical_json
from journal.core.chain import Break, Link, verify
from journal.models import Alert, AlertDelivery, Entry, Stream

PAGE_ROWS = 500
PAGE_BYTES_MAX = 262_144
_CHAIN_COLUMNS = ("seq", "kind", "at", "payload", "recorded_at", "prev_hash", "hash")


@dataclass(frozen=True, slots=True)
class Rendered:
    """One event as clients get it: the JSON text of {stream, seq, kind, at, payload, alert?}."""

    seq: int
    text: str


def visible_streams(user: AbstractBaseUser | AnonymousUser) -> frozenset[UUID]:
    """The ids of the streams that this user may see, as settings.JOURNAL_VISIBLE_STREAMS says."""
    return visible_streams_of([user])[user.pk]


def visible_streams_of(users: Collection[AbstractBaseUser | AnonymousUser]) -> dict[Any, frozenset[UUID]]:
    """The same for many users, by their keys."""
    ask: Callable[[Any], Mapping[Any, Iterable[UUID]]] = import_string(settings.JOURNAL_VISIBLE_STREAMS)
    return {key: frozenset(streams) for key, streams in ask(users).items()}


def actionable_streams(user: AbstractBaseUser | AnonymousUser) -> frozenset[UUID]:
    """The streams on whose alerts this user may act, as settings.JOURNAL_ACTIONABLE_STREAMS says."""
    ask: Callable[[Any], Iterable[UUID]] = import_string(settings.JOURNAL_ACTIONABLE_STREAMS)
    return frozenset(ask(user))


def head(stream: UUID) -> int:
    """The last `seq` of a stream; 0 while it is empty."""
    return heads([stream])[stream]


def heads(streams: Sequence[UUID]) -> dict[UUID, int]:
    """The last `seq` of each of these streams; 0 for one without entries."""
    known = dict(Stream.objects.filter(pk__in=streams).values_list("pk", "head_seq"))
    return {stream: known.get(stream, 0) for stream in streams}


def born_after(streams: Iterable[UUID], moment: datetime) -> frozenset[UUID]:
    """Those of these streams that got their first entry after `moment` (database time)."""
    born = Stream.objects.filter(pk__in=list(streams), created_at__gt=moment)
    return frozenset(born.values_list("pk", flat=True))


def entries_after(stream: UUID, seq: int, limit: int = PAGE_ROWS) -> list[Entry]:
    """Up to `limit` entries that follow `seq`, in order and without a gap."""
    return list(Entry.objects.filter(stream_id=stream, seq__gt=seq).order_by("seq")[:limit])


def newest_about(
    stream: UUID, kinds: Sequence[str], name: str, value: UUID | str, *, until: datetime
) -> tuple[str, dict[str, Any]] | None:
    """(kind, payload) of the newest entry of these kinds whose payload has this id under this name, of those recorded
    by `until` (database time)."""
    named = f"{canonical_json(name)}:{canonical_json(value)}"
    with connection.cursor() as cursor:
        # Materialised: a stream has few entries of such kinds, and is not to be walked backwards for the newest.
        cursor.execute(
            "WITH named AS MATERIALIZED (SELECT seq, kind, payload FROM journal_entries WHERE stream_id = %s "
            "AND kind = ANY(%s) AND recorded_at <= %s AND strpos(payload, %s) > 0) "
            "SELECT kind, payload FROM named ORDER BY seq DESC LIMIT 1",
            [stream, list(kinds), until, named],
        )
        found = cursor.fetchone()
    return None if found is None else (found[0], json.loads(found[1]))


def rendered_after(positions: Mapping[UUID, int], limit: int = PAGE_ROWS) -> dict[UUID, list[Rendered]]:
    """For each stream, up to `limit` events that follow its position, in one query.

    Fewer where they are large: a page ends with the event that fills PAGE_BYTES_MAX, for every client that replays
    holds one.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT w.stream, e.seq, e.kind, e.at, e.payload, ("
            "SELECT json_build_object('id', a.id, 'severity', a.severity, 'message', a.message)::text "
            "FROM journal_alerts AS a WHERE a.stream_id = w.stream AND a.seq = e.seq) "
            "FROM unnest(%s::uuid[], %s::bigint[]) AS w(stream, seq) CROSS JOIN LATERAL ("
            "SELECT seq, kind, at, payload, sum(octet_length(payload)) OVER (ORDER BY seq) "
            "- octet_length(payload) AS before FROM ("
            "SELECT seq, kind, at, payload FROM journal_entries "
            "WHERE stream_id = w.stream AND seq > w.seq ORDER BY seq LIMIT %s) AS p) AS e "
            "WHERE e.before < %s ORDER BY w.stream, e.seq",
            [list(positions), list(positions.values()), limit, PAGE_BYTES_MAX],
        )
        pages: dict[UUID, list[Rendered]] = {stream: [] for stream in positions}
        for stream, seq, kind, at, payload, alert in cursor.fetchall():
            raised = f',"alert":{alert}' if alert else ""
            text = (
                f'{{"stream":"{stream}","seq":{seq},"kind":{canonical_json(kind)},'
                f'"at":{canonical_json(at)},"payload":{payload}{raised}}}'
            )
            pages[stream].append(Rendered(seq, text))
    return pages


def visible_entries(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Entry]:
    return Entry.objects.filter(stream_id__in=visible_streams(user))


def with_alerts(entries: QuerySet[Entry]) -> QuerySet[Entry]:
    """Each with `alert`, the one that it raised as {id, severity, message}, or None."""
    raised = Alert.objects.filter(stream_id=OuterRef("stream_id"), seq=OuterRef("seq"))
    told = JSONObject(id="id", severity="severity", message="message")
    return entries.annotate(alert=Subquery(raised.values(told=told)))


def visible_alerts(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Alert]:
    return Alert.objects.filter(stream_id__in=visible_streams(user)).select_related("acknowledged_by")


def undelivered_alerts(*, state: str) -> dict[str, int]:
    """By channel, the deliveries in this state (pending, failed) of alerts that nobody has acknowledged."""
    rows = AlertDelivery.objects.filter(state=state, alert__acknowledged_at=None).order_by()
    return dict(rows.values_list("channel").annotate(count=Count("id")))


def verify_stream(stream: UUID) -> tuple[int, Break | None]:
    """Walk one chain; how many entries its head counts, and the first break if there is one.

    The stream may grow meanwhile: what is verified ends at the head as read at the beginning.
    """
    row = Stream.objects.get(pk=stream)
    broken = verify(stream, _links(row), head_seq=row.head_seq, head_hash=row.head_hash)
    if broken is None and _lies_beyond_head(stream):
        broken = Break(row.head_seq + 1, "there are entries beyond the head")
    return row.head_seq, broken


def _links(stream: Stream) -> Iterator[Link]:
    """The chain's entries by pages, so that no long transaction and no large result is needed."""
    seq = 0
    while True:
        page = Entry.objects.filter(stream=stream, seq__gt=seq, seq__lte=stream.head_seq).order_by("seq")
        rows = list(page.values_list(*_CHAIN_COLUMNS)[:PAGE_ROWS])
        for row in rows:
            yield Link(**dict(zip(_CHAIN_COLUMNS, row, strict=True)))
        if len(rows) < PAGE_ROWS:
            return
        seq = rows[-1][0]


def _lies_beyond_head(stream: UUID) -> bool:
    """One statement, hence one moment: an append in between is not taken for a forgery."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM journal_entries e WHERE e.stream_id = s.id AND e.seq > s.head_seq) "
            "FROM journal_streams s WHERE s.id = %s",
            [stream],
        )
        (beyond,) = cursor.fetchone()
    return bool(beyond)
