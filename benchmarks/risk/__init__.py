"""How fast orders are checked: 1,000 requests over 200 portfolios, the controls alone and on a database."""

from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.risk import pure
from benchmarks.servers import figures_on_servers


def measure() -> Iterator[Figure]:
    yield pure.measure()
    yield from figures_on_servers("benchmarks.risk.database")
