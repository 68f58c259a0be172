"""Rows by COPY are the rows that an INSERT would have made, and are refused where it would be."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from foundation.clock import database_now
from foundation.copying import FEW, copy_in, copy_values
from foundation.loading import load
from portfolios.models import Portfolio

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_values_and_the_databases_defaults_arrive(db: object) -> None:
    given = Portfolio(name='tab\there, \\ and "quotes"', cash=Decimal("1.00000001"))
    copy_in([given])
    (stored,) = Portfolio.objects.all()
    assert (stored.id, stored.name, stored.cash) == (given.id, given.name, given.cash)
    assert stored.four_eyes is False and abs(database_now() - stored.created_at) < timedelta(minutes=5)


@pytest.mark.parametrize("fine", [1, FEW])
def test_a_constraint_refuses_all_of_them(db: object, fine: int) -> None:
    with pytest.raises(IntegrityError, match="reserved_cash"), transaction.atomic():
        copy_values(
            Portfolio, ("id", "name", "base_currency", "cash", "reserved_cash", "realised_pnl"),
            [*[(uuid4(), "good", "USD", 0, 0, 0) for _ in range(fine)], (uuid4(), "bad", "USD", 0, -1, 0)],
        )  # fmt: skip
    assert not Portfolio.objects.exists()


@pytest.mark.parametrize("count", [3, FEW + 1])
def test_rows_that_are_stored_together_have_one_time(db: object, count: int) -> None:
    """By which they are put into order, and whose name or key decides then."""
    copy_in([Portfolio(name=str(number)) for number in range(count)])
    assert Portfolio.objects.values("created_at").distinct().count() == 1


def test_a_default_is_for_all_rows_or_for_none(db: object) -> None:
    with pytest.raises(ValueError, match="created_at"):
        copy_in([Portfolio(name="a"), Portfolio(name="b", created_at=database_now())])


def test_loaded_rows_are_those_of_the_query_and_can_be_saved(db: object) -> None:
    copy_in([Portfolio(name="b"), Portfolio(name="a")])
    rows = load(Portfolio.objects.order_by("name"))
    assert rows == list(Portfolio.objects.order_by("name"))
    assert [row.name for row in rows] == ["a", "b"]
    rows[0].name = "c"
    rows[0].save()
    assert set(Portfolio.objects.values_list("name", flat=True)) == {"b", "c"}


def test_few_rows_and_many_are_stored_alike(db: object) -> None:
    """Few go by INSERTs and many by COPY, and a value is the same by either way."""
    values = ['tab\there, \\ and "quotes"', "%s", "", "\\N"]
    few = [Portfolio(name=name, cash=Decimal("1E+3"), four_eyes=True) for name in values]
    many = [Portfolio(name=name, cash=Decimal("1E+3"), four_eyes=True) for name in values * FEW]
    for rows in (few, many):
        copy_in(rows)
        stored = Portfolio.objects.in_bulk([row.id for row in rows])
        assert [(stored[row.id].name, stored[row.id].cash, stored[row.id].four_eyes) for row in rows] == [
            (row.name, Decimal(1000), True) for row in rows
        ]
