"""An order is measured by what it may really pay or get: each control at its boundary, in ticks."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.core.actions import ActionRequest
from tests.harness.orders import BUY, SELL, code_of
from trading.core.order_prices import collar_distance, cost_basis, execution_price, measured_at, reference
from trading.core.orders import MARKET_DAY, OrderTerms, OrderType, TimeInForce, told
from trading.core.rule_orders import terms_of

D = Decimal
NAN = D("NaN")
CENT = D("0.01")


def limit(price: str) -> OrderTerms:
    return OrderTerms(order_type=OrderType.LIMIT, limit_price=D(price))


def stop(price: str) -> OrderTerms:
    return OrderTerms(order_type=OrderType.STOP, stop_price=D(price))


def stop_limit(at: str, price: str) -> OrderTerms:
    return OrderTerms(order_type=OrderType.STOP_LIMIT, stop_price=D(at), limit_price=D(price))


def trailing(percentage: str) -> OrderTerms:
    return OrderTerms(order_type=OrderType.TRAILING_STOP, trail_percentage=D(percentage))


# (terms, side, what limits measure at, what the execution is compared with, the execution at a touch of 100)
PRICES = [
    (MARKET_DAY, "buy", "100", "100", "100.1"),  # ten basis points of slippage
    (MARKET_DAY, "sell", "100", "100", "99.9"),
    (limit("95"), "buy", "95", "100", "95"),
    (limit("105"), "buy", "105", "100", "105"),
    (limit("105"), "sell", "105", "100", "105"),
    (stop("110"), "buy", "110", "110", "110.11"),
    (stop("90"), "buy", "100", "100", "100.1"),  # reached already: the market's price
    (stop("90"), "sell", "90", "90", "89.91"),
    (stop("110"), "sell", "100", "100", "99.9"),
    (stop_limit("110", "112"), "buy", "112", "110", "112"),
    (stop_limit("90", "88"), "sell", "88", "90", "88"),
    (trailing("10"), "buy", "110", "100", "100.1"),  # its stop can only fall from there
    (trailing("10"), "sell", "100", "100", "99.9"),
]


@pytest.mark.parametrize(("terms", "side", "measured", "compared", "executed"), PRICES)
def test_what_an_order_is_measured_at(
    terms: OrderTerms, side: str, measured: str, compared: str, executed: str
) -> None:
    assert measured_at(terms, side=side, last=D(100)) == D(measured)
    assert reference(terms, side=side, last=D(100)) == D(compared)
    assert execution_price(terms, side=side, touch=D(100), slippage_bps=D(10)) == D(executed)


def test_without_a_quote_only_its_own_price_is_known() -> None:
    known = {"side": "sell", "touch": NAN, "slippage_bps": D(0)}
    assert execution_price(limit("95"), **known) == 95
    assert execution_price(stop("95"), **known) == 95
    assert execution_price(MARKET_DAY, **known).is_nan()
    assert execution_price(trailing("5"), **known).is_nan()


@pytest.mark.parametrize(
    ("terms", "basis"),
    [(MARKET_DAY, "100"), (limit("95"), "95"), (stop("110"), "110"), (stop("90"), "100"),
     (stop_limit("110", "112"), "112"), (trailing("10"), "110")],
)  # fmt: skip
def test_what_a_buy_has_to_be_able_to_pay(terms: OrderTerms, basis: str) -> None:
    assert cost_basis(terms, ask=D(100)) == D(basis)


def test_a_limit_is_worth_its_limit_price() -> None:
    """MAX_ORDER_VALUE is 10,000: 50 shares at 200."""
    far = replace(BUY, price=D(200), execution_price=D(200), bar_close=D(200))
    assert code_of(replace(far, terms=limit("200"))) is None
    assert code_of(replace(far, terms=limit("200.01"), execution_price=D("200.01"))) == "MAX_ORDER_VALUE"
    assert code_of(replace(far, price=D("200.01"), terms=limit("200"))) is None, (
        "it never pays the last price"
    )


def test_a_stop_is_worth_its_stop_price() -> None:
    near = replace(BUY, price=D(199), bar_close=D(199))
    assert code_of(replace(near, terms=stop("200"), execution_price=D(200))) is None
    assert code_of(replace(near, terms=stop("200.01"), execution_price=D("200.01"))) == "MAX_ORDER_VALUE"


def test_the_collar_holds_an_order_to_its_own_price() -> None:
    """2 %: a limit of 102 against a last price of 100, a cent more is beyond; below it waits, which harms nobody."""
    assert code_of(replace(BUY, terms=limit("102"), execution_price=D(102))) is None
    assert code_of(replace(BUY, terms=limit("102.01"), execution_price=D("102.01"))) == "PRICE_COLLAR"
    assert code_of(replace(BUY, terms=limit("50"), execution_price=D(50))) is None
    assert code_of(replace(SELL, terms=limit("98"), execution_price=D(98))) is None
    assert code_of(replace(SELL, terms=limit("97.99"), execution_price=D("97.99"))) == "PRICE_COLLAR"
    assert code_of(replace(SELL, terms=limit("150"), execution_price=D(150))) is None


def test_the_collar_of_a_stop_is_around_its_stop_price() -> None:
    assert code_of(replace(SELL, terms=stop("90"), execution_price=D("88.2"))) is None
    assert code_of(replace(SELL, terms=stop("90"), execution_price=D("88.19"))) == "PRICE_COLLAR"
    within, beyond = stop_limit("90", "88.2"), stop_limit("90", "88.19")
    assert code_of(replace(SELL, terms=within, execution_price=D("88.2"))) is None
    assert code_of(replace(SELL, terms=beyond, execution_price=D("88.19"))) == "PRICE_COLLAR"


def test_an_unknown_or_worthless_reference_has_no_distance() -> None:
    known = {"side": "buy", "execution": D(1)}
    assert collar_distance(MARKET_DAY, reference_price=NAN, **known).is_nan()
    assert collar_distance(MARKET_DAY, reference_price=D(0), **known) == D("Infinity")


def test_an_old_price_holds_up_what_takes_the_markets_price() -> None:
    old = D("30.001")
    assert code_of(replace(SELL, price_age_seconds=old, terms=limit("99.9"))) is None
    assert (
        code_of(replace(SELL, price_age_seconds=old, terms=stop_limit("99", "99"), execution_price=D(99)))
        is None
    )
    assert (
        code_of(replace(SELL, price_age_seconds=old, terms=stop("99"), execution_price=D(99))) == "STALE_DATA"
    )
    assert code_of(replace(BUY, price_age_seconds=old, terms=limit("100"))) == "STALE_DATA"


# --- rules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "offset", "price", "tick", "wanted"),
    [
        ("buy", "0", "100", "0.01", "100"),
        ("sell", "0", "100", "0.01", "100"),
        ("buy", "10", "100", "0.01", "99.90"),
        ("sell", "10", "100", "0.01", "100.10"),
        ("buy", "-10", "100", "0.01", "100.10"),  # through the last price
        ("sell", "-10", "100", "0.01", "99.90"),
        ("buy", "1", "100.04", "0.01", "100.02"),  # 100.029996: down
        ("sell", "1", "100.04", "0.01", "100.06"),  # 100.050004: up
        ("buy", "10", "100", "0.25", "99.75"),
        ("buy", "1000", "0.01", "0.01", "0.01"),  # a tick at least
    ],
)
def test_a_rules_limit_is_never_worse_than_asked(
    side: str, offset: str, price: str, tick: str, wanted: str
) -> None:
    action = ActionRequest(
        symbol="AAA", side=side, sizing_method="fixed", size_value=D(1), size_unit="shares",
        max_position_size=None, order_type="limit", limit_offset_bps=D(offset),
    )  # fmt: skip
    terms = terms_of(action, price=D(price), tick=D(tick))
    assert (terms.order_type, terms.time_in_force) == (OrderType.LIMIT, TimeInForce.DAY)
    assert terms.limit_price == D(wanted)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (MARKET_DAY, ""),
        (limit("95"), " limit at 95"),
        (stop("90.50"), " stop at 90.5"),
        (stop_limit("90", "88"), " stop limit at 90 limit 88"),
        (replace(trailing("5"), time_in_force=TimeInForce.GTC),
         " trailing stop 5 % behind the best price until cancelled"),
    ],
)  # fmt: skip
def test_an_order_is_told_in_words(terms: OrderTerms, words: str) -> None:
    assert told(terms) == words
