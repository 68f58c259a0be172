"""A feed that loses its database waits, with bounds, and goes on where the tables say."""

import itertools
from datetime import UTC, datetime

import pytest
from django.db import OperationalError, connection

from market.feed import runner as runner_module
from market.feed.providers import build
from market.services.load import load_sample_market

from .conftest import runner, times

pytestmark = pytest.mark.integration


@pytest.fixture
def sample(committed_db, settings):
    settings.REPLAY_START = "2000-03-10"
    load_sample_market()
    return committed_db


def test_when_the_server_ends_its_connections_no_tick_is_skipped_or_repeated(sample, clock, stop):
    def end_connections():
        with sample.as_owner() as owner:
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = %s AND pid <> pg_backend_pid()",
                [sample.name],
            )

    clock.at(0.6, end_connections)
    runner(clock, stop, ticks_max=4).run()
    assert times() == [
        datetime(2000, 3, 10, 14, 30, tzinfo=UTC),
        datetime(2000, 3, 10, 21, 0, tzinfo=UTC),
        datetime(2000, 3, 10, 21, 1, 30, tzinfo=UTC),  # the day's bar
        datetime(2000, 3, 13, 14, 30, tzinfo=UTC),
    ]


def test_a_tick_that_failed_is_published_after_all_with_growing_pauses(sample, clock, stop):
    failures = iter([False, True, True, False, False, False])

    def flaky(*, state):
        provider = build(state=state)
        poll = provider.poll

        def failing_poll(*, monotonic_now):
            tick = poll(monotonic_now=monotonic_now)
            if tick is not None and next(failures):
                raise OperationalError("the connection was lost")
            return tick

        provider.poll = failing_poll
        return provider

    runner(clock, stop, ticks_max=3, build_provider=flaky).run()
    assert times() == [
        datetime(2000, 3, 10, 14, 30, tzinfo=UTC),
        datetime(2000, 3, 10, 21, 0, tzinfo=UTC),
        datetime(2000, 3, 10, 21, 1, 30, tzinfo=UTC),
    ]
    assert clock.now >= 1.5  # half a second, then a whole one


def test_the_pauses_are_bounded_and_a_stop_ends_them(sample, clock, stop):
    attempts = []

    def lost(*, state):
        attempts.append(clock.now)
        raise OperationalError("down")

    clock.at(100.0, stop.request)
    runner(clock, stop, build_provider=lost).run()
    pauses = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    assert pauses[:2] == pytest.approx([0.5, 1.0], abs=0.15)
    assert pauses[-1] == pytest.approx(runner_module.RETRY_SECONDS_MAX, abs=0.15)
    assert clock.now < 100.3
    connection.close()
