"""Alpaca's table of own orders on two sides of one symbol, as its page on user protection has it."""

from decimal import Decimal

import pytest

from tests.unit.trading.test_history import NOW, RULE
from trading.core.history import History, OpenOrder
from trading.core.opposites import OfSide, are_rejected_by_type, must_wait_for
from trading.core.orders import OrderType as T

D = Decimal


def order(side: str, kind: T, limit: str | None = None) -> OfSide:
    return OfSide(side, kind, None if limit is None else D(limit))


@pytest.mark.parametrize(
    ("one", "other", "rejected"),
    [
        (T.MARKET, T.LIMIT, True),
        (T.MARKET, T.STOP_LIMIT, True),
        (T.MARKET, T.STOP, True),
        (T.MARKET, T.MARKET, True),
        (T.STOP, T.LIMIT, True),
        (T.STOP, T.STOP_LIMIT, True),
        (T.STOP, T.STOP, True),
        (T.LIMIT, T.LIMIT, False),
        (T.LIMIT, T.STOP_LIMIT, False),
        (T.TRAILING_STOP, T.MARKET, False),
        (T.TRAILING_STOP, T.LIMIT, False),
    ],
)
def test_a_market_or_stop_order_is_rejected_beside_any_but_one_that_trails(
    one: T, other: T, rejected: bool
) -> None:
    buy, sell = order("buy", one, "90"), order("sell", other, "110")
    assert are_rejected_by_type(buy, sell) == are_rejected_by_type(sell, buy) == rejected
    assert not are_rejected_by_type(buy, order("buy", other))


@pytest.mark.parametrize(("bid", "waits"), [("99.99", False), ("100", True)])
def test_one_with_a_limit_waits_for_another_only_where_they_cross(bid: str, waits: bool) -> None:
    buy, sell = order("buy", T.LIMIT, bid), order("sell", T.STOP_LIMIT, "100")
    for leaves in (False, True):
        assert must_wait_for(buy, sell, leaves=leaves) == must_wait_for(sell, buy, leaves=leaves) == waits


def test_beside_one_that_trails_an_order_waits_only_until_its_cancel_is_over() -> None:
    trailing, sale = order("buy", T.TRAILING_STOP), order("sell", T.MARKET)
    assert not must_wait_for(sale, trailing, leaves=False)
    assert must_wait_for(sale, trailing, leaves=True)
    assert not must_wait_for(order("buy", T.MARKET), trailing, leaves=True)


def test_where_the_broker_goes_by_types_prices_far_apart_do_not_help() -> None:
    buy = OpenOrder(RULE, 1, "buy", None, doubtful=False, limit_price=D(90), order_type=T.LIMIT)
    history = History(NOW, open_orders=[buy])
    asked = {"instrument_id": 1, "side": "sell", "price": D(100)}
    assert history.opposite_orders(**asked) == []
    assert history.opposite_orders(**asked, at_strict=T.MARKET) == [buy]
    assert history.opposite_orders(**asked, at_strict=T.LIMIT) == []
    assert history.opposite_orders(**{**asked, "price": D(90)}, at_strict=T.LIMIT) == [buy]
    assert history.opposite_orders(**asked, at_strict=T.TRAILING_STOP) == []


def test_only_a_sale_there_is_not_held_up_by_what_leaves() -> None:
    history = History(NOW)
    history.open_orders = [
        OpenOrder(RULE, 1, side, None, doubtful=False, order_type=T.STOP) for side in ("buy", "sell")
    ]
    history.leave({RULE})
    asked = {"instrument_id": 1, "price": D(100)}
    assert history.opposite_orders(**asked, side="sell", at_strict=T.MARKET) == []
    assert len(history.opposite_orders(**asked, side="sell")) == 1
    assert len(history.opposite_orders(**asked, side="buy", at_strict=T.MARKET)) == 1
