"""Whoever edits, deletes, reorders or cuts off entries of a stream is found out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from journal.core.chain import GENESIS_HASH, Link, entry_hash, entry_text, verify

STREAM = UUID("11111111-1111-1111-1111-111111111111")
START = datetime(2026, 11, 2, 14, 30, tzinfo=UTC)


def chain(length: int) -> list[Link]:
    links: list[Link] = []
    previous = GENESIS_HASH
    for seq in range(1, length + 1):
        parts = {
            "seq": seq,
            "kind": "trade.filled",
            "at": START + timedelta(minutes=seq),
            "payload": f'{{"quantity":"{seq}"}}',
            "recorded_at": START + timedelta(minutes=seq, microseconds=7),
        }
        digest = entry_hash(previous, stream=STREAM, **parts)
        links.append(Link(prev_hash=previous, hash=digest, **parts))
        previous = digest
    return links


def check(links: list[Link], *, head: Link | None = None):
    last = head if head is not None else links[-1]
    return verify(STREAM, iter(links), head_seq=last.seq, head_hash=last.hash)


def rehashed(links: list[Link], first: int) -> list[Link]:
    """The chain as a forger would mend it, from index `first` on."""
    links = list(links)
    previous = links[first - 1].hash if first else GENESIS_HASH
    for index in range(first, len(links)):
        link = links[index]
        parts = {name: getattr(link, name) for name in ("seq", "kind", "at", "payload", "recorded_at")}
        links[index] = replace(link, prev_hash=previous, hash=entry_hash(previous, stream=STREAM, **parts))
        previous = links[index].hash
    return links


def test_an_untouched_chain_holds():
    assert check(chain(5)) is None


def test_an_empty_stream_holds():
    assert verify(STREAM, [], head_seq=0, head_hash=GENESIS_HASH) is None


@pytest.mark.parametrize(
    "edit",
    [
        {"payload": '{"quantity":"300"}'},
        {"payload": '{"quantity": "3"}'},  # the same value: but it is not the text that was written
        {"kind": "trade.cancelled"},
        {"at": START},
        {"recorded_at": START},
    ],
)
def test_an_edited_entry_is_named(edit):
    links = chain(5)
    links[2] = replace(links[2], **edit)
    broken = check(links)
    assert broken is not None
    assert broken.seq == 3
    assert "changed" in broken.reason


def test_an_edited_entry_with_a_new_hash_of_its_own_is_found_at_its_successor():
    links = chain(5)
    links[2] = replace(links[2], payload='{"quantity":"300"}')
    forged = rehashed(links, 2)[:3] + links[3:]
    broken = check(forged)
    assert broken is not None
    assert broken.seq == 4


def test_a_forger_who_mends_the_whole_rest_is_found_at_the_head():
    links = chain(5)
    head = links[-1]
    links[2] = replace(links[2], payload='{"quantity":"300"}')
    broken = check(rehashed(links, 2), head=head)
    assert broken is not None
    assert "head" in broken.reason


@pytest.mark.parametrize("index", [0, 2])
def test_a_deleted_entry_is_named(index):
    links = chain(5)
    gone = links.pop(index)
    broken = check(links)
    assert broken is not None
    assert broken.seq == gone.seq
    assert "missing" in broken.reason


def test_reordered_entries_are_found():
    links = chain(5)
    links[1], links[2] = replace(links[2], seq=2), replace(links[1], seq=3)
    broken = check(links)
    assert broken is not None
    assert broken.seq == 2


def test_a_cut_off_end_is_named():
    links = chain(5)
    broken = check(links[:3], head=links[-1])
    assert broken is not None
    assert broken.seq == 4
    assert "cut off" in broken.reason


def test_an_entry_of_another_stream_is_found():
    other = UUID("22222222-2222-2222-2222-222222222222")
    links = chain(2)
    assert verify(other, links, head_seq=2, head_hash=links[-1].hash) is not None


def test_an_entry_beyond_the_head_is_found():
    links = chain(3)
    broken = check(links, head=links[1])
    assert broken is not None
    assert broken.seq == 3


def test_the_text_of_an_entry_is_canonical_json():
    text = entry_text(
        stream=STREAM, seq=1, kind="trade.filled", at=START, payload='{"a":1}', recorded_at=START
    )
    assert text == (
        '{"at":"2026-11-02T14:30:00Z","kind":"trade.filled","payload":{"a":1},'
        '"recorded_at":"2026-11-02T14:30:00Z","seq":1,"stream":"11111111-1111-1111-1111-111111111111"}'
    )
