"""What a universe stands for: the union of its lists, told anew from what is listed and tagged now."""

import pytest

from sessions.core.universe import Listed, Universe, read_universe

MARKET = {
    "AAPL": Listed("XNAS", ("large-cap",)),
    "IBM": Listed("XNYS", ("dividend", "large-cap")),
    "KO": Listed("XNYS", ("dividend",)),
    "TINY": Listed("XNAS", ()),
}


@pytest.mark.parametrize(
    ("stored", "symbols"),
    [
        ({"symbols": ["AAPL"]}, {"AAPL"}),
        ({"symbols": ["GONE"]}, {"GONE"}),  # delisted since: it has no facts, so it never trades
        ({"exchanges": ["XNYS"]}, {"IBM", "KO"}),
        ({"tags": ["large-cap"]}, {"AAPL", "IBM"}),
        ({"tags": ["large-cap", "dividend"]}, {"AAPL", "IBM", "KO"}),
        ({"symbols": ["TINY"], "exchanges": ["XNYS"], "tags": ["large-cap"]}, {"TINY", "AAPL", "IBM", "KO"}),
        ({"tags": ["nobody-bears-it"]}, set()),  # nothing; never everything
    ],
)
def test_it_is_the_union_of_its_lists(stored: dict[str, list[str]], symbols: set[str]) -> None:
    universe = read_universe(stored)
    assert universe is not None and universe.resolved(MARKET) == symbols


def test_without_a_universe_everything_may_be_traded() -> None:
    assert read_universe(None) is None


def test_what_is_listed_later_joins() -> None:
    universe = Universe(exchanges=frozenset({"XNYS"}))
    assert universe.resolved(MARKET | {"NEW": Listed("XNYS", ())}) == {"IBM", "KO", "NEW"}
