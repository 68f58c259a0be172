"""The hash chain of one stream: whoever edits, removes, reorders or cuts off entries is found out.

Each entry's hash covers the hash before it and the canonical text of the entry. The payload takes
part as the very text that is stored, so that not even its spacing can change unnoticed. The
stream's head remembers the last `seq` and hash, so that a missing end is noticed too.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from foundation.core.canonical import json_string, utc_text, uuid_text

GENESIS_HASH = "0" * 64
"""What stands before the first entry of every stream."""


@dataclass(frozen=True)
class Link:
    """One stored entry, as far as the chain is concerned; `payload` is the stored text."""

    seq: int
    kind: str
    at: datetime
    payload: str
    recorded_at: datetime
    prev_hash: str
    hash: str


@dataclass(frozen=True)
class Break:
    """The first place where a stream is not what was written; `seq` is the entry that is wrong or missing."""

    seq: int
    reason: str


def entry_text(
    *, stream: UUID, seq: int, kind: str, at: datetime, payload: str, recorded_at: datetime
) -> str:
    """The canonical JSON of an entry, with the payload's stored text in its place."""
    return (
        f'{{"at":"{utc_text(at)}","kind":{json_string(kind)},"payload":{payload},'
        f'"recorded_at":"{utc_text(recorded_at)}","seq":{seq},"stream":"{uuid_text(stream)}"}}'
    )


def entry_hash(
    prev_hash: str, *, stream: UUID, seq: int, kind: str, at: datetime, payload: str, recorded_at: datetime
) -> str:
    """64 hexadecimal digits: SHA-256 over the previous hash, a line break and the entry's text."""
    text = entry_text(stream=stream, seq=seq, kind=kind, at=at, payload=payload, recorded_at=recorded_at)
    return hashlib.sha256(f"{prev_hash}\n{text}".encode()).hexdigest()


def verify(stream: UUID, links: Iterable[Link], *, head_seq: int, head_hash: str) -> Break | None:
    """Walk a stream's entries, ordered by `seq`, up to its head; the first break, or None.

    Reads each link once, so a generator over a table of any size will do.
    """
    seq, previous = 0, GENESIS_HASH
    for link in links:
        seq += 1
        if link.seq != seq:
            return Break(seq, f"entry {seq} is missing: the next one is {link.seq}")
        if link.seq > head_seq:
            return Break(seq, f"entry {seq} lies beyond the head, which is {head_seq}")
        if link.prev_hash != previous:
            return Break(seq, f"entry {seq} does not follow the entry before it")
        expected = entry_hash(
            previous,
            stream=stream,
            seq=seq,
            kind=link.kind,
            at=link.at,
            payload=link.payload,
            recorded_at=link.recorded_at,
        )
        if link.hash != expected:
            return Break(seq, f"entry {seq} was changed: its content does not give its hash")
        previous = link.hash
    if seq != head_seq:
        return Break(seq + 1, f"the end is cut off: entries {seq + 1} to {head_seq} are missing")
    if previous != head_hash:
        return Break(seq, f"entry {seq} is not the one that the head remembers")
    return None
