"""A stop that a breaker armed because somebody was not heard ends when he is again; every other stop stays."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.models import F

from foundation import heartbeats
from foundation.clock import database_now
from foundation.models import Heartbeat
from journal.models import Alert, Entry
from market.models import Snapshot
from portfolios.models import BrokerAccount
from tests.harness.at_broker import connect
from tests.harness.trading import Desk, Market
from trading.core.breakers import OF_OUTAGES, SETTLED_SECONDS, Breaker
from trading.models import Halt, Reconciliation
from trading.services.breakers import trip
from trading.services.emergency_stop import arm, release_after_outage
from trading.services.outages import release_what_is_over
from trading.services.watching import watch_breakers

pytestmark = pytest.mark.integration
LIMIT = 60
HOUR = 3600.0


def ago(seconds: float) -> datetime:
    return database_now() - timedelta(seconds=seconds)


def heard(*, feed: float | None = None, beat: float | None = None) -> None:
    """The last signs are so many seconds old."""
    if feed is not None:
        Snapshot.objects.update(published_at=ago(feed))
    if beat is not None:
        heartbeats.beat(component="beat")
        Heartbeat.objects.filter(component="beat").update(at=ago(beat))


def tripped(
    breaker: str, *, seconds_ago: float, scope: str = "platform", scope_id: str = "", episode: str = "first"
) -> Halt:
    numbers = {"limit": LIMIT}
    halt = trip(
        breaker=breaker, scope=scope, scope_id=scope_id, episode=episode, reason="silent", numbers=numbers
    )
    assert halt is not None
    Halt.objects.filter(pk=halt.pk).update(armed_at=ago(seconds_ago))
    return halt


@pytest.fixture
def trading(desk: Desk, market: Market) -> Desk:
    """Alice's session runs on a market; feed and beat are heard now."""
    heard(feed=0, beat=0)
    return desk


def half_a_minute_passes(*, looks: bool = True) -> None:
    """Since the last look; `looks`: others have been in between."""
    change: dict[str, Any] = {"heard_since": F("heard_since") - timedelta(seconds=SETTLED_SECONDS)}
    if not looks:
        change["heard_at"] = F("heard_at") - timedelta(seconds=SETTLED_SECONDS)
    Halt.objects.update(**change)


@pytest.mark.parametrize("breaker", ["feed_silence", "beat_silence"])
@pytest.mark.parametrize("scope", ["platform", "portfolio"])
def test_when_who_was_silent_is_heard_again_entries_go_on(
    trading: Desk, market: Market, breaker: str, scope: str
) -> None:
    key = str(trading.portfolio.id) if scope == "portfolio" else ""
    halt = tripped(breaker, seconds_ago=SETTLED_SECONDS + 5, scope=scope, scope_id=key)
    market.advise("AAA")
    trading.step()
    assert trading.held("AAA") == 0
    heard(feed=0, beat=0)
    watch_breakers()
    half_a_minute_passes()
    watch_breakers()
    halt.refresh_from_db()
    assert halt.released_at is not None and halt.released_by is None
    trading.step()
    assert trading.held("AAA") > 0
    payload = json.loads(Entry.objects.get(kind="halt.released").payload)
    assert (payload["actor"], payload["breaker"]) == ("system", breaker)
    alert = Alert.objects.get(kind="halt.released")
    assert alert.severity == "warning" and alert.message.endswith("what its breaker missed is heard again")


@pytest.mark.parametrize(
    ("armed_ago", "last_sign"),
    [
        (SETTLED_SECONDS - 5, 0.0),  # back for too short a time
        (HOUR, HOUR + 10),  # not heard since
        (HOUR, LIMIT + 5.0),  # it came back, and is silent again
        (HOUR, HOUR - SETTLED_SECONDS + 5),  # it came back and went at once
    ],
)
def test_until_it_is_settled_they_do_not(trading: Desk, armed_ago: float, last_sign: float) -> None:
    tripped("beat_silence", seconds_ago=armed_ago)
    heard(beat=last_sign)
    assert release_what_is_over() == []
    assert Halt.objects.get().released_at is None


