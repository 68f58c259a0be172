"""Sessions evaluated a second by one worker process, and how the time grows with their number."""

from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.servers import figures_on_servers


def measure() -> Iterator[Figure]:
    return figures_on_servers("benchmarks.sessions.idle")
