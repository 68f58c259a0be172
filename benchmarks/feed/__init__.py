"""The market's feed: quotes to a published snapshot, and how old a snapshot is when sessions are evaluated on it."""

from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.servers import figures_on_servers


def measure() -> Iterator[Figure]:
    yield from figures_on_servers("benchmarks.feed.quotes")
    yield from figures_on_servers("benchmarks.feed.age")
