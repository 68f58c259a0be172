"""The journal records what commits, in order, without a gap, for ever."""

import asyncio
import os
import random
import socket
import threading
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
import pytest
from channels.layers import get_channel_layer
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext

from journal.core.events import AlertSpec, Event
from journal.models import Alert, AlertDelivery, Entry, Stream
from journal.selectors import entries_after, head, verify_stream
from journal.services import hints
from journal.services.hints import group_of
from journal.services.journal import OutsideTransaction, append
from tests.harness.databases import with_database
from tests.integration.journal.conftest import record

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("database")]

AT = datetime(2026, 11, 2, 14, 30, tzinfo=UTC)


def event(stream: UUID, kind: str = "test.happened", **payload) -> Event:
    return Event(stream, kind, AT, payload)


def in_threads(works) -> None:
    """Run each with a connection of its own; raise what they raised."""
    failures = []

    def run(work):
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_an_event_is_stored_as_canonical_text():
    stream = uuid4()
    with transaction.atomic():
        recorded = append([event(stream, quantity=Decimal("10.00"), at=AT, symbol="ÄBC")])
    assert [(one.stream, one.seq) for one in recorded] == [(stream, 1)]
    (entry,) = entries_after(stream, 0)
    assert entry.payload == '{"at":"2026-11-02T14:30:00Z","quantity":"10","symbol":"ÄBC"}'
    assert entry.at == AT
    assert verify_stream(stream) == (1, None)


def test_it_refuses_to_be_called_outside_a_transaction():
    with pytest.raises(OutsideTransaction):
        append([event(uuid4())])


def test_streams_count_by_themselves_and_keep_the_callers_order():
    first, second = uuid4(), uuid4()
    with transaction.atomic():
        recorded = append([event(first), event(second), event(first), event(second)])
    assert [(one.stream, one.seq) for one in recorded] == [(first, 1), (second, 1), (first, 2), (second, 2)]


def test_a_roll_back_leaves_no_gap():
    stream = uuid4()
    record(stream, count=2)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        append([event(stream), event(stream)])
        _ = 1 / 0
    record(stream)
    assert [entry.seq for entry in entries_after(stream, 0)] == [1, 2, 3]
    assert verify_stream(stream) == (3, None)


def test_a_payload_without_canonical_form_is_refused_before_anything_is_locked():
    stream = uuid4()
    with pytest.raises(ValueError, match="not JSON compliant"), transaction.atomic():
        append([event(stream, price=float("nan"))])
    assert not Stream.objects.filter(pk=stream).exists()


def test_concurrent_writers_leave_no_gap_and_never_deadlock():
    """Eight writers, the same new streams, in any order: the first to come makes each stream."""
    streams = [uuid4() for _ in range(5)]

    def write(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(15):
            chosen = dice.sample(streams, k=dice.randint(1, 5))
            with transaction.atomic():
                append([event(stream, writer=seed) for stream in chosen])

    in_threads([lambda seed=seed: write(seed) for seed in range(8)])
    for stream in streams:
        entries = entries_after(stream, 0, 1000)
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        assert verify_stream(stream) == (len(entries), None)
    assert (
        sum(head(stream) for stream in streams) == Entry.objects.filter(stream__in=streams).count() > 8 * 15
    )


def test_many_events_cost_few_queries():
    streams = [uuid4() for _ in range(200)]
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        append([event(stream) for stream in streams for _ in range(5)])
    written = [query for query in queries if "journal_" in query["sql"]]
    assert len(written) <= 4
    assert Entry.objects.filter(stream__in=streams).count() == 1000


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal_entries SET payload = '{}'",
        "DELETE FROM journal_entries",
        "TRUNCATE journal_entries",
    ],
)
def test_the_application_may_only_add(statement):
    record(uuid4())
    with pytest.raises(ProgrammingError, match="permission denied"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_an_alert_comes_with_its_deliveries(settings):
    settings.ALERT_WEBHOOK_URL = "http://127.0.0.1:9/alerts"
    stream = uuid4()
    record(stream, alert=AlertSpec("critical", "the feed is silent"), kind="test.alerted")
    alert = Alert.objects.get(stream=stream)
    assert (alert.seq, alert.severity, alert.message) == (1, "critical", "the feed is silent")
    channels = AlertDelivery.objects.filter(alert=alert, state="pending").values_list("channel", flat=True)
    assert sorted(channels) == ["log", "webhook"]


def test_a_hint_reaches_any_consumer_of_the_channel_layer():
    """Published synchronously, yet in the very form in which the layer's group_send would."""
    stream = uuid4()

    async def follow() -> dict:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(group_of(stream), channel)
        await asyncio.to_thread(hints.send_hints, {stream: 7})
        async with asyncio.timeout(5):
            message = await layer.receive(channel)
        await layer.flush()
        return message

    assert asyncio.run(follow()) == {"type": "journal.hint", "stream": str(stream), "seq": 7}


def test_a_black_holed_valkey_slows_no_commit(settings, monkeypatch):
    """A server that takes the connection and never answers costs its timeout once in a while."""
    with socket.create_server(("127.0.0.1", 0)) as hole:
        settings.REDIS_URL = f"redis://127.0.0.1:{hole.getsockname()[1]}/0"
        monkeypatch.setattr(hints, "_publisher", hints._Publisher())
        stream = uuid4()
        for _ in range(30):
            record(stream)  # without a timeout it would wait for ever, and without a pause 30 timeouts long
            assert hints._publisher._paused_until > 0
    assert head(stream) == 30


# What only the owner could do, verify_journal finds -------------------------------------------------


def as_owner(statement: str, *arguments) -> None:
    url = with_database(os.environ["DATABASE_OWNER_URL"], connection.settings_dict["NAME"])
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(statement, arguments)


@pytest.fixture
def tampered_stream():
    stream = uuid4()
    record(stream, count=4)
    yield stream
    as_owner("DELETE FROM journal_entries WHERE stream_id = %s", stream)
    as_owner("DELETE FROM journal_streams WHERE id = %s", stream)


def test_verify_journal_is_content_with_what_was_written(capsys):
    stream = uuid4()
    record(stream, count=1200)
    call_command("verify_journal", "--stream", str(stream))
    assert "1 streams, 1200 entries" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("forgery", "seq"),
    [
        (["UPDATE journal_entries SET payload = '{}' WHERE stream_id = %s AND seq = 2"], 2),
        (["DELETE FROM journal_entries WHERE stream_id = %s AND seq = 2"], 2),
        (["DELETE FROM journal_entries WHERE stream_id = %s AND seq = 4"], 4),  # cut off
        (
            [  # reordered: entries 2 and 3 change places
                "UPDATE journal_entries SET seq = 99 WHERE stream_id = %s AND seq = 2",
                "UPDATE journal_entries SET seq = 2 WHERE stream_id = %s AND seq = 3",
                "UPDATE journal_entries SET seq = 3 WHERE stream_id = %s AND seq = 99",
            ],
            2,
        ),
        (["UPDATE journal_streams SET head_seq = 3 WHERE id = %s"], 3),
    ],
)
def test_verify_journal_names_a_forgery(tampered_stream, forgery, seq, capsys):
    for statement in forgery:
        as_owner(statement, tampered_stream)
    with pytest.raises(CommandError) as failure:
        call_command("verify_journal")
    assert failure.value.returncode == 1
    told = capsys.readouterr().err
    assert f"stream {tampered_stream}: " in told
    assert f" {seq} " in told
