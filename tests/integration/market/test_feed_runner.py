"""The feed's loop with a clock of ours: it publishes, stands by, and knows when the data has ended."""

from datetime import UTC, datetime

import pytest

from foundation import leases, wakeups
from foundation.models import Heartbeat, Lease
from journal.core.events import PLATFORM_STREAM
from journal.models import Entry
from market.feed import runner as runner_module
from market.feed.providers import build as build_provider
from market.feed.runner import StopFlag
from market.models import Bar, Instrument, Snapshot
from market.services.corporate_actions import NewCorporateAction, record
from market.services.load import load_sample_market

from .conftest import runner, times

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def no_wakeups(monkeypatch):
    sent = []
    monkeypatch.setattr(wakeups, "wake", lambda *args, **kwargs: sent.append(args))
    monkeypatch.setattr(runner_module, "wake", lambda name, **kwargs: sent.append((name,)))
    return sent


@pytest.fixture
def sample(settings):
    settings.REPLAY_START = "2000-03-10"
    load_sample_market()


def run(clock, ticks):
    """Let a new feed publish so many ticks."""
    runner(clock, StopFlag(), ticks_max=ticks).run()


def test_it_publishes_at_its_pace_from_the_replays_start(sample, clock):
    run(clock, 6)
    assert times() == [
        datetime(2000, 3, 10, 14, 30, tzinfo=UTC),
        datetime(2000, 3, 10, 21, 0, tzinfo=UTC),
        datetime(2000, 3, 10, 21, 1, 30, tzinfo=UTC),
        datetime(2000, 3, 13, 14, 30, tzinfo=UTC),
        datetime(2000, 3, 13, 21, 0, tzinfo=UTC),
        datetime(2000, 3, 13, 21, 1, 30, tzinfo=UTC),
    ]
    assert clock.now == pytest.approx(5 / 3)
    assert Bar.objects.filter(at__gte="2000-03-10T00:00Z").count() == 3 * 2


def test_after_a_restart_it_goes_on_where_the_last_one_ended(sample, clock, settings):
    run(clock, 4)
    settings.REPLAY_START = "2000-03-02"  # no longer matters: market time never goes back
    run(clock, 1)
    assert times()[-1] == datetime(2000, 3, 13, 21, 0, tzinfo=UTC)
    assert list(Snapshot.objects.order_by("version").values_list("version", flat=True)) == [1, 2, 3, 4, 5]


def test_it_gives_the_lease_back_when_it_ends(sample, clock):
    run(clock, 1)
    assert leases.acquire(name="market.feed", holder="next", seconds=5) is not None


def test_it_wakes_the_backfill_as_it_begins_and_once_its_first_tick_tells_the_time(
    sample, clock, monkeypatch
):
    """Before that tick market time stands where the feed was away from, and no day since is known to be over."""
    woken = []
    monkeypatch.setattr(
        runner_module, "wake", lambda name, **kwargs: woken.append((name, Snapshot.objects.count()))
    )
    run(clock, 3)
    assert [ticks for name, ticks in woken if name == runner_module.BACKFILL_TASK] == [0, 1]


def test_after_a_split_it_begins_anew_for_its_provider_holds_prices_in_old_units(sample, clock):
    record(
        NewCorporateAction(
            external_id="split", symbol="AAPL", kind="split", ex_at=datetime(2000, 3, 13, 14, 30, tzinfo=UTC),
            new_units=5, old_units=4,
        ),
        actor=None,
    )  # fmt: skip
    built = []

    def build(**given):
        built.append(Snapshot.objects.count())
        return build_provider(**given)

    runner(clock, StopFlag(), ticks_max=6, build_provider=build).run()
    assert built == [0, 4], "the fourth tick is the open of its ex day"
    assert len(times()) == 6


def test_it_shows_signs_of_life(sample, clock, no_wakeups):
    run(clock, 12)
    assert Heartbeat.objects.filter(component="feed").count() == 1
    assert ("market.tasks.prune_snapshots",) in no_wakeups


def test_it_wakes_the_watch_even_when_it_has_nothing_to_publish(sample, clock, stop, no_wakeups, settings):
    """beat may be dead, and then nobody else wakes it."""
    settings.MARKET_FEED = "none"
    clock.at(21.0, stop.request)
    runner(clock, stop).run()
    assert 4 <= no_wakeups.count(("trading.tasks.watch_breakers",)) <= 5


def test_only_a_feed_whose_data_has_ended_says_so(sample, clock, stop, settings):
    ended = Heartbeat.objects.filter(component="feed.finished")
    run(clock, 3)
    assert not ended.exists()
    settings.REPLAY_START = "2013-02-28"
    Snapshot.objects.all().delete()
    seen = []
    clock.at(clock.now + 10.0, lambda: seen.append(ended.get().at))
    clock.at(clock.now + 20.0, stop.request)
    runner(clock, stop).run()
    assert seen[0] < ended.get().at  # again and again


