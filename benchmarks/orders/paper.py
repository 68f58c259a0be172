"""Paper orders a second against pgbench's TPC-B, and against the same rows by bare COPY; all in turn, five times."""

import math
import statistics
from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.orders.copied import Copies
from benchmarks.orders.flow import BATCH, PORTFOLIOS, Flow
from benchmarks.orders.tpcb import CLIENTS, SCALE, TpcB
from trading.services.verification import book_differences

RUNS = 5
BATCHES = 12
WARM_UP_BATCHES = 6
TPCB_SECONDS = 5


def measure() -> Iterator[Figure]:
    flow = Flow.make()
    flow.run(WARM_UP_BATCHES)
    flow.seconds.clear()
    tpcb, copies = TpcB(), Copies()
    ours: list[float] = []
    floors: list[float] = []
    copied: list[float] = []
    try:
        for _ in range(RUNS):
            floors.append(tpcb.transactions_per_second(TPCB_SECONDS))
            ours.append(BATCHES * BATCH / flow.run(BATCHES))
            copied.append(BATCH / _copied_seconds(flow, copies))
    finally:
        copies.close()
    differences = book_differences()
    assert not differences, differences[:3]
    notes = (
        f"one process; batches of {BATCH} orders in {PORTFOLIOS // 2} portfolios: state, controls, decision "
        f"(of no rule: without conditions, sizing and their explanation), trade and events in one transaction, "
        f"fill, ledger, position and events in another; fsync and triggers on; "
        f"p50 of a batch {_percentile(flow.seconds, 0.5):.0f} ms, p99 {_percentile(flow.seconds, 0.99):.0f} ms; "
        f"the books verify"
    )
    rate = round(statistics.median(ours), 1)
    yield Figure(
        "orders.paper", rate, "orders/s", round(statistics.median(floors), 1),
        f"pgbench TPC-B transactions/s, {CLIENTS} clients, scale {SCALE}, same server", n=RUNS, notes=notes,
    )  # fmt: skip
    yield Figure(
        "orders.paper_vs_copy", rate, "orders/s", round(statistics.median(copied), 1),
        "the rows that the same batches added, by bare COPY into tables like ours, a transaction a stage", n=RUNS,
        notes=notes,
    )  # fmt: skip


def _copied_seconds(flow: Flow, copies: Copies) -> float:
    """Of the rows of one batch more, the median of as many as a run has."""
    taken = []
    for _ in range(BATCHES):
        since = copies.now()
        flow.run(1)
        flow.seconds.pop()
        taken.append(copies.write(copies.rows_since(since)))
    return statistics.median(taken)


def _percentile(seconds: list[float], share: float) -> float:
    """In milliseconds."""
    ordered = sorted(seconds)
    return ordered[min(math.ceil(len(ordered) * share) - 1, len(ordered) - 1)] * 1000
