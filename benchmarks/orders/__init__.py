"""Durable paper orders a second: decision record, risk, order, fill, ledger and events."""

from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.servers import figures_on_servers


def measure() -> Iterator[Figure]:
    return figures_on_servers("benchmarks.orders.paper")
