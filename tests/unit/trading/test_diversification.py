"""How a symbol sits beside what Alice holds: by name, and for many symbols at once."""

from collections.abc import Sequence

import numpy as np
import pytest

from market.core.indicators import standardised
from rules.core.facts import Vector
from trading.core.diversification import FIELDS, Diversification, Neighbourhood

MARKET = ("AAA", "BBB", "CCC", "DDD")
SECTORS = {"DDD": "Oil", "AAA": "Tech", "BBB": "Tech", "CCC": "", "GONE": "Tech"}  # GONE is no longer carried


def returns() -> Vector:
    """60 daily returns: BBB moves with AAA, CCC on its own, and of DDD one is missing."""
    found = np.random.default_rng(17).normal(0, 0.02, (60, 4))
    found[:, 1] += found[:, 0]
    found[20, 3] = np.nan
    return found


R = np.corrcoef(returns()[:, :3], rowvar=False)


def beside(*held: str, sectors: dict[str, float] | None = None) -> Diversification:
    neighbourhood = Neighbourhood(sector_of=SECTORS, market=MARKET, returns=lambda: standardised(returns()))
    return Diversification(neighbourhood, sectors=sectors or {}, held=held)


def known(values: Vector) -> Sequence[float | None]:
    return [None if value != value else pytest.approx(value, abs=1e-12) for value in values.tolist()]


def test_the_highest_and_the_mean_correlation_with_the_others_that_are_held() -> None:
    facts = beside("AAA", "CCC")
    highest = [R[0, 2], max(R[1, 0], R[1, 2]), R[2, 0], None]  # AAA and CCC each beside the other only
    mean = [R[0, 2], (R[1, 0] + R[1, 2]) / 2, R[2, 0], None]
    assert highest == known(facts.vector("max_correlation", MARKET))
    assert mean == known(facts.vector("average_correlation", MARKET))


def test_beside_nothing_else_it_is_zero() -> None:
    assert known(beside().vector("max_correlation", MARKET)) == [0, 0, 0, 0]
    assert known(beside("BBB").vector("average_correlation", MARKET))[1] == 0  # BBB beside itself
    assert known(beside("GONE").vector("max_correlation", ["GONE", "AAA"])) == [0, None]


def test_one_unknown_correlation_makes_it_unknown() -> None:
    for field in ("max_correlation", "average_correlation"):
        assert known(beside("AAA", "DDD").vector(field, MARKET)) == [None] * 4
        assert known(beside("AAA", "GONE").vector(field, MARKET)) == [None] * 4
        # DDD itself has nothing known; the others are known beside AAA alone
        assert known(beside("AAA").vector(field, MARKET))[3] is None


def test_sector_exposure_is_that_of_the_symbols_sector() -> None:
    facts = beside("AAA", sectors={"Tech": 25.0})
    found = facts.vector("sector_exposure_percentage", ["GONE", "CCC", "AAA"])
    assert known(found) == [25, 0, 25]


def test_exposure_that_is_unknown_stays_unknown() -> None:
    facts = beside("AAA", sectors={"Tech": float("nan")})
    assert known(facts.vector("sector_exposure_percentage", ["AAA", "DDD"])) == [None, 0]


def test_a_symbol_that_nobody_knows_has_no_facts() -> None:
    facts = beside("AAA")
    assert "XYZ" not in facts and facts.get("XYZ", {}) == {}
    for field in FIELDS:
        assert known(facts.vector(field, ["XYZ", "AAA"]))[0] is None
    with pytest.raises(KeyError):
        facts["AAA"]["price"]


@pytest.mark.parametrize("field", FIELDS)
def test_one_by_one_and_all_at_once_agree_to_the_last_bit(field: str) -> None:
    for held in ((), ("AAA",), ("AAA", "CCC"), ("BBB", "DDD"), ("GONE", "AAA")):
        facts = beside(*held, sectors={"Tech": 100 / 3})
        wanted = [*reversed(MARKET), "GONE", "AAA"]
        np.testing.assert_array_equal(
            facts.vector(field, wanted), [facts[symbol][field] for symbol in wanted]
        )
    assert set(facts) == set(SECTORS) and len(facts) == 5
    assert dict(facts["AAA"]).keys() == set(FIELDS) and len(facts["AAA"]) == 3


def test_returns_are_loaded_only_for_a_correlation_and_then_once() -> None:
    loads = []

    def load() -> Vector:
        loads.append(1)
        return standardised(returns())

    neighbourhood = Neighbourhood(sector_of=SECTORS, market=MARKET, returns=load)
    alice = Diversification(neighbourhood, sectors={"Tech": 10.0}, held=("AAA",))
    assert alice["BBB"]["sector_exposure_percentage"] == 10
    idle = Diversification(neighbourhood, sectors={}, held=())
    assert idle["BBB"]["max_correlation"] == 0
    assert not loads
    bob = Diversification(neighbourhood, sectors={}, held=("CCC",))
    assert alice["BBB"]["max_correlation"] == pytest.approx(R[1, 0])
    assert bob["BBB"]["average_correlation"] == pytest.approx(R[1, 2])
    assert len(loads) == 1


def test_an_empty_market_has_no_facts() -> None:
    nothing = Neighbourhood(sector_of={}, market=(), returns=lambda: np.empty((60, 0)))
    facts = Diversification(nothing, sectors={}, held=())
    assert np.isnan(facts.vector("max_correlation", ["AAA"])).all() and not facts
