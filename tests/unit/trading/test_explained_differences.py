"""A broker's holdings are compared beside what people have explained of them."""

from decimal import Decimal
from typing import Any

import pytest

from trading.core.explained_differences import Explained, compare_beside
from trading.core.reconciliation import Awaited, Holdings

D = Decimal
FIVE_MORE = Explained({"AAA": D(5)}, D(500))


def holdings(cash: str = "1000", **units: Any) -> Holdings:
    return Holdings("USD", D(cash), {symbol: D(count) for symbol, count in units.items()})


def beside(explained: Explained, *, theirs: Holdings, awaited: Awaited | None = None, **ours: Any) -> Any:
    """(keys of what differs, keys of what is explained)"""
    mine = Holdings("USD", D(1000), {"AAA": D(10)}, **ours)
    found, known = compare_beside(explained, ours=mine, theirs=theirs, awaited=awaited or Awaited())
    return sorted(one.key for one in found), sorted(key for _, key in known)


@pytest.mark.parametrize(
    ("cash", "units", "differs", "explained"),
    [
        ("1500", 15, [], ["AAA", "USD"]),
        ("1000", 10, [], []),  # gone
        ("1501", 16, ["AAA", "USD"], []),
        ("500", 5, ["AAA", "USD"], []),  # the other way
        ("1500.01", 15, [], ["AAA", "USD"]),
    ],
)
def test_just_what_is_explained_is_no_difference(
    cash: str, units: int, differs: list[str], explained: list[str]
) -> None:
    assert beside(FIVE_MORE, theirs=holdings(cash, AAA=units)) == (differs, explained)


def test_what_differs_is_told_with_the_brokers_own_numbers() -> None:
    found, _ = compare_beside(
        FIVE_MORE, ours=holdings(AAA=10), theirs=holdings("1000", AAA=16), awaited=Awaited()
    )
    assert [one.theirs for one in found] == [{"quantity": 16}]


def test_what_is_awaited_is_no_difference_beside_it() -> None:
    awaited = Awaited({"AAA": D(4)}, D(-400))
    assert beside(FIVE_MORE, theirs=holdings("1100", AAA=19), awaited=awaited) == ([], ["AAA", "USD"])
    assert beside(FIVE_MORE, theirs=holdings("600", AAA=14), awaited=awaited) == ([], [])


@pytest.mark.parametrize(("cash", "differs"), [("1505.03", []), ("1505.04", ["USD"])])
def test_only_the_rounding_since_it_was_explained_counts(cash: str, differs: list[str]) -> None:
    explained = Explained(cash=D("505"), rounding=(D("1.00"), D("1.01")))
    told = beside(explained, theirs=holdings(cash, AAA=10), rounding=(D("1.02"), D("1.03")))
    assert told[0] == differs


def test_of_another_symbol_nothing_is_explained() -> None:
    assert beside(FIVE_MORE, theirs=holdings("1000", AAA=10, BBB=5)) == (["BBB"], [])
