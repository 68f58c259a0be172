"""The emergency stop under full order load: how soon it is armed, and that nothing goes out once it is drained."""

from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.servers import figures_on_servers


def measure() -> Iterator[Figure]:
    return figures_on_servers("benchmarks.halt.trials")
