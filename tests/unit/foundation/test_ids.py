"""Ids keep the order in which they were made, whatever the clock does, and are never made twice."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from foundation import ids
from foundation.ids import id_in_order


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_last", 0)


def test_they_sort_in_the_order_in_which_they_were_made() -> None:
    made = [id_in_order() for _ in range(20_000)]
    assert made == sorted(made) and len(set(made)) == len(made)


@pytest.mark.parametrize("step", [0, -1_000_000_000])
def test_also_where_the_clock_stands_still_or_goes_back(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    clock = iter(range(1_800_000_000_000_000_000, -1, step) if step else [1_800_000_000_000_000_000] * 10_000)
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))
    made = [id_in_order() for _ in range(1_000)]
    assert made == sorted(made) and len(set(made)) == len(made)


def test_they_tell_their_time_and_their_version() -> None:
    before = time.time_ns() // 1_000_000
    one = id_in_order()
    assert before <= one.int >> 80 <= time.time_ns() // 1_000_000
    assert (one.version, one.variant) == (7, "specified in RFC 4122")


def test_two_processes_with_one_clock_make_different_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000_000_000_000)
    one = id_in_order()
    monkeypatch.setattr(ids, "_last", 0)
    other = id_in_order()
    assert one.int >> 64 == other.int >> 64 and one != other


def test_threads_make_no_two_of_the_same_moment() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: id_in_order(), range(20_000)))
    assert len({one.int >> 64 for one in made}) == len(made)