def test_a_feed_that_stands_by_does_not_speak_for_the_one_that_publishes(sample, clock, stop, settings):
    leases.acquire(name="market.feed", holder="other", seconds=60)
    settings.REPLAY_START = "2013-03-02"
    clock.at(8.0, stop.request)
    runner(clock, stop).run()
    assert not Heartbeat.objects.filter(component="feed.finished").exists()


def test_a_second_feed_stands_by_until_the_lease_is_free(sample, clock, stop):
    held = leases.acquire(name="market.feed", holder="other", seconds=60)
    clock.at(5.0, lambda: seen.append(len(times())))
    clock.at(5.0, lambda: leases.release(held))
    seen = []
    runner(clock, stop, ticks_max=1).run()
    assert seen == [0]
    assert len(times()) == 1
    assert Heartbeat.objects.filter(component="feed").exists()


def test_a_feed_whose_lease_was_taken_publishes_no_more_and_stands_by(sample, clock, stop):
    clock.at(1.2, lambda: Lease.objects.filter(name="market.feed").update(holder="other", fence=99))
    clock.at(6.0, stop.request)
    runner(clock, stop).run()
    assert len(times()) == 4  # a third of a second apart
    assert Lease.objects.get(name="market.feed").holder == "other"


def test_a_stop_is_noticed_at_once_however_slow_the_replay(sample, clock, stop, settings):
    settings.REPLAY_BARS_PER_SECOND = 0.01
    clock.at(10.0, stop.request)
    runner(clock, stop).run()
    assert clock.now == pytest.approx(10.0, abs=0.2)


def test_between_slow_ticks_the_lease_is_kept(sample, clock, stop, settings):
    settings.REPLAY_BARS_PER_SECOND = 0.01
    taken = []
    clock.at(30.0, lambda: taken.append(leases.acquire(name="market.feed", holder="other", seconds=5)))
    clock.at(30.0, stop.request)
    runner(clock, stop).run()
    assert taken == [None]


def test_anything_unforeseen_ends_it_loudly_and_frees_the_lease(sample, clock, stop):
    def broken(*, state):
        raise LookupError("a defect")

    with pytest.raises(LookupError):
        runner(clock, stop, build_provider=broken).run()
    assert leases.acquire(name="market.feed", holder="next", seconds=5) is not None


def test_at_the_end_of_the_data_it_says_so_once_and_stays_alive(sample, clock, stop, settings):
    settings.REPLAY_START = "2013-02-28"
    clock.at(20.0, stop.request)
    runner(clock, stop).run()
    assert times()[-1] == datetime(2013, 3, 1, 21, 1, 30, tzinfo=UTC)
    assert len(times()) == 6
    again = StopFlag()
    clock.at(40.0, again.request)
    runner(clock, again).run()
    assert len(times()) == 6
    entry = Entry.objects.get(stream_id=PLATFORM_STREAM, kind="market.replay_finished")
    assert entry.at == datetime(2013, 3, 1, 21, 1, 30, tzinfo=UTC)
    assert '"version":6' in entry.payload


def test_a_replay_that_has_nothing_to_play_has_not_finished(sample, clock, stop, settings):
    settings.REPLAY_START = "2013-03-02"
    clock.at(5.0, stop.request)
    runner(clock, stop).run()
    assert not Entry.objects.filter(kind="market.replay_finished").exists()


def test_an_instrument_that_is_switched_off_leaves_the_market_while_it_runs(sample, clock, stop):
    clock.at(3.0, lambda: Instrument.objects.filter(symbol="IBM").update(is_active=False))
    clock.at(8.0, stop.request)
    runner(clock, stop).run()
    from_start, at_end = (Snapshot.objects.order_by(order).first() for order in ("version", "-version"))
    assert bytes(from_start.payload) != b""
    symbols = [runner_module.snapshots.decode(bytes(row.payload)).symbols for row in (from_start, at_end)]
    assert "IBM" in symbols[0]
    assert "IBM" not in symbols[1]
    assert times() == sorted(set(times()))


def test_without_instruments_it_waits_for_them(clock, stop, settings):
    settings.REPLAY_START = "2000-03-10"
    clock.at(5.0, load_sample_market)
    runner(clock, stop, ticks_max=1).run()
    assert clock.now >= 4.9
    assert len(times()) == 1


def test_with_no_feed_it_lives_and_publishes_nothing(sample, clock, stop, settings):
    settings.MARKET_FEED = "none"
    clock.at(10.0, stop.request)
    runner(clock, stop).run()
    assert times() == []
    assert Heartbeat.objects.filter(component="feed").exists()
