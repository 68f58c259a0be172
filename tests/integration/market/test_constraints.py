"""What must never be, the database itself refuses."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from market.models import (
    Bar,
    CalendarDay,
    Instrument,
    Quote,
    Recommendation,
    RecommendationSource,
    Snapshot,
)

from .conftest import moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def refused(constraint):
    return pytest.raises(IntegrityError, match=constraint)


def bar(instrument, **changes):
    parts = {"open": 10, "high": 12, "low": 9, "close": 11, "volume": 5, "at": moment(5)}
    return Bar(instrument=instrument, **(parts | changes))


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"high": Decimal("10.5")}, "high_is_highest"),  # below the close
        ({"low": Decimal("10.5")}, "low_is_lowest"),  # above the open
        ({"open": 0, "low": 0}, "prices_positive"),
        ({"volume": -1}, "volume_not_negative"),
        ({"interval": "1h"}, "known_interval"),
    ],
)
def test_a_contradictory_bar(instruments, change, constraint):
    bar(instruments[0]).save()
    with refused(constraint), transaction.atomic():
        bar(instruments[0], at=moment(6), **change).save()


def test_a_second_bar_of_the_same_time(instruments):
    bar(instruments[0]).save()
    bar(instruments[1]).save()
    with refused("market_bar_once"), transaction.atomic():
        bar(instruments[0]).save()


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
def test_a_price_that_is_not_a_number_even_in_raw_sql(instruments, column):
    bar(instruments[0]).save()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE market_bar SET {column} = 'NaN'")


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"bid": 12}, "not_crossed"),
        ({"bid": 0}, "prices_positive"),
        ({"last": 0}, "prices_positive"),
        ({"volume": -1}, "volume_not_negative"),
    ],
)
def test_a_bad_quote(instruments, change, constraint):
    parts = {
        "bid": 10,
        "ask": 11,
        "last": 10,
        "volume": 0,
        "market_time": moment(5),
        "received_at": moment(5),
    }
    with refused(constraint), transaction.atomic():
        Quote.objects.create(instrument=instruments[0], **(parts | change))
    Quote.objects.create(instrument=instruments[0], **parts)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"recommendation": "MAYBE"}, "known_class"),
        ({"confidence": 1.1}, "confidence_range"),
        ({"confidence": float("nan")}, "confidence_range"),
        ({"expires_at": moment(5)}, "expires_later"),
        ({"expected_return_percentage": float("nan")}, "return_range"),
        ({"target_price": 0}, "prices_positive"),
        ({"external_id": ""}, "has_external_id"),
    ],
)
def test_bad_advice(instruments, change, constraint):
    parts = {
        "source": RecommendationSource.objects.create(name="demo"),
        "instrument": instruments[0],
        "external_id": "1",
        "recommendation": "BUY",
        "confidence": 0.5,
        "as_of": moment(5),
        "expires_at": moment(6),
    }
    with refused(constraint), transaction.atomic():
        Recommendation.objects.create(**(parts | change))
    Recommendation.objects.create(**parts)
    with refused("market_recommendation_once"), transaction.atomic():
        Recommendation.objects.create(**parts)


def test_an_instrument_needs_a_tick_and_a_lot(instruments):
    with refused("tick_positive"), transaction.atomic():
        Instrument.objects.update(tick_size=0)
    with refused("lot_positive"), transaction.atomic():
        Instrument.objects.update(lot_size=-1)


def test_a_session_closes_after_it_opens_and_a_day_stands_once(exchange):
    day = CalendarDay.objects.first()
    with refused("closes_after_opening"), transaction.atomic():
        CalendarDay.objects.filter(pk=day.pk).update(closes_at=day.opens_at)
    with refused("calendar_day_once"), transaction.atomic():
        CalendarDay.objects.create(
            exchange=exchange,
            day=day.day,
            opens_at=day.opens_at,
            closes_at=day.closes_at + timedelta(hours=1),
        )


def test_a_snapshots_version_is_positive_and_unique():
    with refused("version_positive"), transaction.atomic():
        Snapshot.objects.create(version=0, as_of=moment(5), digest="", payload=b"")
    Snapshot.objects.create(version=1, as_of=moment(5), digest="", payload=b"")
    with refused("pkey"), transaction.atomic():
        Snapshot.objects.create(version=1, as_of=moment(5), digest="", payload=b"")
