"""From a published tick to the booked fill, through the real processes."""

from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.servers import figures_on_servers


def measure() -> Iterator[Figure]:
    return figures_on_servers("benchmarks.latency.tick_to_fill")
