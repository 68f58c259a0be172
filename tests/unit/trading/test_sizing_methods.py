"""Sizes by Kelly, by volatility and by risk: worked examples, and what holds of every one of them."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.core.actions import ActionRequest
from trading.core.kelly import NoOdds, Odds
from trading.core.sizing import Sized, SizingFacts, size

D = Decimal


def buy(method: str, value: str, *, ceiling: str | None = "100", stop: str | None = None) -> ActionRequest:
    return ActionRequest(
        symbol="AAA", side="buy", sizing_method=method, size_value=D(value), size_unit=None,
        max_position_size=D(ceiling) if ceiling else None, order_type="market",
        stop_loss_percentage=D(stop) if stop else None,
    )  # fmt: skip


def facts(**changes: Any) -> SizingFacts:
    values: dict[str, Any] = {
        "price": "100", "equity": "100000", "held": "0", "reserved": "0", "exposure": "0", "lot": "1",
    } | changes  # fmt: skip
    return SizingFacts(
        **{name: D(value) if isinstance(value, str) else value for name, value in values.items()}
    )


def odds(p: str, gain: str = "1", loss: str = "1") -> Odds:
    return Odds("recommendation", D(p), D(gain), D(loss))


def kelly(told: Odds | NoOdds, *, value: str = "1", ceiling: str = "100", **changes: Any) -> Sized:
    return size(buy("kelly", value, ceiling=ceiling), facts=facts(odds=told, **changes))


THORP = odds("0.53")  # Thorp 2006, section 2: 6 % of one's wealth


@pytest.mark.parametrize(
    ("sized", "quantity"),
    [
        (kelly(THORP), "60"),  # 6,000 at 100
        (kelly(THORP, value="0.5"), "30"),  # half Kelly
        (kelly(THORP, price="101"), "59"),  # 59.4 rounds down
        (kelly(THORP, price="101", lot="0.1"), "59.4"),
        (kelly(THORP, ceiling="4"), "40"),  # the rule's own ceiling
        (kelly(THORP, exposure="2000"), "40"),  # what is held and being bought is part of the bet
        (kelly(THORP, exposure="5950"), "0"),  # half a share is missing
        (kelly(THORP, exposure="7000"), "0"),  # it has grown beyond
        (kelly(odds("0.5", "2")), "250"),  # Vince 1990: 2 to 1 on a fair coin, a quarter
        (kelly(odds("0.55", "0.10", "0.08"), ceiling="20"), "200"),  # 237.5 % of wealth, capped to 20 %
        (kelly(odds("0.5")), "0"),
        (kelly(odds("0.47")), "0"),
    ],
)
def test_kelly(sized: Sized, quantity: str) -> None:
    assert sized.quantity == D(quantity)


@pytest.mark.parametrize(
    ("sized", "reason"),
    [
        (kelly(odds("0.47")), "no edge by the recommendation: 0.47 × 1 − 0.53 × 1 = -0.06"),
        (kelly(NoOdds("Kelly knows no odds")), "Kelly knows no odds"),
        (kelly(THORP, exposure="6000"), "the position is at its Kelly size"),
        (kelly(THORP, exposure="5999.99"), "the size comes to less than one lot"),
        (kelly(THORP, ceiling="4", exposure="4000"), "the position is at the rule's max_position_size"),
    ],
)
def test_kelly_that_sizes_nothing_says_why(sized: Sized, reason: str) -> None:
    assert (sized.quantity, sized.reason) == (0, reason)


def test_the_arithmetic_of_kelly_is_kept() -> None:
    assert kelly(THORP, value="0.5", ceiling="10", exposure="1000").arithmetic == {
        "method": "kelly", "side": "buy", "price": 100, "lot": 1,
        "odds_by": "recommendation", "win_probability": D("0.53"), "gain_fraction": 1, "loss_fraction": 1,
        "edge": D("0.06"), "full_kelly": D("0.06"), "kelly_fraction": D("0.5"),
        "equity": 100_000, "target_value": 3000, "exposure": 1000, "missing_value": 2000,
        "max_position_size": 10, "room": 9000, "quantity": 20,
    }  # fmt: skip


def test_nobody_is_sized_by_odds_that_nobody_asked_for() -> None:
    assert size(buy("kelly", "1"), facts=facts()).quantity == 0


# Volatility target: the position's value × its volatility is size_value percent of equity.


def by_volatility(value: str, volatility: str | None, **changes: Any) -> Sized:
    ceiling = changes.pop("ceiling", "100")
    state = facts(volatility=D(volatility) if volatility else None, **changes)
    return size(buy("volatility_target", value, ceiling=ceiling), facts=state)


@pytest.mark.parametrize(
    ("sized", "quantity"),
    [
        (by_volatility("10", "0.25"), "400"),  # 40 % of equity at 25 % is 10 %
        (by_volatility("10", "0.5"), "200"),  # twice the volatility, half the position
        # Moskowitz, Ooi and Pedersen 2012: 40 %/σ; at 80 % half of what there is, at 20 % twice that, here capped.
        (by_volatility("40", "0.8"), "500"),
        (by_volatility("40", "0.2"), "1000"),
        (by_volatility("10", "0.3"), "333"),  # 333.33 rounds down
        (by_volatility("10", "0.25", exposure="30000"), "100"),  # the rest of it
        (by_volatility("10", "0.25", ceiling="15"), "150"),
        (by_volatility("10", "0.00000001"), "1000"),  # next to none: the ceiling holds
    ],
)
def test_volatility_target(sized: Sized, quantity: str) -> None:
    assert sized.quantity == D(quantity)


@pytest.mark.parametrize(
    ("sized", "reason"),
    [
        (by_volatility("10", None), "the volatility of AAA is unknown"),
        (by_volatility("10", "NaN"), "the volatility of AAA is unknown"),
        (by_volatility("10", "Infinity"), "the volatility of AAA is unknown"),
        (by_volatility("10", "0"), "AAA has no volatility: no size has the one that is wanted"),
        (by_volatility("10", "-0.1"), "AAA has no volatility: no size has the one that is wanted"),
        (by_volatility("10", "0.25", exposure="40000"), "the position is at its size by volatility"),
    ],
)
def test_volatility_that_sizes_nothing_says_why(sized: Sized, reason: str) -> None:
    assert (sized.quantity, sized.reason) == (0, reason)


def test_the_arithmetic_of_a_volatility_target_is_kept() -> None:
    told = by_volatility("10", "0.25", exposure="30000").arithmetic
    assert (told["method"], told["size_value"], told["volatility"]) == ("volatility_target", 10, D("0.25"))
    assert (told["equity"], told["target_value"], told["missing_value"]) == (100_000, 40_000, 10_000)


# Risk per trade: P = C/R.


def by_risk(value: str, stop: str, *, ceiling: str | None = None, **changes: Any) -> Sized:
    return size(buy("risk_per_trade", value, stop=stop, ceiling=ceiling), facts=facts(**changes))


@pytest.mark.parametrize(
    ("sized", "quantity"),
    [
        # Tharp's CPR: of 100,000 risk 2 % on a share at 100 with a stop at 90: C = 2,000, R = 10, P = 200.
        (by_risk("2", "10"), "200"),
        (by_risk("1", "10", equity="50000", price="20"), "250"),  # C = 500, R = 2
        (by_risk("1", "5", equity="50000", price="50"), "200"),  # C = 500, R = 2.50
        (by_risk("1", "8", price="104.38"), "119"),  # R = 8.3504: 119.75 rounds down
        (by_risk("2", "10", exposure="5000"), "200"),  # each trade risks so much, whatever is held
        (by_risk("2", "10", ceiling="15"), "150"),  # a position of 20 % is capped to 15 %
        (by_risk("2", "10", ceiling="15", exposure="15000"), "0"),
    ],
)
def test_risk_per_trade(sized: Sized, quantity: str) -> None:
    assert sized.quantity == D(quantity)


@pytest.mark.parametrize(("held", "cost"), [("100", "5000"), ("100", "11000"), ("700", "70000")])
def test_a_risk_is_what_the_buy_adds_to_the_loss_of_the_whole_position(held: str, cost: str) -> None:
    """Of 2,000 each, whether what is held has won or lost: the stop counts from the average cost of all."""
    sized = by_risk("2", "10", held=held, cost=cost, exposure=str(int(held) * 100))
    paid = D(cost) + sized.quantity * 100
    stop = paid / (D(held) + sized.quantity) * D("0.9")
    lost = paid - stop * (D(held) + sized.quantity)
    assert round(lost - D(cost) / 10, 6) == 2_000


@pytest.mark.parametrize(
    ("method", "value", "cost", "quantity"),
    [
        ("risk_per_trade", "2", "13333", "200"),  # held at 133.33: with 200 more at 100 the average is 111.11
        ("risk_per_trade", "2", "13334", "0"),  # and its stop at 90 % is 100, which is reached already
        ("percentage", "20", "13334", "0"),
        ("percentage", "21", "13334", "210"),  # some more bring the average down
    ],
)
def test_nothing_is_bought_that_its_own_stop_would_sell_at_once(
    method: str, value: str, cost: str, quantity: str
) -> None:
    sized = size(buy(method, value, stop="10"), facts=facts(held="100", cost=cost))
    assert sized.quantity == D(quantity)
    assert ("would not be below the price" in sized.reason) == (quantity == "0")
    assert size(buy(method, value, stop="10", ceiling=None), facts=facts()).quantity > 0, "held by nobody"


def test_the_arithmetic_of_a_risk_is_kept() -> None:
    told = by_risk("2", "10").arithmetic
    assert (told["equity"], told["size_value"], told["risked_value"]) == (100_000, 2, 2000)
    assert (told["stop_loss_percentage"], told["loss_per_unit"], told["quantity"]) == (10, 10, 200)


# What holds of all of them.

amounts = st.decimals(min_value="0.01", max_value="100000", places=2)
lots = st.sampled_from([D(1), D(100), D("0.001")])
chances = st.decimals(min_value="0", max_value="1", places=3)
fractions = st.decimals(min_value="0.001", max_value="2", places=3)


@settings(max_examples=200)
@given(
    method=st.sampled_from(["kelly", "volatility_target", "risk_per_trade"]), price=amounts, equity=amounts,
    exposure=amounts, lot=lots, p=chances, gain=fractions, loss=fractions, volatility=fractions,
    value=st.integers(1, 100), ceiling=st.integers(1, 100), stop=st.integers(1, 99),
)  # fmt: skip
def test_never_negative_never_beyond_the_ceiling_and_always_whole_lots(
    method: str, price: Decimal, equity: Decimal, exposure: Decimal, lot: Decimal, p: Decimal, gain: Decimal,
    loss: Decimal, volatility: Decimal, value: int, ceiling: int, stop: int,
) -> None:  # fmt: skip
    size_value = str(D(value) / 100 if method == "kelly" else D(value))
    sized = size(
        buy(method, size_value, ceiling=str(ceiling), stop=str(stop)),
        facts=facts(
            price=price, equity=equity, exposure=exposure, lot=lot, volatility=volatility,
            odds=Odds("recommendation", p, gain, loss),
        ),
    )  # fmt: skip
    assert sized.quantity >= 0 and sized.quantity % lot == 0
    assert (sized.reason == "") == (sized.quantity > 0)
    assert sized.quantity == 0 or sized.quantity * price <= equity * ceiling / 100 - exposure
    if method == "kelly" and p * gain <= (1 - p) * loss:
        assert sized.quantity == 0, "no edge, no trade"


@settings(max_examples=150)
@given(p=chances, more=chances, gain=fractions, loss=fractions, ceiling=st.integers(1, 100))
def test_a_greater_edge_never_has_a_smaller_size(
    p: Decimal, more: Decimal, gain: Decimal, loss: Decimal, ceiling: int
) -> None:
    def quantity(chance: Decimal, gained: Decimal) -> Decimal:
        return kelly(Odds("recommendation", chance, gained, loss), ceiling=str(ceiling), lot="0.001").quantity

    low, high = sorted([p, more])
    assert quantity(low, gain) <= quantity(high, gain)
    assert quantity(low, gain) <= quantity(low, gain + more)
