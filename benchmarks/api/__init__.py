"""How many requests a second a list of the API answers, beside a bare view of the same rows."""

from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.servers import figures_on_servers


def measure() -> Iterator[Figure]:
    yield from figures_on_servers("benchmarks.api.lists")
