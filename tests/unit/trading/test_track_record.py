"""What a rule has earned: which sells close which buys, by worked examples."""

import uuid
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.track_record import BookedFill, round_trips, track_record

D = Decimal
RULE, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)
GOLD, IRON = 1, 2


def fill(
    side: str, quantity: str, price: str, *, trade: int, rule: uuid.UUID | None = RULE, fee: str = "0",
    instrument: int = GOLD,
) -> BookedFill:  # fmt: skip
    return BookedFill(instrument, uuid.UUID(int=trade), rule, side, D(quantity), D(price), D(fee))


def results(*fills: BookedFill, before: dict[int, Decimal] | None = None) -> list[Decimal]:
    return round_trips(fills, rule_id=RULE, held_before=before or {})


def test_a_buy_and_its_sell_are_one_round_trip() -> None:
    assert results(fill("buy", "10", "100", trade=1), fill("sell", "10", "110", trade=2)) == [D("0.1")]


def test_fees_of_both_count() -> None:
    bought = fill("buy", "10", "100", trade=1, fee="2")
    assert results(bought, fill("sell", "10", "110", trade=2, fee="3")) == [
        D("0.095")
    ]  # (1100 - 1000 - 5)/1000


def test_what_is_still_held_is_none_yet() -> None:
    bought = fill("buy", "10", "100", trade=1)
    assert results(bought) == []
    assert results(bought, fill("sell", "9.999", "110", trade=2)) == []


def test_an_order_filled_and_sold_in_parts_is_one_round_trip() -> None:
    assert results(
        fill("buy", "4", "100", trade=1),
        fill("buy", "6", "110", trade=1),  # cost 1,060
        fill("sell", "5", "120", trade=2),
        fill("sell", "5", "106", trade=3),  # proceeds 1,130
    ) == [D(70) / D(1060)]


def test_a_sell_takes_the_oldest_first_and_may_close_several() -> None:
    fills = [
        fill("buy", "10", "100", trade=1),
        fill("buy", "10", "50", trade=2),
        fill("sell", "15", "100", trade=3, fee="3"),  # 10 of the first with 2 of the fee, 5 of the second
    ]
    assert results(*fills) == [D("-0.002")]
    fills.append(fill("sell", "5", "50", trade=4))
    assert results(*fills) == [D("-0.002"), D("0.498")]  # (500 + 250 - 500 - 1)/500


def test_it_does_not_matter_who_sells_but_who_bought() -> None:
    fills = [
        fill("buy", "10", "100", trade=1, rule=OTHER),
        fill("buy", "10", "100", trade=2),
        fill("sell", "10", "90", trade=3),  # of the other rule's lot
    ]
    assert results(*fills) == []
    assert results(*fills, fill("sell", "10", "120", trade=4, rule=None)) == [D("0.2")]


def test_instruments_are_apart() -> None:
    assert results(
        fill("buy", "10", "100", trade=1),
        fill("buy", "10", "100", trade=2, instrument=IRON),
        fill("sell", "10", "80", trade=3, instrument=IRON),
    ) == [D("-0.2")]


def test_what_was_held_before_is_sold_first_and_is_of_nobody() -> None:
    fills = [
        fill("buy", "10", "100", trade=1),
        fill("sell", "10", "120", trade=2),
        fill("sell", "10", "130", trade=3),
    ]
    assert results(*fills, before={GOLD: D(10)}) == [D("0.3")]
    assert results(*fills[:2], before={GOLD: D(10)}) == []


def test_what_no_lot_can_give_is_of_nobody() -> None:
    sold_before = fill("sell", "5", "100", trade=1)
    assert results(
        sold_before, fill("buy", "10", "100", trade=2), fill("sell", "20", "110", trade=3, fee="20")
    ) == [
        D("0.09")  # with half of the fee
    ]


def test_counts_and_means() -> None:
    told = track_record([D("0.1"), D("0.3"), D("-0.1"), D(0)])
    assert (told.round_trips, told.wins) == (4, 2)
    assert (told.mean_gain, told.mean_loss) == (D("0.2"), D("0.05")), "what came out even did not gain"


@pytest.mark.parametrize(
    ("given_results", "gain", "loss"),
    [([], None, None), ([D("0.1")], D("0.1"), None), ([D("-0.1")], None, D("0.1"))],
)
def test_a_mean_of_none_is_unknown(
    given_results: list[Decimal], gain: Decimal | None, loss: Decimal | None
) -> None:
    told = track_record(given_results)
    assert (told.mean_gain, told.mean_loss) == (gain, loss)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 9), st.integers(90, 110)), max_size=40
    )
)
def test_when_all_is_sold_the_round_trips_add_up_to_the_profit(moves: list[tuple[str, int, int]]) -> None:
    fills, held = [], 0
    for number, (side, wanted, price) in enumerate(moves):
        quantity = wanted if side == "buy" else min(wanted, held)
        if quantity:
            held += quantity if side == "buy" else -quantity
            fills.append(fill(side, str(quantity), str(price), trade=number))
    if held:
        fills.append(fill("sell", str(held), "100", trade=99))
    bought = [one for one in fills if one.side == "buy"]
    told = results(*fills)
    assert len(told) == len(bought), "each buy is closed once"
    profit = sum((one.quantity * one.price * (1 if one.side == "sell" else -1) for one in fills), D(0))
    parts = sum((result * one.quantity * one.price for result, one in zip(told, bought, strict=True)), D(0))
    assert parts == pytest.approx(profit, abs=D("1e-15"))