def test_who_comes_and_goes_is_not_back(trading: Desk) -> None:
    """One sign every two minutes: at each of them he is heard, and was not for long enough."""
    tripped("beat_silence", seconds_ago=HOUR)
    for _ in range(3):
        heard(beat=0)
        assert release_what_is_over() == []
        half_a_minute_passes(looks=False)
    for _ in range(3):
        heard(beat=0)
        assert release_what_is_over() == []
        half_a_minute_passes()
        heard(beat=LIMIT + 5.0)
        assert release_what_is_over() == []
    heard(beat=0)
    assert release_what_is_over() == []


def test_one_that_cannot_be_released_keeps_no_other(trading: Desk) -> None:
    broken = tripped("feed_silence", seconds_ago=HOUR)
    Halt.objects.filter(pk=broken.pk).update(numbers={})
    tripped("beat_silence", seconds_ago=HOUR)
    heard(feed=0, beat=0)
    assert release_what_is_over() == []
    half_a_minute_passes()
    (over,) = release_what_is_over()
    assert over.armed_by_breaker == "beat_silence"


def test_who_was_never_heard_is_not_back(trading: Desk) -> None:
    tripped("beat_silence", seconds_ago=HOUR)
    Heartbeat.objects.all().delete()
    assert release_what_is_over() == []


def test_the_feed_is_not_back_because_beat_is(trading: Desk) -> None:
    tripped("feed_silence", seconds_ago=HOUR)
    heard(feed=HOUR + 5, beat=0)
    assert release_what_is_over() == []


def test_what_stopped_for_another_reason_stays(trading: Desk) -> None:
    account, portfolio = str(connect(trading).pk), str(trading.portfolio.id)
    arm(scope="platform", reason="pressed", actor=trading.owner)
    arm(scope="platform", mode="reduce_only", reason="by the command line", actor=None)
    for breaker in set(Breaker) - OF_OUTAGES:
        of_account = breaker == Breaker.RECONCILIATION
        scope, key = ("account", account) if of_account else ("portfolio", portfolio)
        tripped(breaker, seconds_ago=HOUR, scope=scope, scope_id=key)
    Halt.objects.update(armed_at=ago(HOUR))
    assert release_what_is_over() == []
    for halt in Halt.objects.all():
        assert release_after_outage(halt_id=halt.pk) is None
    assert not Halt.objects.exclude(released_at=None).exists()


def test_it_trips_again_in_the_next_silence(trading: Desk) -> None:
    tripped("beat_silence", seconds_ago=SETTLED_SECONDS + 5)
    heard(beat=0)
    assert release_what_is_over() == []
    half_a_minute_passes()
    (over,) = release_what_is_over()
    assert release_what_is_over() == []
    assert release_after_outage(halt_id=over.pk) is None, "it is over already"
    tripped("beat_silence", seconds_ago=0, episode="second")


@pytest.mark.parametrize(
    ("finished_ago", "failure", "over"),
    [
        (5.0, "", True),
        (5.0, "AskFailed: away", False),
        (2 * HOUR, "", False),
    ],
)
def test_an_account_that_is_compared_again_makes_entries_again(
    trading: Desk, finished_ago: float, failure: str, over: bool
) -> None:
    account = connect(trading)
    BrokerAccount.objects.update(connected_at=ago(3 * HOUR))
    tripped("unreconciled", seconds_ago=HOUR, scope="account", scope_id=str(account.pk))
    row = Reconciliation.objects.create(
        account=account, trigger="periodic", failure=failure, finished_at=ago(finished_ago)
    )
    Reconciliation.objects.filter(pk=row.pk).update(started_at=ago(finished_ago + 1))
    assert release_what_is_over() == []
    half_a_minute_passes()
    assert bool(release_what_is_over()) is over


def test_an_account_that_is_gone_from_its_broker_is_not_compared_again(trading: Desk) -> None:
    account = connect(trading)
    tripped("unreconciled", seconds_ago=HOUR, scope="account", scope_id=str(account.pk))
    BrokerAccount.objects.update(broker="paper")
    assert release_what_is_over() == []
