"""A feed that was away within trading hours says so with its first tick, once, also in a new process."""

import json
from datetime import time, timedelta
from decimal import Decimal

import pytest

from journal.models import Entry
from market.core.ticks import QuoteTick, Tick
from market.models import Snapshot
from market.services.feed_state import load_state
from market.services.ingest import apply_tick

from .conftest import moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("instruments")]


def said(state, lease, day, at, *, provider="alpaca"):
    """A quote of this moment of January 2004 comes in."""
    price = Decimal(100)
    quote = QuoteTick("AAPL", price - 1, price + 1, price, Decimal(0))
    apply_tick(
        state=state,
        tick=Tick(at=moment(day, at), quotes=(quote,)),
        lease=lease,
        lease_seconds=60,
        provider=provider,
    )


def away(*, minutes):
    """So much of the database's time passes, in which the feed does not run; its state as it is when it comes back."""
    newest = Snapshot.objects.latest("version")
    Snapshot.objects.filter(pk=newest.pk).update(
        published_at=newest.published_at - timedelta(minutes=minutes)
    )
    return load_state()


def told():
    rows = Entry.objects.filter(kind="market.feed_was_silent").order_by("seq")
    return [json.loads(row.payload) for row in rows]


def test_it_is_recorded_with_from_and_until(lease):
    said(load_state(), lease, 5, time(15, 0))
    state = away(minutes=90)
    said(state, lease, 5, time(16, 30))
    (silence,) = told()
    assert silence["provider"] == "alpaca"
    assert (silence["since"], silence["until"]) == ("2004-01-05T15:00:00Z", "2004-01-05T16:30:00Z")
    assert silence["seconds_of_hours"] == 90 * 60
    assert 90 * 60 <= silence["seconds_away"] < 90 * 60 + 60
    said(state, lease, 5, time(16, 31))
    assert len(told()) == 1


@pytest.mark.parametrize(
    ("last", "minutes", "first"),
    [
        ((5, time(15, 0)), 5, (5, time(15, 5))),  # short
        ((5, time(21, 0)), 60 * 17, (6, time(14, 30))),  # a night
        ((9, time(20, 57)), 60 * 66, (12, time(14, 31))),  # a weekend, and four minutes of hours
        ((5, time(15, 0)), 0, (5, time(21, 0))),  # a replay: hours in a moment
    ],
)
def test_what_is_short_or_outside_of_hours_or_a_replays_pace_is_none(lease, last, minutes, first):
    said(load_state(), lease, *last)
    said(away(minutes=minutes - 0.5), lease, *first)
    assert told() == []


def test_the_first_tick_of_all_ends_no_silence(lease):
    said(load_state(), lease, 7, time(15, 0))
    assert told() == []
