"""What a second worker process brings, and how long the two wait for each other."""

from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.servers import figures_on_servers


def measure() -> Iterator[Figure]:
    return figures_on_servers("benchmarks.scale.workers")
