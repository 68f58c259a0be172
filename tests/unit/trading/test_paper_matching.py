"""What an order gets at the paper market, type by type, at each boundary; and what no order ever gets."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.orders import OrderTerms, OrderType, TimeInForce
from trading.core.paper import PaperModel
from trading.core.paper_matching import PaperFill, PaperOrder, PaperQuote, Progress, match

D = Decimal
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FREE = PaperModel()
SECOND = timedelta(seconds=1)


def quote(last: str = "100.00", *, bid: str | None = None, ask: str | None = None, **more: Any) -> PaperQuote:
    """A cent of spread on either side of the last price."""
    known = {
        "as_of": NOON, "is_open": True, "last": D(last), "bid": D(bid) if bid else D(last) - D("0.01"),
        "ask": D(ask) if ask else D(last) + D("0.01"), "volume": None, "tick": D("0.01"), "lot": D(1),
    }  # fmt: skip
    return PaperQuote(**{"quoted_at": more.get("as_of", NOON), **known, **more})


def order(
    side: str = "buy", order_type: str = "market", *, quantity: str = "10", limit: str | None = None,
    stop: str | None = None, trail: str | None = None, **more: Any,
) -> PaperOrder:  # fmt: skip
    terms = OrderTerms(
        order_type=OrderType(order_type), time_in_force=TimeInForce.GTC,
        limit_price=D(limit) if limit else None, stop_price=D(stop) if stop else None,
        trail_percentage=D(trail) if trail else None,
    )  # fmt: skip
    known = {
        "symbol": "AAA",
        "side": side,
        "ordered": D(quantity),
        "quantity": D(quantity),
        "terms": terms,
        "market_at": NOON,
    }
    return PaperOrder(**{**known, **more})


def filled(progress: Progress) -> PaperFill:
    assert progress.fill is not None, progress.waits
    return progress.fill


def fills(given_order: PaperOrder, given_quote: PaperQuote, model: PaperModel = FREE) -> bool:
    return match(given_order, given_quote, model).fill is not None


# Market orders


def test_a_market_order_takes_the_touch() -> None:
    assert filled(match(order("buy"), quote(), FREE)) == PaperFill(D(10), D("100.01"), D(0))
    assert filled(match(order("sell"), quote(), FREE)) == PaperFill(D(10), D("99.99"), D(0))


@pytest.mark.parametrize(
    ("market", "reason"),
    [
        ({"is_open": False}, "the market is closed"),
        ({"bid": None}, "there is no quote"),
        ({"ask": None}, "there is no quote"),
        ({"bid": D(0)}, "there is no quote"),
        ({"bid": D("100.02")}, "there is no quote"),  # crossed: above the ask
    ],
)
def test_without_a_market_it_waits(market: dict[str, Any], reason: str) -> None:
    progress = match(order(), replace(quote(), **market), FREE)
    assert (progress.fill, progress.waits, progress.expired) == (None, reason, False)


def test_a_locked_market_is_one() -> None:
    assert fills(order(), quote(bid="100.00", ask="100.00"))


@pytest.mark.parametrize(("milliseconds", "arrives"), [(0, True), (999, True), (1000, True), (1001, False)])
def test_it_arrives_after_the_latency(milliseconds: int, arrives: bool) -> None:
    model = PaperModel(latency_ms=milliseconds)
    assert fills(order(), quote(as_of=NOON + SECOND), model) is arrives


# Volume


@pytest.mark.parametrize(
    ("volume", "quantity"),
    [("100", "10"), ("99", "9"), ("10", "1"), ("9", None), ("0", None), (None, None)],
)
def test_a_fill_is_at_most_its_share_of_the_volume_in_whole_lots(
    volume: str | None, quantity: str | None
) -> None:
    limited = PaperModel(volume_limit_percentage=D(10))
    progress = match(order(), quote(volume=D(volume) if volume else None), limited)
    assert (progress.fill.quantity if progress.fill else None) == (D(quantity) if quantity else None)


@pytest.mark.parametrize(
    ("taken", "quantity"), [("0", "9"), ("1", "8"), ("8", "1"), ("8.5", "1"), ("9", None), ("20", None)]
)
def test_of_what_is_used_up_nothing_is_left(taken: str, quantity: str | None) -> None:
    limited = PaperModel(volume_limit_percentage=D(10))
    progress = match(order(), quote(volume=D(99)), limited, taken=D(taken))
    assert (progress.fill.quantity if progress.fill else None) == (D(quantity) if quantity else None)
    assert fills(order(), quote(volume=D(99)), FREE), "without a limit nothing is used up"


def test_what_is_left_may_be_less_than_a_lot() -> None:
    limited = PaperModel(volume_limit_percentage=D(10))
    assert filled(match(order(quantity="0.5"), quote(volume=D(100)), limited)).quantity == D("0.5")


# Limit orders


@pytest.mark.parametrize(
    ("side", "limit", "price"),
    [
        ("buy", "100.00", None),  # the ask is 100.01
        ("buy", "100.01", "100.01"),
        ("buy", "100.05", "100.01"),  # a better price is given
        ("sell", "100.00", None),  # the bid is 99.99
        ("sell", "99.99", "99.99"),
        ("sell", "99.95", "99.99"),
    ],
)
def test_a_limit_order_is_filled_at_its_limit_or_better(side: str, limit: str, price: str | None) -> None:
    progress = match(order(side, "limit", limit=limit), quote(), FREE)
    assert (progress.fill.price if progress.fill else None) == (D(price) if price else None)


@pytest.mark.parametrize(("side", "limit"), [("buy", "100.03"), ("sell", "99.97")])
def test_slippage_never_carries_it_beyond_its_limit(side: str, limit: str) -> None:
    dear = PaperModel(slippage_bps=D(100))
    assert filled(match(order(side, "limit", limit=limit), quote(), dear)).price == D(limit)


def touches(model: PaperModel, *, snapshots: int = 400, **more: Any) -> list[bool]:
    resting = order("buy", "limit", limit="100.01", **more)
    return [fills(resting, quote(as_of=NOON + place * SECOND), model) for place in range(snapshots)]


def test_a_price_that_only_touches_fills_by_chance_of_the_seed() -> None:
    assert all(touches(PaperModel(touch_fill_percentage=D(100))))
    assert not any(touches(PaperModel(touch_fill_percentage=D(0))))
    half = PaperModel(touch_fill_percentage=D(50))
    assert 150 < sum(touches(half)) < 250
    assert touches(half) == touches(half)
    assert touches(half) != touches(replace(half, seed=1))
    assert touches(half) != touches(half, symbol="BBB")
    assert touches(half) != touches(half, quantity="11")
    assert touches(half) != touches(half, market_at=NOON - SECOND)


def test_what_is_left_of_an_order_has_the_luck_of_the_whole() -> None:
    half = PaperModel(touch_fill_percentage=D(50))
    assert touches(half) == touches(half, ordered=D("10.000"), quantity="10.00")
    assert touches(half) == touches(half, ordered=D(10), quantity="3")


def test_a_quote_that_stands_is_one_chance_however_many_snapshots_show_it() -> None:
    rare, resting = PaperModel(touch_fill_percentage=D(10)), order("buy", "limit", limit="100.01")
    for said in range(30):
        quoted_at = NOON + said * SECOND
        shown = [quote(as_of=NOON + place * SECOND, quoted_at=quoted_at) for place in range(30, 60)]
        assert len({fills(resting, each, rare) for each in shown}) == 1


def test_a_price_through_the_limit_needs_no_luck() -> None:
    unlucky = PaperModel(touch_fill_percentage=D(0))
    assert not fills(order("buy", "limit", limit="100.01"), quote(), unlucky)
    assert fills(order("buy", "limit", limit="100.02"), quote(), unlucky)


# Stops


@pytest.mark.parametrize(
    ("side", "stop", "triggers"),
    [
        ("buy", "100.01", False), ("buy", "100.00", True), ("buy", "99.99", True),
        ("sell", "99.99", False), ("sell", "100.00", True), ("sell", "100.01", True),
    ],
)  # fmt: skip
def test_the_last_price_triggers_a_stop(side: str, stop: str, triggers: bool) -> None:
    progress = match(order(side, "stop", stop=stop), quote(), FREE)
    assert (progress.triggered_at == NOON) is triggers is (progress.fill is not None)


def test_the_quote_triggers_none() -> None:
    """A wide spread that reaches through the stop is no trade there."""
    assert not fills(order("sell", "stop", stop="99.00"), quote(bid="98.00", ask="102.00"))


def test_a_stop_is_not_triggered_by_what_is_unknown_nor_while_closed() -> None:
    stop = order("sell", "stop", stop="101.00")
    assert match(stop, replace(quote(), last=None), FREE).triggered_at is None
    assert match(stop, quote(is_open=False), FREE).triggered_at is None


def test_a_gap_through_the_stop_is_filled_at_the_gaps_price() -> None:
    assert filled(match(order("sell", "stop", stop="95.00"), quote("80.00"), FREE)).price == D("79.99")
    assert filled(match(order("buy", "stop", stop="105.00"), quote("120.00"), FREE)).price == D("120.01")


def test_a_triggered_stop_stays_triggered() -> None:
    stop = order("sell", "stop", stop="95.00", triggered_at=NOON - SECOND)
    progress = match(stop, quote("110.00"), FREE)
    assert filled(progress).price == D("109.99") and progress.triggered_at == NOON - SECOND


def test_a_stop_without_volume_is_triggered_all_the_same() -> None:
    progress = match(order("sell", "stop", stop="100.00"), quote(), PaperModel(volume_limit_percentage=D(10)))
    assert (progress.fill, progress.waits, progress.triggered_at) == (None, "the volume is unknown", NOON)


def test_a_stop_limit_becomes_a_limit_order() -> None:
    """The market has gapped through both: it rests at its limit."""
    stop = order("sell", "stop_limit", stop="95.00", limit="94.00")
    progress = match(stop, quote("90.00"), FREE)
    assert progress.fill is None and progress.triggered_at == NOON
    assert progress.waits == "the price has not reached its limit"
    resting = replace(stop, triggered_at=progress.triggered_at)
    assert filled(match(resting, quote("96.00"), FREE)).price == D("95.99")
    assert not fills(stop, quote("96.00"))  # not triggered


@pytest.mark.parametrize(
    ("side", "prices", "at"),
    [
        ("sell", ["100.00", "110.00", "99.01", "99.00"], 3),  # a tenth below 110
        ("sell", ["100.00", "90.01", "95.00", "90.00"], 3),  # a tenth below 100, its first
        ("buy", ["100.00", "90.00", "98.99", "99.00"], 3),  # a tenth above 90
        ("sell", ["100.00", "101.00", "102.00"], None),
    ],
)
def test_a_trailing_stop_follows_the_best_price(side: str, prices: list[str], at: int | None) -> None:
    trailing = order(side, "trailing_stop", trail="10")
    hit = None
    for number, price in enumerate(prices):
        progress = match(trailing, quote(price), FREE)
        if progress.fill is not None and hit is None:
            hit = number
        trailing = replace(trailing, best_price=progress.best_price, triggered_at=progress.triggered_at)
    assert hit == at


def test_once_triggered_a_trailing_stop_does_not_go_back() -> None:
    trailing = order("sell", "trailing_stop", trail="10", best_price=D(100), triggered_at=NOON)
    assert filled(match(trailing, quote("120.00"), FREE)).price == D("119.99")


# Its end


@pytest.mark.parametrize(
    ("seconds", "expired", "may_fill"), [(-1, False, True), (0, True, True), (1, True, False)]
)
def test_a_day_order_may_still_be_filled_at_its_close_and_ends_with_it(
    seconds: int, expired: bool, may_fill: bool
) -> None:
    now = NOON + seconds * SECOND
    far = order("buy", "limit", limit="90.00", expires_at=NOON, market_at=NOON - timedelta(hours=1))
    assert match(far, quote(as_of=now), FREE).expired is expired
    near = replace(far, terms=replace(far.terms, limit_price=D("101.00")))
    progress = match(near, quote(as_of=now), FREE)
    assert (progress.fill is not None) is may_fill
    assert progress.expired is (not may_fill)


def test_what_is_left_at_the_close_ends_after_a_last_fill() -> None:
    limited = PaperModel(volume_limit_percentage=D(10))
    near = order("buy", "limit", limit="101.00", expires_at=NOON)
    progress = match(near, quote(volume=D(40)), limited)
    assert filled(progress).quantity == 4 and progress.expired


def test_it_expires_while_the_market_is_closed() -> None:
    closed = quote(is_open=False, as_of=NOON + SECOND)
    assert match(order("buy", "limit", limit="90.00", expires_at=NOON), closed, FREE).expired


# Whatever happens

cents = st.integers(100, 20_000).map(lambda number: D(number) / 100)
percentages = st.decimals(min_value=0, max_value=100, places=2)
costs = st.decimals(min_value=0, max_value=500, places=1)
models = st.builds(
    PaperModel, fee_bps=costs, slippage_bps=costs, price_impact_bps=costs, volume_limit_percentage=percentages,
    touch_fill_percentage=percentages, seed=st.integers(0, 5), latency_ms=st.integers(0, 2000),
)  # fmt: skip
volumes = st.one_of(st.none(), st.integers(0, 5000).map(D))


@st.composite
def quotes(draw: st.DrawFn) -> PaperQuote:
    last, below, above = draw(cents), draw(st.integers(0, 50)), draw(st.integers(0, 50))
    return PaperQuote(
        as_of=NOON + draw(st.integers(0, 3)) * SECOND, quoted_at=NOON, is_open=draw(st.booleans()),
        bid=max(last - D(below) / 100, D("0.01")), ask=last + D(above) / 100, last=last, volume=draw(volumes),
        tick=D("0.01"), lot=draw(st.sampled_from([D(1), D(10), D("0.001")])),
    )  # fmt: skip


@st.composite
def orders(
    draw: st.DrawFn, side: str | None = None, types: tuple[OrderType, ...] = tuple(OrderType)
) -> PaperOrder:
    order_type = draw(st.sampled_from(types))
    terms = OrderTerms(
        order_type=order_type,
        limit_price=draw(cents) if order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None,
        stop_price=draw(cents) if order_type in (OrderType.STOP, OrderType.STOP_LIMIT) else None,
        trail_percentage=D(draw(st.integers(1, 50))) if order_type == OrderType.TRAILING_STOP else None,
    )
    return PaperOrder(
        symbol="AAA", side=side or draw(st.sampled_from(["buy", "sell"])), ordered=D(2000),
        quantity=D(draw(st.integers(1, 2000))), terms=terms, market_at=NOON,
        expires_at=draw(st.none() | st.integers(-1, 4).map(lambda n: NOON + n * SECOND)),
        triggered_at=draw(st.none() | st.just(NOON)), best_price=draw(st.none() | cents),
    )  # fmt: skip


@settings(max_examples=300)
@given(given_order=orders(), given_quote=quotes(), model=models)
def test_no_fill_flatters(given_order: PaperOrder, given_quote: PaperQuote, model: PaperModel) -> None:
    progress = match(given_order, given_quote, model)
    assert match(given_order, given_quote, model) == progress  # nothing but the arguments decides
    assert (progress.fill is None) is bool(progress.waits)
    if progress.fill is None:
        return
    fill, limit = progress.fill, given_order.terms.limit_price
    assert given_quote.is_open and given_quote.bid is not None and given_quote.ask is not None
    assert 0 < fill.quantity <= given_order.quantity and fill.price > 0 and fill.fee >= 0
    if model.volume_limit_percentage:
        assert given_quote.volume is not None
        assert fill.quantity * 100 <= given_quote.volume * model.volume_limit_percentage
    if given_order.side == "buy":
        assert given_quote.ask <= fill.price <= (limit if limit is not None else fill.price)
    else:
        assert (limit if limit is not None else D(0)) <= fill.price <= given_quote.bid


MARKET_ONLY = (OrderType.MARKET,)


@settings(max_examples=200)
@given(
    bought=orders("buy", MARKET_ONLY), sold=orders("sell", MARKET_ONLY), given_quote=quotes(), model=models
)  # fmt: skip
def test_who_buys_never_pays_less_than_who_sells_gets(
    bought: PaperOrder, sold: PaperOrder, given_quote: PaperQuote, model: PaperModel
) -> None:
    always = replace(model, volume_limit_percentage=D(0), latency_ms=0)
    now = replace(given_quote, is_open=True, as_of=NOON)
    buy, sell = (filled(match(replace(each, expires_at=None), now, always)) for each in (bought, sold))
    assert buy.price >= sell.price


@settings(max_examples=200)
@given(given_order=orders(), given_quote=quotes(), model=models, more=st.integers(0, 5000))
def test_more_volume_never_fills_less(
    given_order: PaperOrder, given_quote: PaperQuote, model: PaperModel, more: int
) -> None:
    if given_quote.volume is None:
        given_quote = replace(given_quote, volume=D(0))
    assert given_quote.volume is not None
    little = match(given_order, given_quote, model).fill
    much = match(given_order, replace(given_quote, volume=given_quote.volume + more), model).fill
    before, after = (each.quantity if each is not None else D(0) for each in (little, much))
    assert before <= after


@settings(max_examples=100)
@given(given_order=orders(), path=st.lists(quotes(), min_size=1, max_size=12), model=models)
def test_parts_never_come_to_more_than_was_ordered(
    given_order: PaperOrder, path: list[PaperQuote], model: PaperModel
) -> None:
    left = given_order.quantity
    for given_quote in path:
        progress = match(replace(given_order, quantity=left), given_quote, model)
        left -= progress.fill.quantity if progress.fill is not None else 0
        assert left >= 0
        if left == 0 or progress.expired:
            break
        given_order = replace(given_order, triggered_at=progress.triggered_at, best_price=progress.best_price)
