"""The Kelly bet, by the examples of the literature, and what the odds of a trade are taken from."""

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.kelly import (
    PRIOR_ROUND_TRIPS,
    ROUND_TRIPS_MIN,
    Advice,
    NoOdds,
    Odds,
    full_kelly,
    kelly_bet,
    no_edge,
    odds_of_advice,
    odds_of_record,
    preferred_odds,
)
from trading.core.track_record import TrackRecord

D = Decimal
OF_NO_OTHER = ", and its confidence says nothing of other exits"


@pytest.mark.parametrize(
    ("p", "gain", "loss", "fraction"),
    [
        # Thorp 2006, section 2: a coin that shows heads with 0.53 at even money: f* = p - q.
        ("0.53", "1", "1", "0.06"),
        ("0.51", "1", "1", "0.02"),  # Kelly 1956: 2p - 1
        ("0.5", "1", "1", "0"),  # a fair coin is not to be bet on
        ("0.47", "1", "1", "-0.06"),  # the other side of Thorp's coin
        ("1", "1", "1", "1"),  # a sure thing takes all
        # b to 1, Thorp 2006: f* = (bp - q)/b.
        ("0.5", "2", "1", "0.25"),  # Vince 1990: heads pays 2 to 1, optimal f is 0.25
        ("0.6", "0.5", "1", "-0.2"),
        ("0.4", "3", "1", "0.2"),
        # A loss of a part of the stake: p/a - q/b = edge/(a·b).
        ("0.53", "0.1", "0.1", "0.6"),  # Thorp's coin on a tenth of the stake: ten times as much
        ("0.5", "0.2", "0.1", "2.5"),  # Vince's coin so too: more than all
        ("0.6", "0.05", "0.1", "-2"),
        ("0.55", "0.1", "0.08", "2.375"),
        ("0.5", "0.3", "0.29", "0.05747126"),  # 0.0574712643… rounds down
        ("0.5", "0.29", "0.3", "-0.05747127"),  # downwards here too
    ],
)
def test_the_formula(p: str, gain: str, loss: str, fraction: str) -> None:
    assert full_kelly(win_probability=D(p), gain=D(gain), loss=D(loss)) == D(fraction)


def growth(fraction: float, *, p: float, gain: float, loss: float) -> float:
    return p * math.log1p(gain * fraction) + (1 - p) * math.log1p(-loss * fraction)


def test_the_growth_of_thorps_coin() -> None:
    """Thorp 2006, example 2.1: the growth is 0.0018 at 0.06 and gone just short of 0.12."""
    coin = {"p": 0.53, "gain": 1.0, "loss": 1.0}
    assert growth(0.06, **coin) == pytest.approx(0.001801, abs=5e-7)
    assert growth(0.1197, **coin) > 0 > growth(0.1198, **coin)


@settings(max_examples=200)
@given(p=st.integers(1, 99), gain=st.integers(1, 300), loss=st.integers(1, 99))
def test_no_other_bet_grows_faster(p: int, gain: int, loss: int) -> None:
    bet = {"p": p / 100, "gain": gain / 100, "loss": loss / 100}
    best = float(full_kelly(win_probability=D(p) / 100, gain=D(gain) / 100, loss=D(loss) / 100))
    room = min(100 / loss - best, best + 100 / gain) / 2  # to where all is lost, either way
    for other in (best - room, best + room):
        assert growth(other, **bet) <= growth(best, **bet) + 1e-12


def test_a_fraction_of_kelly_bets_that_part_and_its_arithmetic_is_kept() -> None:
    odds = Odds("recommendation", D("0.53"), D(1), D(1), {"recommendation_id": "7"})
    bet, told = kelly_bet(odds, fraction=D("0.5"))
    assert bet == D("0.03")
    assert told == {
        "odds_by": "recommendation", "recommendation_id": "7", "win_probability": D("0.53"),
        "gain_fraction": 1, "loss_fraction": 1, "edge": D("0.06"), "full_kelly": D("0.06"), "kelly_fraction": D("0.5"),
    }  # fmt: skip


def test_without_an_edge_nothing_is_bet_and_the_numbers_are_told() -> None:
    odds = Odds("track record", D("0.47"), D("0.10"), D("0.10"))
    assert kelly_bet(odds, fraction=D(1))[0] == 0
    assert no_edge(odds) == "no edge by the track record: 0.47 × 0.1 − 0.53 × 0.1 = -0.006"


# By a recommendation.


def advice(
    target: str | None = "120", stop: str | None = "90", *, confidence: str = "0.6", name: str = "BUY"
) -> Advice:
    return Advice("7", name, D(confidence), D(target) if target else None, D(stop) if stop else None)


