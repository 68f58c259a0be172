"""When a broker and our books agree, when they cannot be compared, and what an explanation covers."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from trading.core.reconciliation import (
    CASH_TOLERANCE,
    Awaited,
    Finding,
    Holdings,
    answer_key,
    compare,
    confirmed,
    is_explained,
    moved,
)

D = Decimal
NONE = Awaited()


def holdings(cash: str = "1000", currency: str = "USD", **units: Any) -> Holdings:
    return Holdings(currency, D(cash), {symbol: D(count) for symbol, count in units.items()})


def keys(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.kind, one.key) for one in found]


class TestCompare:
    def test_the_same_is_no_break(self) -> None:
        assert compare(ours=holdings(AAA=5), theirs=holdings(AAA=5, BBB=0), awaited=NONE) == []

    @pytest.mark.parametrize(("cents", "agrees"), [("0.01", True), ("-0.01", True), ("0.01000001", False)])
    def test_cash_agrees_to_one_cent(self, cents: str, agrees: bool) -> None:
        assert D("0.01") == CASH_TOLERANCE
        theirs = Holdings("USD", D(1000) + D(cents), {})
        assert (compare(ours=holdings(), theirs=theirs, awaited=NONE) == []) is agrees

    @pytest.mark.parametrize(
        ("more", "rounding", "agrees"),
        [
            (
                "0.05",
                ("0.03", "0.04"),
                True,
            ),  # each fill in whole cents, half ones up, and the rest told in cents
            ("0.02", ("0.03", "0.04"), True),  # several fills together
            ("0", ("0.03", "0.04"), True),  # as exactly as we do
            ("0.0501", ("0.03", "0.04"), False),
            ("-0.0101", ("0.03", "0.04"), False),  # the other way
            ("-0.04", ("-0.03", "-0.02"), True),
            ("0.0101", ("-0.03", "-0.02"), False),
        ],
    )
    def test_cash_may_differ_by_the_rounding_of_its_fills(
        self, more: str, rounding: tuple[str, str], agrees: bool
    ) -> None:
        ours = replace(holdings(), rounding=(D(rounding[0]), D(rounding[1])))
        found = compare(ours=ours, theirs=Holdings("USD", D(1000) + D(more), {}), awaited=NONE)
        assert (found == []) is agrees
        assert all(one.ours["rounding"] == ours.rounding for one in found)

    @pytest.mark.parametrize(
        "theirs",
        [
            {"AAA": 6},  # one more
            {"AAA": 4},
            {},  # gone
            {"AAA": -5},  # short
        ],
    )
    def test_each_symbol_of_either_side_is_compared(self, theirs: dict[str, Any]) -> None:
        (found,) = compare(ours=holdings(AAA=5), theirs=holdings(**theirs), awaited=NONE)
        assert (found.kind, found.key, found.ours) == ("position", "AAA", {"quantity": 5})
        assert found.theirs == {"quantity": theirs.get("AAA", 0)}

    def test_what_we_never_had_is_a_position_too(self) -> None:
        assert keys(compare(ours=holdings(), theirs=holdings(ZZZ=1), awaited=NONE)) == [("position", "ZZZ")]

    def test_a_difference_of_awaited_fills_is_none(self) -> None:
        awaited = Awaited({"AAA": D(5)}, D(-500))
        assert compare(ours=holdings(), theirs=holdings("500", AAA=5), awaited=awaited) == []
        found = compare(ours=holdings(), theirs=holdings("500", AAA=6), awaited=awaited)
        assert keys(found) == [("position", "AAA")]

    def test_another_currency_cannot_agree(self) -> None:
        (found,) = compare(ours=holdings(), theirs=holdings(currency="EUR"), awaited=NONE)
        assert (found.kind, found.key) == ("cash", "EUR")


class TestTwoLooks:
    def test_only_the_same_numbers_twice_are_confirmed(self) -> None:
        first = compare(
            ours=holdings(AAA=5, BBB=1, CCC=1), theirs=holdings(AAA=6, BBB=2, CCC=2), awaited=NONE
        )
        second = compare(
            ours=holdings(AAA=5, BBB=1, CCC=2), theirs=holdings(AAA=6, BBB=4, CCC=3), awaited=NONE
        )
        assert keys(confirmed(first, second)) == [("position", "AAA")]

    def test_what_moved_in_our_books_is_not_judged(self) -> None:
        before, after = holdings(AAA=5, BBB=1), holdings("900", AAA=6, BBB=1)
        assert moved(before, after) == {("position", "AAA"), ("cash", "USD")}
        assert moved(before, before) == frozenset()


def explained(kind: str, now: Finding, *, ours: Any, theirs: Any, went_on: bool = True) -> bool:
    return is_explained(kind, was=(ours, theirs, "why"), now=now, went_on=went_on)


class TestExplanations:
    def test_a_difference_stays_explained_while_both_sides_move_alike(self) -> None:
        was: Any = {"ours": {"quantity": "5"}, "theirs": {"quantity": "7"}}
        same = Finding("position", "AAA", "", {"quantity": "7"}, {"quantity": "9"})
        assert explained("position", same, **was)
        more = Finding("position", "AAA", "", {"quantity": "7"}, {"quantity": "9.00000001"})
        assert not explained("position", more, **was)

    def test_one_that_was_gone_in_between_is_a_new_one(self) -> None:
        same = Finding("position", "AAA", "", {"quantity": "5"}, {"quantity": "7"})
        assert not explained(
            "position", same, ours={"quantity": "5"}, theirs={"quantity": "7"}, went_on=False
        )

    @pytest.mark.parametrize(("cash", "same"), [("20.01", True), ("20.02", False)])
    def test_cash_may_differ_by_its_tolerance(self, cash: str, same: bool) -> None:
        was: Any = {"ours": {"currency": "USD", "cash": "10"}, "theirs": {"currency": "USD", "cash": "15"}}
        theirs = {"currency": "USD", "cash": cash}
        now = Finding("cash", "USD", "", {"currency": "USD", "cash": "15"}, theirs)
        assert explained("cash", now, **was) is same

    @pytest.mark.parametrize(
        ("accrued", "cash", "same"),
        [("0.30", "14.70", True), ("0.30", "14.60", False), ("0", "15.20", True), ("0", "15.30", False)],
    )
    def test_and_by_what_is_accrued_and_charged_since(self, accrued: str, cash: str, same: bool) -> None:
        was = {
            "ours": {"currency": "USD", "cash": "10"},
            "theirs": {"currency": "USD", "cash": "15", "accrued": "0.20"},
        }
        theirs = {"currency": "USD", "cash": cash, "accrued": D(accrued)}
        now = Finding("cash", "USD", "", {"currency": "USD", "cash": "10"}, theirs)
        assert explained("cash", now, **was) is same

    @pytest.mark.parametrize(("cash", "same"), [("20.04", True), ("20.05", False), ("19.98", False)])
    def test_and_by_the_rounding_since(self, cash: str, same: bool) -> None:
        was: Any = {
            "ours": {"currency": "USD", "cash": "10", "rounding": ["0.5", "0.51"]},
            "theirs": {"currency": "USD", "cash": "15"},
        }
        ours = {"currency": "USD", "cash": "15", "rounding": (D("0.52"), D("0.54"))}
        now = Finding("cash", "USD", "", ours, {"currency": "USD", "cash": cash})
        assert explained("cash", now, **was) is same

    @pytest.mark.parametrize(("status", "same"), [("accepted", True), ("cancelling", False)])
    def test_an_order_in_another_state_is_a_new_one(self, status: str, same: bool) -> None:
        now = Finding("order", "x", "", {"status": status, "filled": "0"}, {})
        assert explained("order", now, ours={"status": "accepted", "filled": "0"}, theirs={}) is same

    @pytest.mark.parametrize(
        ("status", "state", "same"),
        [
            ("cancelled", "cancelled", True),
            ("cancelled", "accepted", False),
            ("accepted", "cancelled", False),
        ],
    )
    def test_an_order_that_is_over_on_both_sides_need_not_be_seen_each_time(
        self, status: str, state: str, same: bool
    ) -> None:
        told: Any = {"ours": {"status": status, "filled": "6"}, "theirs": {"state": state, "filled": "5"}}
        assert explained("order", Finding("order", "x", "", **told), **told, went_on=False) is same

    @pytest.mark.parametrize("kind", ["foreign_order", "foreign_execution"])
    def test_what_happened_is_explained_for_ever(self, kind: str) -> None:
        now = Finding(kind, "x", "other", {}, {"state": "filled"})
        assert explained(kind, now, ours={}, theirs={"state": "accepted"}, went_on=False)

    @pytest.mark.parametrize(("detail", "same"), [("why", True), ("another", False)])
    def test_another_fault_of_a_report_is_a_new_one(self, detail: str, same: bool) -> None:
        now = Finding("bad_report", "x", detail)
        assert explained("bad_report", now, ours={}, theirs={}, went_on=False) is same

    @pytest.mark.parametrize("went_on", [True, False])
    def test_a_whole_answer_is_explained_until_there_is_one_that_can_be_used(self, went_on: bool) -> None:
        now = Finding("bad_report", answer_key("positions", "why"), "why")
        assert explained("bad_report", now, ours={}, theirs={}, went_on=went_on) is went_on
