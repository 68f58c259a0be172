"""Approvals a second of the controls alone, on requests whose facts are all there."""

import statistics
from collections import Counter

from benchmarks.figure import Figure
from benchmarks.risk.bare import objection
from benchmarks.risk.requests import Batch, make_batch
from benchmarks.timing import seconds_of_each
from trading.core.risk import Approved, Refused, RiskRequest, assess

RUNS = 9
SEED = 20_260_104


def measure(runs: int = RUNS) -> Figure:
    batches = [make_batch(SEED + run) for run in range(runs)]
    for batch in batches:
        assert_answered(batch)
    controls = seconds_of_each(_assess_all, [batch.requests for batch in batches])
    bare = seconds_of_each(_object_all, [batch.requests for batch in batches])
    refused = Counter(code for batch in batches for code in batch.codes if code is not None)
    requests = sum(len(batch.requests) for batch in batches) / runs
    return Figure(
        "risk.pure", _a_second(batches, controls), "approvals/s", _a_second(batches, bare),
        "the same comparisons as bare Python with Decimal, without a record of them", n=runs,
        notes=f"batches of {requests:.0f} requests over 200 portfolios, "
        f"{sum(batch.approved for batch in batches) / runs:.0f} of them approved, the others refused with "
        f"{len(refused)} codes; {requests / statistics.median(controls):.0f} requests/s",
    )  # fmt: skip


def assert_answered(batch: Batch) -> None:
    """Three answers agree: the product's, the bare comparisons', and what the batch was made for."""
    verdicts = [assess(request) for request in batch.requests]
    told = [verdict.code.value if isinstance(verdict, Refused) else None for verdict in verdicts]
    bare = [objection(request) for request in batch.requests]
    for place, answers in enumerate(zip(told, bare, batch.codes, strict=True)):
        assert len(set(answers)) == 1, f"request {place}: (controls, bare, expected) = {answers}"


def _assess_all(requests: list[RiskRequest]) -> list[Approved | Refused]:
    return [assess(request) for request in requests]


def _object_all(requests: list[RiskRequest]) -> list[str | None]:
    return [objection(request) for request in requests]


def _a_second(batches: list[Batch], seconds: list[float]) -> float:
    """The median over the runs; only what was approved counts."""
    rates = [batch.approved / taken for batch, taken in zip(batches, seconds, strict=True)]
    return round(statistics.median(rates), 1)