def odds_at(price: str, told: Advice | None) -> Odds | NoOdds:
    return odds_of_advice(told, price=D(price))


def test_confidence_target_and_stop_are_the_odds() -> None:
    odds = odds_at("100", advice())
    assert isinstance(odds, Odds)
    assert (odds.source, odds.win_probability, odds.gain, odds.loss) == (
        "recommendation", D("0.6"), D("0.2"), D("0.1"),
    )  # fmt: skip
    assert odds.basis == {"recommendation_id": "7", "target_price": 120, "stop_price": 90}
    assert odds.edge == D("0.08")


def test_distances_are_rounded_to_the_side_that_bets_less() -> None:
    odds = odds_at("90", advice(target="100", stop="80"))  # 10/90 either way
    assert isinstance(odds, Odds)
    assert (odds.gain, odds.loss) == (D("0.11111111"), D("0.11111112"))


@pytest.mark.parametrize(
    ("price", "told", "reason"),
    [
        ("100", None, "there is no recommendation"),
        ("100", advice(name="HOLD"), "the recommendation is HOLD"),
        ("100", advice(name="STRONG_SELL"), "the recommendation is STRONG_SELL"),
        ("100", advice(confidence="NaN"), "the recommendation's confidence is unknown"),
        ("100", advice(confidence="1.01"), "the recommendation's confidence is unknown"),
        ("120", advice(), "the recommendation's target 120 is not above the price 120"),
        ("90", advice(), "the recommendation's stop 90 is not below the price 90"),
        # The confidence is that of a target against a stop, and of no other.
        ("100", advice(target=None), f"the recommendation has no target{OF_NO_OTHER}"),
        ("100", advice(stop=None), f"the recommendation has no stop{OF_NO_OTHER}"),
        ("100", advice(None, None), f"the recommendation has no target and no stop{OF_NO_OTHER}"),
        ("100", advice(target="100.0000001"), "the gain by the recommendation is less than can be counted"),
    ],
)  # fmt: skip
def test_what_gives_no_odds(price: str, told: Advice | None, reason: str) -> None:
    odds = odds_at(price, told)
    assert isinstance(odds, NoOdds) and odds.reason == reason


def test_a_cent_inside_target_and_stop_has_odds() -> None:
    assert isinstance(odds_at("119.99", advice()), Odds)
    assert isinstance(odds_at("90.01", advice()), Odds)


@pytest.mark.parametrize(
    ("factor", "price", "told"),
    [
        (Fraction(1, 2), "50", {"target_price": 60, "stop_price": 45, "split_since": "2:1"}),
        (
            Fraction(10),
            "1000",
            {"target_price": 1200, "stop_price": 900, "split_since": "1:10"},
        ),  # a reverse split
        (Fraction(2, 3), "66.66666667", {"target_price": 80, "stop_price": 60, "split_since": "3:2"}),
    ],
)
def test_over_a_split_target_and_stop_count_in_its_new_units(
    factor: Fraction, price: str, told: dict[str, Any]
) -> None:
    odds = odds_at(price, replace(advice(), price_factor=factor))
    assert isinstance(odds, Odds)
    assert odds.basis == {"recommendation_id": "7", **told}
    assert (odds.gain, odds.loss) == (
        pytest.approx(D("0.2"), abs=D("1e-7")),
        pytest.approx(D("0.1"), abs=D("1e-7")),
    )


def test_prices_that_no_new_unit_can_show_are_rounded_to_the_side_that_bets_less() -> None:
    odds = odds_at("33", replace(advice(target="100", stop="80"), price_factor=Fraction(1, 3)))
    assert isinstance(odds, Odds)
    assert (odds.basis["target_price"], odds.basis["stop_price"]) == (D("33.33333333"), D("26.66666666"))


def test_in_units_that_nobody_knows_there_are_no_odds() -> None:
    odds = odds_at("100", replace(advice(), price_factor=None))
    assert isinstance(odds, NoOdds)
    assert (
        odds.reason
        == "a split is at hand: in which units the recommendation's target and stop count is unknown"
    )


# By the rule's record.


def record(trips: int, wins: int, gain: str | None, loss: str | None) -> TrackRecord:
    return TrackRecord(trips, wins, D(gain) if gain else None, D(loss) if loss else None)


