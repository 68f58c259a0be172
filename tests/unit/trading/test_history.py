"""What was before an order, as the controls count it: windows in market time, this batch's orders included."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from portfolios.core.limits import EffectiveLimits
from tests.harness.orders import LIMITS
from trading.core.history import LOOK_BACK_MAX, History, OpenOrder, PastOrder, Traded, still_held, window

NOW = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)
RULE = uuid.uuid4()
SECOND = timedelta(seconds=1)
D = Decimal


def limited(**values: int) -> EffectiveLimits:
    return EffectiveLimits(dict(LIMITS) | {name: D(value) for name, value in values.items()}, "platform:1")


def ordered(ago: timedelta, *, quantity: int = 5, counts: bool = True, judged: bool = False) -> PastOrder:
    at = NOW - ago
    return PastOrder(1, "buy", D(quantity), RULE, at, at.date(), counts, judged)


def before(*orders: PastOrder) -> History:
    history = History(NOW)
    history.add(orders)
    return history


@pytest.mark.parametrize(("seconds_ago", "twins"), [(29, 1), (30, 0), (31, 0)])
def test_a_duplicate_is_one_within_the_window(seconds_ago: int, twins: int) -> None:
    history = before(ordered(seconds_ago * SECOND))
    same = {"instrument_id": 1, "side": "buy", "quantity": D("5.00000000"), "rule_id": RULE}
    assert history.twins(**same, limits=limited(duplicate_order_seconds=30)) == twins  # type: ignore[arg-type]
    for other in ({"quantity": D(6)}, {"side": "sell"}, {"instrument_id": 2}, {"rule_id": None}):
        assert history.twins(**{**same, **other}, limits=limited(duplicate_order_seconds=30)) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("protective", "seconds_ago", "limit", "twins"),
    [
        (False, 1, 30, 0),  # whatever a person or a rule has ordered, it sells what is left
        (True, 4, 30, 1),
        (True, 5, 30, 0),  # the stop is not held up any longer,
        (True, 5, 3_600, 0),  # however long the limit is
        (True, 4, 4, 0),
    ],
)
def test_a_protective_sale_has_a_twin_among_its_like_only_and_for_a_short_while(
    protective: bool, seconds_ago: int, limit: int, twins: int
) -> None:
    at = NOW - seconds_ago * SECOND
    history = before(
        PastOrder(1, "sell", D(100), None, at, at.date(), counts=not protective, protective=protective)
    )
    limits = limited(duplicate_order_seconds=limit)
    same: Any = {"instrument_id": 1, "side": "sell", "quantity": D(100), "rule_id": None, "limits": limits}
    assert history.twins(**same, protective=True) == twins
    assert history.twins(**same) == (seconds_ago < limit), "to a person's order all of them are"


@pytest.mark.parametrize(("minutes_ago", "executions"), [(59, 1), (60, 0)])
def test_a_rules_trades_count_within_its_window(minutes_ago: int, executions: int) -> None:
    history = before(ordered(timedelta(minutes=minutes_ago)))
    assert history.rule_executions(RULE, limited(rule_execution_window_minutes=60)) == executions
    assert history.rule_executions(None, limited(rule_execution_window_minutes=60)) == 0


def test_what_a_risk_officer_has_judged_counts_no_more_for_the_rule_but_still_for_the_day() -> None:
    history = before(ordered(SECOND, judged=True))
    assert history.rule_executions(RULE, limited()) == 0
    assert (history.daily_trades, history.daily_trades_of_rule(RULE), history.daily_trades_of_symbol(1)) == (
        1,
        1,
        1,
    )


def test_the_day_counts_neither_yesterday_nor_what_flattens_and_protects() -> None:
    history = before(
        ordered(timedelta(hours=15)), ordered(timedelta(hours=16)), ordered(SECOND, counts=False)
    )
    assert history.daily_trades == 1  # at midnight
    assert history.daily_trades_of_rule(None) == 0


def test_an_order_of_this_batch_counts_for_the_next() -> None:
    history = before()
    history.ordered(ordered(timedelta()), OpenOrder(uuid.uuid4(), 1, "buy", None, doubtful=False))
    assert (history.messages_last_second, history.messages_last_minute, history.daily_trades) == (1, 1, 1)
    assert len(history.opposite_orders(instrument_id=1, side="sell", price=Decimal(1))) == 1
    assert history.opposite_orders(instrument_id=1, side="buy", price=Decimal(1)) == []
    assert history.opposite_orders(instrument_id=2, side="sell", price=Decimal(1)) == []


@pytest.mark.parametrize(
    ("working", "limit", "side", "price", "meets"),
    [
        ("sell", "100", "buy", "99.99", 0),  # a tick below it
        ("sell", "100", "buy", "100", 1),
        ("buy", "100", "sell", "100.01", 0),  # a tick above it
        ("buy", "100", "sell", "100", 1),
        ("sell", None, "buy", "1", 1),  # it takes any price
        ("sell", "100", "buy", "NaN", 1),  # nobody knows
        ("sell", "100", "sell", "100", 0),
    ],
)
def test_orders_meet_where_their_prices_cross(
    working: str, limit: str | None, side: str, price: str, meets: int
) -> None:
    history = before()
    order = OpenOrder(
        uuid.uuid4(), 1, working, None, doubtful=False, limit_price=None if limit is None else Decimal(limit)
    )
    history.open_orders.append(order)
    assert len(history.opposite_orders(instrument_id=1, side=side, price=Decimal(price))) == meets
    history.gone({order.id})
    assert history.opposite_orders(instrument_id=1, side=side, price=Decimal(price)) == []


def test_only_what_works_of_the_same_rule_side_and_symbol_is_its_own() -> None:
    history, rule = before(), uuid.uuid4()
    history.open_orders += [
        OpenOrder(uuid.uuid4(), 1, "buy", None, doubtful=False, rule_id=rule, works=True),
        OpenOrder(uuid.uuid4(), 1, "sell", None, doubtful=False, rule_id=rule, works=False),
        OpenOrder(uuid.uuid4(), 1, "buy", None, doubtful=False, rule_id=None, works=True),
    ]
    assert history.own_working(instrument_id=1, side="buy", rule_id=rule) == 1
    assert history.own_working(instrument_id=2, side="buy", rule_id=rule) == 0
    assert history.own_working(instrument_id=1, side="sell", rule_id=rule) == 0, "it was not sent yet"
    assert history.own_working(instrument_id=1, side="buy", rule_id=uuid.uuid4()) == 0
    assert history.own_working(instrument_id=1, side="buy", rule_id=None) == 0, "a person's orders are his"


RULES = [uuid.UUID(int=1), uuid.UUID(int=2)]


@pytest.mark.parametrize(
    ("instrument_id", "side", "rule", "waits_for"),
    [
        (1, "buy", None, 1),
        (1, "sell", None, 1),
        (1, "buy", RULES[1], 1),
        (2, "buy", RULES[0], 1),  # the rule's further entries
        (2, "sell", RULES[0], 0),  # but not its exits
        (2, "buy", RULES[1], 0),
        (2, "buy", None, 0),
    ],
    ids=str,
)
def test_for_an_order_that_nobody_knows_the_end_of_its_symbol_and_its_rules_entries_wait(
    instrument_id: int, side: str, rule: uuid.UUID | None, waits_for: int
) -> None:
    history = before()
    history.open_orders += [
        OpenOrder(uuid.uuid4(), 1, "buy", None, doubtful=True, rule_id=RULES[0]),
        OpenOrder(uuid.uuid4(), 2, "buy", None, doubtful=False, rule_id=RULES[0]),
        OpenOrder(uuid.uuid4(), 3, "buy", None, doubtful=True),
    ]
    assert history.unknown_before(instrument_id=instrument_id, side=side, rule_id=rule) == waits_for


@pytest.mark.parametrize("limit", [D(10) ** 12 - 1, D(10) ** 11])
def test_a_limit_of_a_million_years_looks_back_as_far_as_there_is_anything(limit: Decimal) -> None:
    assert window(limit, minutes=True) == window(limit) == LOOK_BACK_MAX
    history = before(ordered(timedelta(days=3_000)))
    limits = EffectiveLimits(
        dict(LIMITS) | {"rule_execution_window_minutes": limit, "duplicate_order_seconds": limit},
        "platform:1",
    )
    assert history.rule_executions(RULE, limits) == 1


def test_no_limit_is_no_window() -> None:
    assert window(None) == timedelta() and window(D(90)) == 90 * SECOND
    assert window(D("1.5"), minutes=True) == 90 * SECOND


def test_minutes_since_a_sale() -> None:
    history = History(NOW, sold_at={1: NOW - timedelta(minutes=20)})
    assert history.minutes_since_sold(1) == 20
    assert history.minutes_since_sold(2) == D("Infinity")


def test_what_a_session_sold_of_others_is_not_its_own_room() -> None:
    """It sold 50 that were there before it, and bought 40: it has 40."""
    times = [NOW + count * SECOND for count in range(4)]
    assert still_held([Traded(times[0], D(-50)), Traded(times[1], D(40))]) == 40
    assert (
        still_held([Traded(times[1], D(40)), Traded(times[0], D(-50))]) == 40
    )  # in whatever order they are told
    assert still_held([Traded(times[0], D(40)), Traded(times[1], D(-15))]) == 25
    split = Traded(times[1], D(0), D(2))
    assert still_held([Traded(times[0], D(10)), split, Traded(times[2], D(-5))]) == 15
    assert still_held([]) == 0
