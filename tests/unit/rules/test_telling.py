"""A sentence says as much as somebody reads, and rounds nothing away that decided."""

import numpy as np
import pytest

from rules.core.explanation import explain
from rules.core.facts import MarketFacts, PortfolioFacts

MARKET = MarketFacts(("AAPL",), {"price": np.array([105.0]), "sma_50": np.array([100.0])}, {})
ALICE = PortfolioFacts({}, {}, None)
TREND = {"field": "price", "operator": "greater_than", "value": {"field": "sma_50", "times": 1.02}}


def told(*conditions):
    return explain(list(conditions), market=MARKET, portfolio=ALICE, symbol="AAPL")


def bars_told(operator, value, **completed):
    market = MarketFacts(
        ("AAPL",), {}, {name: tuple(np.array([bar]) for bar in bars) for name, bars in completed.items()}
    )
    condition = {"field": "price", "operator": operator, "value": value}
    return explain([condition], market=market, portfolio=ALICE, symbol="AAPL").sentence


def test_a_fact_of_two_bars_shows_both_even_when_they_are_equal():
    assert bars_told("changed_to", 99, price=(99.0, 99.0)) == (
        "Not true for AAPL: price is 99 after 99, not changing to 99."
    )
    assert bars_told("changed_to", 99, price=(np.nextafter(99, 100), 99.0)) == (
        "True for AAPL: price is 99 after 99.00000000000001, changing to 99."
    )
    assert bars_told("crosses_above", {"field": "sma_50"}, price=(97.0, 99.0), sma_50=(98.0, 98.0)) == (
        "True for AAPL: price is 99 after 97, crossing above sma 50 (98 after 98)."
    )


def test_a_long_list_is_cut_in_the_sentence_but_not_in_the_tree():
    explanation = told({"field": "price", "operator": "in", "value": list(range(1, 65))})
    assert explanation.sentence == "Not true for AAPL: price is 105, not one of 1, 2, 3, 4, 5 … and 59 more."
    assert explanation.tree["all"][0]["threshold"] == list(range(1, 65))


def test_a_sentence_names_so_many_conditions_and_counts_the_rest():
    group = [{"field": "price", "operator": "greater_than", "value": number} for number in range(1, 33)]
    explanation = told({"all": group}, {"all": group})
    assert explanation.sentence.count("price is 105") == 20
    assert explanation.sentence.endswith(", above 20, and 44 more.")
    assert [len(node["all"]) for node in explanation.tree["all"]] == [32, 32]


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        (1.00001, "1.00001 times sma 50 (100.001)"),
        (1 / 3, "0.3333333333333333 times sma 50 (33.3333)"),
        (1, "sma 50 (100)"),
    ],
)
def test_a_factor_is_not_rounded_away(times, shown):
    sentence = told({**TREND, "value": {"field": "sma_50", "times": times}}).sentence
    assert sentence == f"True for AAPL: price is 105, above {shown}."


def test_a_product_that_no_number_holds_is_not_called_unknown():
    times = {"field": "sma_50", "times": 1_000_000}
    huge = MarketFacts(("AAPL",), {"price": np.array([105.0]), "sma_50": np.array([1e308])}, {})
    sentence = explain([{**TREND, "value": times}], market=huge, portfolio=ALICE, symbol="AAPL").sentence
    assert sentence == "Unknown for AAPL: 1,000,000 times sma 50 is too large."
    assert bars_told("crosses_above", times, price=(97.0, 99.0), sma_50=(98.0, 1e308)) == sentence
    assert "sma 50 is unknown" in bars_told(
        "crosses_above", times, price=(97.0, 99.0), sma_50=(np.nan, 1e308)
    )