def test_a_record_is_believed_the_more_the_longer_it_is() -> None:
    """Thorp's coin on a tenth of the stake: the edge of 0.006 counts by (n/(n + 20))²."""
    for trips, wins, weight in ((100, 53, D(100) / 120), (2000, 1060, D(2000) / 2020)):
        odds = odds_of_record(record(trips, wins, "0.1", "0.1"))
        assert isinstance(odds, Odds)
        assert odds.edge == pytest.approx(D("0.006") * weight**2, abs=D("1e-7"))
    assert odds.win_probability == pytest.approx(D("0.53"), abs=D("0.001"))


def test_a_worked_example_of_shrinkage() -> None:
    """20 round trips, 12 gained 10 % and 8 lost 5 % in the mean: l/w = 0.66666667, G/L = 2."""
    odds = odds_of_record(record(20, 12, "0.10", "0.05"))
    assert isinstance(odds, Odds)
    assert odds.basis == {
        "round_trips": 20, "wins": 12, "mean_gain": D("0.1"), "mean_loss": D("0.05"), "prior_round_trips": 20,
        "shrunk_payoff_ratio": D("1.33333333"),  # halfway from 2/3 to 2
        "prior_win_probability": D("0.42857142"),  # 1/(1 + 4/3) = 3/7
    }  # fmt: skip
    assert odds.win_probability == D("0.51428571")  # (12 + 20·3/7)/40 = 18/35
    assert (odds.gain, odds.loss) == (D("0.06666666"), D("0.05"))
    # The record's mean result is 0.6·0.10 - 0.4·0.05 = 0.04; a quarter of it is left.
    assert odds.edge == pytest.approx(D("0.01"), abs=D("1e-7"))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (record(0, 0, None, None), "the rule has 0 closed round trips, 20 fewer than the 20 needed"),
        (record(1, 1, "0.1", None), "the rule has 1 closed round trip, 19 fewer than the 20 needed"),
        (record(19, 12, "0.1", "0.1"), "the rule has 19 closed round trips, 1 fewer than the 20 needed"),
        (record(30, 0, None, "0.1"), "none of the rule's 30 closed round trips gained"),
        (record(30, 30, "0.1", None), "none of the rule's 30 closed round trips lost: a loss is unknown"),
        (record(30, 29, "0.1", "0"), "none of the rule's 30 closed round trips lost: a loss is unknown"),
    ],
)
def test_records_that_give_no_odds(told: TrackRecord, reason: str) -> None:
    assert ROUND_TRIPS_MIN == 20
    odds = odds_of_record(told)
    assert isinstance(odds, NoOdds) and odds.reason == reason


@settings(max_examples=300)
@given(
    trips=st.integers(ROUND_TRIPS_MIN, 500), wins=st.integers(1, 499), gain=st.integers(1, 200),
    loss=st.integers(1, 100),
)  # fmt: skip
def test_shrinking_never_makes_an_edge_and_never_a_greater_bet(
    trips: int, wins: int, gain: int, loss: int
) -> None:
    wins = min(wins, trips - 1)
    odds = odds_of_record(TrackRecord(trips, wins, D(gain) / 100, D(loss) / 100))
    assert isinstance(odds, Odds)
    raw = full_kelly(win_probability=D(wins) / trips, gain=D(gain) / 100, loss=D(loss) / 100)
    shrunk = full_kelly(win_probability=odds.win_probability, gain=odds.gain, loss=odds.loss)
    # Rounding to 8 places, divided by a gain and a loss of a cent, is what may be lost; nothing may be won.
    assert shrunk <= max(raw, D(0)), "an edge shrinks, and none comes up"
    if raw > D("0.01"):
        assert shrunk > 0, "a clear edge stays one"
        assert odds.edge <= D(trips) / (trips + PRIOR_ROUND_TRIPS) * (
            D(wins * gain - (trips - wins) * loss) / (100 * trips)
        )


# Which of the two.


def test_a_recommendation_goes_before_the_record_which_is_not_even_read() -> None:
    def unread() -> TrackRecord:
        raise AssertionError("read")

    advised = odds_at("100", advice())
    assert preferred_odds(advised, unread) is advised


def test_the_record_stands_in_and_says_why() -> None:
    odds = preferred_odds(odds_at("100", None), lambda: record(20, 12, "0.10", "0.05"))
    assert isinstance(odds, Odds) and odds.source == "track record"
    assert odds.basis["no_odds_by_recommendation"] == "there is no recommendation"


def test_with_neither_both_reasons_are_given() -> None:
    odds = preferred_odds(odds_at("100", None), lambda: record(3, 2, "0.10", "0.05"))
    assert isinstance(odds, NoOdds)
    assert odds.reason == (
        "Kelly knows no odds: there is no recommendation, and the rule has 3 closed round trips, 17 fewer than the 20"
        " needed"
    )
    assert odds.basis["round_trips"] == 3
