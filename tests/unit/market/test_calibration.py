"""Does it come true? Figures worked out by hand, and a table that pandas makes from the single outcomes."""

from decimal import Decimal
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from market.core.calibration import (
    Z_95,
    ShareEvent,
    Tally,
    assess,
    bin_of,
    came_true,
    squared_error,
    total_return_percentage,
    wilson,
)


def tally(confidence, hits, count, name="BUY"):
    errors = hits * (confidence - 1) ** 2 + (count - hits) * confidence**2
    return Tally(name, bin_of(confidence), count, hits, count * confidence, errors)


def test_what_comes_true_as_often_as_it_says_is_calibrated():
    told = assess([tally(0.8, 8, 10)])
    assert told.brier == pytest.approx(0.16)  # (8 · 0.04 + 2 · 0.64) / 10
    assert (told.overall.hit_rate, told.overall.mean_confidence) == (0.8, pytest.approx(0.8))
    assert told.calibration_error == pytest.approx(0, abs=1e-12)
    assert told.skill == pytest.approx(0)  # it says no more than its base rate


def test_two_bins_by_hand():
    told = assess([tally(0.8, 8, 10), tally(0.6, 3, 10, "SELL")])
    assert told.brier == pytest.approx(0.23)  # (1.6 + 3 · 0.16 + 7 · 0.36) / 20
    assert told.uncertainty == pytest.approx(0.55 * 0.45)
    assert told.reliability == pytest.approx(0.045)  # 10 · (0.6 - 0.3)² / 20
    assert told.resolution == pytest.approx(0.0625)  # both bins lie 0.25 from 0.55
    assert told.brier == pytest.approx(told.reliability - told.resolution + told.uncertainty)
    assert told.calibration_error == pytest.approx(0.15)
    assert told.skill == pytest.approx(1 - 0.23 / 0.2475)
    rows = [(row.confidence_from, row.confidence_to, row.rate.count, row.rate.hits) for row in told.table]
    assert rows == [(0.6, 0.7, 10, 3), (0.8, 0.9, 10, 8)]
    assert {name: rate.hit_rate for name, rate in told.classes.items()} == {
        "STRONG_SELL": None, "SELL": 0.3, "HOLD": None, "BUY": 0.8, "STRONG_BUY": None,
    }  # fmt: skip


def test_hold_is_counted_and_not_scored():
    told = assess([tally(0.8, 8, 10), Tally("HOLD", 5, 7, 0, 3.5, 0.0)])
    assert (told.held, told.overall.count, told.brier) == (7, 10, pytest.approx(0.16))
    assert (told.classes["HOLD"].count, told.classes["HOLD"].hit_rate) == (7, None)
    assert [row.rate.count for row in told.table] == [10]


@pytest.mark.parametrize("rows", [[], [Tally("HOLD", 5, 7, 0, 3.5, 0.0)]])
def test_without_outcomes_nothing_is_told(rows):
    told = assess(rows)
    assert (told.brier, told.skill, told.overall.hit_rate, told.table) == (None, None, None, ())


def test_where_everything_came_true_there_is_no_skill_to_tell():
    told = assess([tally(0.9, 5, 5)])
    assert (told.skill, told.uncertainty, told.brier) == (None, 0, pytest.approx(0.01))


def test_the_interval_is_wilsons():
    assert pytest.approx(NormalDist().inv_cdf(0.975), abs=1e-12) == Z_95
    assert wilson(8, 10) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert wilson(0, 10) == (pytest.approx(0, abs=1e-12), pytest.approx(0.2775, abs=1e-4))
    assert wilson(10, 10) == (pytest.approx(0.7225, abs=1e-4), pytest.approx(1))


@pytest.mark.parametrize("tenth", range(10))
def test_a_tenth_belongs_to_the_bin_that_it_begins(tenth):
    assert bin_of(tenth / 10) == tenth
    assert bin_of(np.nextafter((tenth + 1) / 10, 0)) == tenth


def test_certainty_belongs_to_the_last_bin():
    assert bin_of(1.0) == 9


@pytest.mark.parametrize(
    ("name", "up", "flat", "down"),
    [
        ("STRONG_BUY", True, False, False),
        ("BUY", True, False, False),
        ("HOLD", None, None, None),
        ("SELL", False, False, True),
        ("STRONG_SELL", False, False, True),
    ],
)
def test_a_direction_comes_true_when_the_price_goes_there_and_a_tie_is_a_miss(name, up, flat, down):
    assert [came_true(name, change) for change in (0.01, 0.0, -0.01)] == [up, flat, down]


def test_a_return_counts_what_the_company_did_to_a_share():
    d = Decimal
    assert total_return_percentage(d(100), d(105)) == 5
    assert total_return_percentage(d(100), d(52), [ShareEvent(units=d(2))]) == 4
    assert total_return_percentage(d(100), d(99), [ShareEvent(cash=d(2))]) == 1
    paid_before, paid_after = (
        [ShareEvent(cash=d(1)), ShareEvent(units=d(2))],
        [ShareEvent(units=d(2)), ShareEvent(cash=d(1))],
    )
    assert total_return_percentage(d(100), d(52), paid_before) == 5
    assert total_return_percentage(d(100), d(52), paid_after) == 6


def test_it_tells_the_same_as_pandas_from_single_outcomes():
    rng = np.random.default_rng(7)
    sure = rng.uniform(0.3, 1, 3000)
    frame = pd.DataFrame(
        {"sure": sure, "hit": rng.random(3000) < sure**1.5, "bin": [bin_of(p) for p in sure]}
    )
    frame["error"] = [squared_error(p, bool(hit)) for p, hit in zip(frame.sure, frame.hit, strict=True)]
    told = assess(
        Tally("BUY", int(place), len(rows), int(rows.hit.sum()), rows.sure.sum(), rows.error.sum())
        for place, rows in frame.groupby("bin")
    )
    assert told.brier == pytest.approx(((frame.sure - frame.hit) ** 2).mean())
    cut = frame.groupby(pd.cut(frame.sure, np.arange(11) / 10, right=False), observed=True)
    assert [row.rate.hit_rate for row in told.table] == pytest.approx(cut.hit.mean().tolist())
    assert [row.rate.mean_confidence for row in told.table] == pytest.approx(cut.sure.mean().tolist())
    gaps = (cut.sure.mean() - cut.hit.mean()).abs()
    assert told.calibration_error == pytest.approx(np.average(gaps, weights=cut.size()))
    assert told.brier == pytest.approx(told.reliability - told.resolution + told.uncertainty, abs=0.002)
