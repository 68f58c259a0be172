"""What is read in bulk is what Django would have read, one by one."""

import gc
import sys
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import DataError, connection, transaction
from psycopg import Cursor

from foundation.arrays import array_text
from foundation.asking import Steps, asking, attach, together
from foundation.copying import copy_in
from foundation.loading import load, new, selected
from portfolios.models import BrokerAccount, Portfolio

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-30 00:10:00+00", datetime(2026, 11, 30, 0, 10, tzinfo=UTC)),
        ("2026-11-30 00:10:00.12+00", datetime(2026, 11, 30, 0, 10, 0, 120_000, tzinfo=UTC)),
        ("2026-11-30 05:40:00.000001+05:30", datetime(2026, 11, 30, 0, 10, 0, 1, tzinfo=UTC)),
        ("0001-01-01 00:00:00+00", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_timestamp_is_read_to_the_microsecond_in_utc(db: object, text: str, moment: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz", [text])
        (read,) = cursor.fetchone()
    assert read == moment and read.tzinfo is UTC


def test_an_answer_is_let_go_once_its_timestamps_are_read(db: object) -> None:
    """They are kept by their texts, and what psycopg gives as text is a view of the whole answer."""
    connection.ensure_connection()
    cursor = Cursor(connection.connection)
    cursor.execute("SELECT clock_timestamp()")
    answer = cursor.pgresult
    (found,) = cursor.fetchall()
    del cursor
    gc.collect()
    assert found and sys.getrefcount(answer) == 2, "this test's own, and the one of the call"


def test_within_finds_what_in_finds_by_own_and_by_foreign_keys(db: object) -> None:
    copy_in(portfolios := [Portfolio(name=name) for name in "abc"])
    copy_in([BrokerAccount(portfolio=row) for row in portfolios])
    some = [row.id for row in portfolios[:2]]
    assert set(Portfolio.objects.filter(id__within=some)) == set(Portfolio.objects.filter(id__in=some))
    assert set(Portfolio.objects.filter(name__within={"a", "c", "d"}).values_list("name", flat=True)) == {
        "a",
        "c",
    }
    accounts = BrokerAccount.objects.filter(portfolio_id__within=some)
    assert set(accounts) == set(BrokerAccount.objects.filter(portfolio_id__in=some))
    assert not Portfolio.objects.filter(id__within=[]).exists()


def test_a_text_longer_than_its_column_is_not_found_by_its_beginning(db: object) -> None:
    length = Portfolio._meta.get_field("name").max_length
    assert length is not None
    copy_in([Portfolio(name="a" * length)])
    assert not Portfolio.objects.filter(name__within=["a" * length + "b"]).exists()


def test_attached_rows_are_shared_and_ask_for_nothing_more(
    db: object, django_assert_num_queries: object
) -> None:
    copy_in([Portfolio(name="a")])
    portfolio = Portfolio.objects.get()
    copy_in([BrokerAccount(portfolio=portfolio)])
    rows = load(BrokerAccount.objects.all()) + load(BrokerAccount.objects.all())
    attach(rows, "portfolio")
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert {row.portfolio for row in rows} == {portfolio}
    assert rows[0].portfolio is rows[1].portfolio


def test_an_array_of_keys_and_numbers_arrives_as_it_was(db: object) -> None:
    ids, numbers = [uuid4(), uuid4()], [Decimal("1E+3"), None, Decimal("0E-8"), Decimal("-1.00000001")]
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::uuid[], %s::numeric[]", [array_text(ids), array_text(numbers)])
        assert cursor.fetchone() == (ids, numbers)


def test_an_array_of_texts_and_times_arrives_as_it_was(db: object) -> None:
    texts = ["plain", 'a"b\\c, {d}', "NULL", "", "é\n\t", None]
    times = [datetime(2026, 11, 30, 0, 10, 0, 1, tzinfo=UTC), None]
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::text[], %s::timestamptz[]", [array_text(texts), array_text(times)])
        assert cursor.fetchone() == (texts, times)


def test_a_new_row_has_the_defaults_of_its_model_and_keys_of_its_own(db: object) -> None:
    portfolio, other = new(Portfolio, name="a"), new(Portfolio, name="b")
    assert portfolio.id != other.id and portfolio._state.adding
    account = new(BrokerAccount, related={"portfolio": portfolio})
    portfolio.save()
    account.save()
    stored, made = BrokerAccount.objects.get(), BrokerAccount(portfolio=portfolio)
    names = [field.attname for field in BrokerAccount._meta.concrete_fields]
    names = [name for name in names if name not in ("id", "created_at")]
    assert [getattr(stored, name) for name in names] == [getattr(made, name) for name in names]
    assert account.portfolio is portfolio


def test_a_new_row_takes_no_attribute_that_its_model_has_not(db: object) -> None:
    with pytest.raises(TypeError, match="Portfolio has no nam"):
        new(Portfolio, nam="a")


@asking
def _twice(number: int) -> Steps[int]:
    """Asks, and then asks with the answer."""
    (((doubled,),),) = yield [("SELECT %s::int * 2", [number])]
    ((again,),), ((one,),) = yield [("SELECT %s::int * 2", [doubled]), ("SELECT 1", ())]
    return int(again + one)


@asking
def _nothing() -> Steps[str]:
    yield []
    return "nothing asked"


def test_who_asks_together_gets_what_each_gets_alone(db: object) -> None:
    assert together(_twice.steps(1), _nothing.steps(), _twice.steps(10)) == [5, "nothing asked", 41]
    assert (_twice(1), _nothing(), _twice(10)) == (5, "nothing asked", 41)
    assert together() == []


def test_a_query_that_fails_fails_all_and_leaves_the_connection_usable(db: object) -> None:
    @asking
    def wrong() -> Steps[None]:
        yield [("SELECT 1 / 0", ())]

    with pytest.raises(DataError, match="division by zero"), transaction.atomic():
        together(_twice.steps(1), wrong.steps())
    assert _twice(2) == 9


def test_a_statement_that_comes_again_is_prepared(db: object) -> None:
    for number in range(5):
        assert selected("SELECT %s::int + 1 AS of_this_test", [number]) == [(number + 1,)]
    ((prepared,),) = selected(
        "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s::text", ["%of_this_test%"]
    )
    assert prepared == 1
