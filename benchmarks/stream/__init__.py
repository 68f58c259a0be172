"""A thousand clients follow fifty portfolios over WebSockets, beside as many of a bare Channels group."""

from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.servers import figures_on_servers


def measure() -> Iterator[Figure]:
    return figures_on_servers("benchmarks.stream.measuring")
