"""What a dividend pays, and what a split leaves."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolios.core.corporate_actions import SplitTerms, dividend, split

D = Decimal


@pytest.mark.parametrize(
    ("quantity", "amount", "cash"),
    [
        ("100", "0.24", "24.00"),
        ("1", "0.005", "0.01"),  # half a cent is paid
        ("1", "0.00499999", "0.00"),  # less is not
        ("37", "0.3325", "12.30"),  # 12.3025
    ],
)
def test_a_dividend_is_paid_in_whole_cents(quantity: str, amount: str, cash: str) -> None:
    assert dividend(D(quantity), amount=D(amount)) == D(cash)


@pytest.mark.parametrize(
    ("quantity", "new", "old", "added", "fraction"),
    [
        (100, 2, 1, "100", "0"),
        (100, 3, 2, "50", "0"),
        (101, 3, 2, "50.5", "0.5"),  # 151.5
        (100, 1, 10, "-90", "0"),
        (105, 1, 10, "-94.5", "0.5"),  # 10.5
        (9, 1, 10, "-8.1", "0.9"),  # nothing whole is left
        (10, 1, 3, "-6.66666667", "0.33333333"),  # 3.33333333: the ninth place is dropped
    ],
)
def test_new_for_old(quantity: int, new: int, old: int, added: str, fraction: str) -> None:
    terms = split(D(quantity), new_units=new, old_units=old, lot=D(1))
    assert terms == SplitTerms(added=D(added), fraction=D(fraction))


def test_whole_units_that_are_less_than_a_lot_stay() -> None:
    assert split(D(100), new_units=3, old_units=2, lot=D(100)) == SplitTerms(added=D(50), fraction=D(0))
    assert split(D(101), new_units=3, old_units=2, lot=D(100)).fraction == D("0.5")


def test_a_finer_lot_keeps_the_fraction() -> None:
    assert split(D(101), new_units=3, old_units=2, lot=D("0.1")).fraction == 0


@given(quantity=st.integers(1, 10**15), new=st.integers(1, 1000), old=st.integers(1, 1000))
def test_nobody_gets_more_than_his_share(quantity: int, new: int, old: int) -> None:
    held = D(quantity) / 10**8
    terms = split(held, new_units=new, old_units=old, lot=D(1))
    after = held + terms.added
    assert after * old <= held * new < (after + D("0.00000001")) * old
    assert 0 <= terms.fraction < 1 and (after - terms.fraction) % 1 == 0
