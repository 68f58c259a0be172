"""What of the announcements is new, beside what is recorded: each counts once, and people judge corrections."""

from datetime import date
from decimal import Decimal

from market.core.announced import Announced, Recorded, news

DAY = date(2004, 1, 13)


def dividend(external_id: str, amount: str) -> Announced:
    return Announced(external_id=external_id, symbol="IBM", ex_day=DAY, amount=Decimal(amount))


def split(external_id: str, new_units: int) -> Announced:
    return Announced(external_id=external_id, symbol="IBM", ex_day=DAY, new_units=new_units, old_units=1)


def recorded(one: Announced, *, withdrawn: bool = False) -> Recorded:
    return Recorded(
        external_id=one.external_id, symbol=one.symbol, ex_day=one.ex_day, amount=one.amount,
        new_units=one.new_units, old_units=one.old_units, withdrawn=withdrawn,
    )  # fmt: skip


def found(told: list[Announced], known: list[Recorded]) -> list[tuple[str, str | None]]:
    """Ids of what is new, each with that of what it seems to correct."""
    return [
        (one.external_id, former.external_id if former is not None else None)
        for one, former in news(told=told, recorded=known)
    ]


def test_one_record_stands_for_one_dividend_only() -> None:
    told = [dividend("a:1", "0.25"), dividend("a:2", "0.25")]
    assert found(told, [recorded(dividend("by hand", "0.250"))]) == [("a:2", None)]


def test_what_is_recorded_under_its_own_id_stands_for_no_other() -> None:
    told = [dividend("a:1", "0.25"), dividend("a:2", "0.25")]
    assert found(told, [recorded(told[0])]) == [("a:2", None)]


def test_only_what_its_source_told_before_is_corrected() -> None:
    told = [dividend("a:2", "0.26")]
    assert found(told, [recorded(dividend("by hand", "0.25"))]) == [("a:2", None)]
    assert found(told, [recorded(dividend("b:1", "0.25"))]) == [("a:2", None)]
    assert found(told, [recorded(dividend("a:1", "0.25"))]) == [("a:2", "a:1")]


def test_what_agrees_is_settled_before_anything_is_taken_for_a_correction() -> None:
    told = [dividend("a:3", "0.05"), dividend("a:4", "0.25")]
    assert found(told, [recorded(dividend("a:1", "0.25"))]) == [("a:3", None)]


def test_a_known_split_that_is_told_with_another_ratio_is_for_people() -> None:
    assert found([split("a:s", 3)], [recorded(split("a:s", 2))]) == [("a:s", "a:s")]
    assert found([split("a:s", 3)], [recorded(split("a:s", 2), withdrawn=True)]) == []


def test_a_dividend_stands_for_no_split_and_a_split_for_no_dividend() -> None:
    assert found([split("a:s", 2)], [recorded(dividend("a:1", "0.25"))]) == [("a:s", None)]
    assert found([dividend("a:1", "0.25")], [recorded(split("a:s", 2))]) == [("a:1", None)]
