"""Which recommendation counts when several sources speak, now and at the last two completed bars."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from market.core.snapshot import MarketSnapshot, RecommendationFrame
from trading.core.market_facts import STALE_SECONDS, market_facts, preferred

AS_OF = datetime(2010, 3, 1, 15, 0, tzinfo=UTC)
NAN = float("nan")


def frame(codes: list[float], confidence: list[float], as_of: list[float], name: str) -> RecommendationFrame:
    ids = tuple(f"{name}-{place}" if code == code else None for place, code in enumerate(codes))
    return RecommendationFrame(
        codes=np.array(codes), confidence=np.array(confidence), expected_return=np.full(len(codes), NAN),
        as_of=np.array(as_of), ids=ids,
    )  # fmt: skip


def at_bars(
    previous: list[float], last: list[float], as_of: tuple[float, float], sure: float
) -> RecommendationFrame:
    """A source that says nothing now, but whose advice counted at one of the last two bars, or at both."""
    nothing, codes = np.full(2, NAN), np.array([previous, last])
    return RecommendationFrame(
        codes=nothing, confidence=nothing, expected_return=nothing, as_of=nothing, ids=(None, None),
        completed=codes, completed_confidence=np.where(np.isfinite(codes), sure, NAN),
        completed_as_of=np.where(np.isfinite(codes), np.array(as_of)[:, None], NAN),
    )  # fmt: skip


def snapshot(**recommendations: RecommendationFrame) -> MarketSnapshot:
    two = np.array([1.0, 2.0])
    return MarketSnapshot(
        version=1, as_of=AS_OF, symbols=("AAA", "BBB"), instrument_ids=(1, 2), fields=("price",),
        values=np.array([[10.0, 20.0]]), completed=np.array([[[9.0, 19.0]], [[9.5, 19.5]]]), market_time=two,
        price_received_at=two, bid=two, ask=two, is_open=np.array([True, True]),
        opens_at=np.array([AS_OF.timestamp() - 1800, NAN]), closes_at=np.array([AS_OF.timestamp() + 600, NAN]),
        recommendations=recommendations,
    )  # fmt: skip


OLD_SURE = frame([4, 4], [0.9, 0.9], [100, 100], "old")
NEW = frame([1, NAN], [0.6, NAN], [200, NAN], "new")


def test_without_a_preference_the_newest_counts() -> None:
    found = preferred(snapshot(a=OLD_SURE, b=NEW), ())
    assert found is not None
    assert list(found.codes) == [1, 4] and found.ids == ("new-0", "old-1")


def test_of_equally_new_ones_the_surer_counts() -> None:
    surer = frame([3, NAN], [0.7, NAN], [200, NAN], "surer")
    found = preferred(snapshot(a=NEW, b=surer), ())
    assert (
        found is not None and found.ids[0] == "surer-0" and np.isnan(found.codes[1]) and found.ids[1] is None
    )


def test_a_preference_decides_whatever_the_age() -> None:
    found = preferred(snapshot(a=OLD_SURE, b=NEW), ("a", "b"))
    assert found is not None and found.ids == ("old-0", "old-1")
    found = preferred(snapshot(a=OLD_SURE, b=NEW), ("b", "a"))
    assert found is not None and found.ids == ("new-0", "old-1")


def test_a_source_that_is_not_named_does_not_count() -> None:
    assert preferred(snapshot(a=OLD_SURE), ("b",)) is None
    assert preferred(snapshot(), ()) is None


def test_facts_in_the_words_of_the_catalogue() -> None:
    facts = market_facts(snapshot(a=OLD_SURE), OLD_SURE, timezones=["America/New_York", "UTC"], now_epoch=2.0)
    assert list(facts.values["price"]) == [10.0, 20.0]
    assert list(facts.values["ai_recommendation"]) == [4, 4]
    assert facts.values["recommendation_age_minutes"][0] == pytest.approx((AS_OF.timestamp() - 100) / 60)
    assert list(facts.values["time_of_day"]) == [600, 900]  # 10:00 in New York in winter, 15:00 UTC
    assert facts.values["minutes_to_close"][0] == 10 and np.isnan(facts.values["minutes_to_close"][1])
    assert [list(bar) for bar in facts.completed["price"]] == [[9.0, 19.0], [9.5, 19.5]]


def changes(*sources: str, **frames: RecommendationFrame) -> list[list[float | None]]:
    """ai_recommendation at the previous and the last completed bar, None where unknown."""
    market = snapshot(**frames)
    facts = market_facts(market, preferred(market, sources), timezones=["UTC", "UTC"], now_epoch=2.0)
    bars = facts.completed["ai_recommendation"]
    return [[None if code != code else code for code in bar.tolist()] for bar in bars]


class TestAtTheLastTwoBars:
    EARLY = at_bars([3, 3], [3, NAN], (100, 190), 0.9)
    LATE = at_bars([NAN, 1], [4, 1], (110, 200), 0.6)

    def test_the_newest_at_each_bar_counts(self) -> None:
        assert changes(early=self.EARLY, late=self.LATE) == [[3, 1], [4, 1]]

    def test_of_equally_new_ones_the_surer_counts(self) -> None:
        unsure, sure = at_bars([0, 0], [0, 0], (100, 200), 0.6), at_bars([4, 4], [4, NAN], (100, 200), 0.7)
        assert changes(a=unsure, b=sure) == [[4, 4], [4, 0]]

    def test_the_first_source_that_had_one_at_a_bar_counts_whatever_its_age(self) -> None:
        assert changes("early", "late", early=self.EARLY, late=self.LATE) == [[3, 3], [3, 1]]
        assert changes("late", "early", early=self.EARLY, late=self.LATE) == [[3, 1], [4, 1]]

    def test_sources_are_chosen_at_each_bar_and_now_on_their_own(self) -> None:
        now = preferred(snapshot(a=OLD_SURE, late=self.LATE), ())
        assert now is not None and list(now.codes) == [4, 4]
        assert changes(a=OLD_SURE, late=self.LATE) == [[None, 1], [4, 1]]

    def test_what_nobody_said_at_a_bar_is_unknown(self) -> None:
        assert changes("early", early=self.EARLY) == [[3, 3], [3, None]]
        assert changes(a=OLD_SURE) == [[None, None], [None, None]]


def test_without_recommendations_their_fields_are_unknown() -> None:
    facts = market_facts(snapshot(), None, timezones=["UTC", "UTC"], now_epoch=2.0)
    assert "ai_recommendation" not in facts.values and "ai_recommendation" not in facts.completed


def test_a_quote_that_came_long_ago_is_no_fact() -> None:
    facts = market_facts(snapshot(), None, timezones=["UTC", "UTC"], now_epoch=1.0 + STALE_SECONDS)
    assert list(facts.values["price"]) == [10.0, 20.0]
    facts = market_facts(snapshot(), None, timezones=["UTC", "UTC"], now_epoch=1.5 + STALE_SECONDS)
    assert np.isnan(facts.values["price"][0]) and facts.values["price"][1] == 20.0


def test_the_hit_rate_is_that_of_the_source_that_counts() -> None:
    old = replace(OLD_SURE, hit_rate=np.array([0.6, 0.6]))
    new = replace(NEW, hit_rate=np.array([0.4, NAN]))
    market = snapshot(a=old, b=new)
    found = [preferred(market, sources) for sources in ((), ("a",), ("b",))]
    facts = [
        market_facts(market, frame, timezones=("UTC", "UTC"), now_epoch=0.0).values["source_hit_rate"]
        for frame in found
    ]
    np.testing.assert_array_equal(facts, [[0.4, 0.6], [0.6, 0.6], [0.4, NAN]])


def test_a_source_that_nobody_has_measured_has_no_hit_rate() -> None:
    facts = market_facts(snapshot(a=OLD_SURE), OLD_SURE, timezones=("UTC", "UTC"), now_epoch=0.0).values[
        "source_hit_rate"
    ]
    assert np.isnan(facts).all()
