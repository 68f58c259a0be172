"""What a process keeps of a stream: a bounded tail, in order, without a gap."""

from uuid import UUID

import pytest

from journal.selectors import Rendered
from journal.stream import hub
from journal.stream.hub import Topic

STREAM = UUID("11111111-1111-1111-1111-111111111111")


class Reader:
    def __init__(self, position: int) -> None:
        self.position = position
        self.flags = 0

    def flag(self, stream: UUID) -> None:
        self.flags += 1

    def position_of(self, stream: UUID) -> int:
        return self.position


def events(first: int, last: int) -> list[Rendered]:
    return [Rendered(seq, f"event {seq}") for seq in range(first, last + 1)]


def topic_at(seq: int) -> Topic:
    topic = Topic(STREAM)
    topic.begin_at(seq)
    return topic


def test_the_tail_serves_whoever_is_near():
    topic = topic_at(10)
    topic.extend(events(11, 14))
    assert [event.seq for event in topic.after(12)] == [13, 14]
    assert topic.after(14) == []
    assert topic.after(20) == []


def test_the_table_serves_whoever_is_far():
    topic = topic_at(10)
    topic.extend(events(11, 14))
    assert topic.after(9) is None


def test_the_tail_is_bounded(monkeypatch):
    monkeypatch.setattr(hub, "TAIL_EVENTS_MAX", 3)
    topic = topic_at(0)
    topic.extend(events(1, 10))
    assert topic.after(6) is None
    assert [event.seq for event in topic.after(7)] == [8, 9, 10]


def test_the_tail_is_bounded_in_bytes_too(monkeypatch):
    monkeypatch.setattr(hub, "TAIL_BYTES_MAX", 10_000)
    topic = topic_at(0)
    topic.extend([Rendered(seq, "x" * 3_000) for seq in range(1, 11)])
    assert topic.after(6) is None
    assert [event.seq for event in topic.after(7)] == [8, 9, 10]
    topic.extend([Rendered(11, "x" * 30_000)])  # one that no tail can hold: the table has it
    assert topic.after(10) is None
    topic.extend([Rendered(12, "x" * 3_000)])
    assert [event.seq for event in topic.after(11)] == [12]


def test_the_tail_is_dropped_when_all_have_it():
    topic = topic_at(0)
    slow, fast = Reader(1), Reader(2)
    topic.followers |= {slow, fast}
    topic.extend(events(1, 2))
    topic.forget_what_all_have()
    assert [event.seq for event in topic.after(1)] == [2]
    slow.position = 2
    topic.forget_what_all_have()
    assert topic.after(1) is None


def test_followers_are_flagged():
    topic = topic_at(0)
    reader = Reader(0)
    topic.followers.add(reader)
    topic.extend(events(1, 3))
    assert reader.flags == 1


@pytest.mark.parametrize("hint", [3, 4, 900])
def test_hints_only_say_that_there_is_more(hint):
    topic = topic_at(3)
    topic.hinted_seq = hint
    assert topic.is_behind is (hint > 3)


def test_nothing_is_read_before_the_head_is_known():
    topic = Topic(STREAM)
    topic.hinted_seq = 5
    assert not topic.is_behind
    topic.begin_at(4)
    assert topic.is_behind


def test_a_gap_in_the_table_is_never_jumped_over():
    topic = topic_at(0)
    topic.extend([*events(1, 2), *events(4, 5)])
    assert topic.last_seq == 2
    topic.hinted_seq = 5
    assert not topic.is_behind  # reading on would not mend it
    assert topic.after(1) is None  # so that each follower meets the gap in the table, and says so
