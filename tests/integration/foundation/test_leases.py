"""At most one holder, and a former holder's number is stale for ever."""

import threading

import pytest
from django.db import connection, connections

from foundation import heartbeats, leases
from foundation.models import Heartbeat, RequiredCodeVersion
from foundation.version import code_version, may_trade

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def expire(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE foundation_lease SET expires_at = now() - interval '1 second' WHERE name = %s", [name]
        )


def test_a_held_lease_is_not_given_to_another() -> None:
    held = leases.acquire(name="feed", holder="one", seconds=60)
    assert held is not None and held.fence == 1
    assert leases.acquire(name="feed", holder="two", seconds=60) is None
    assert leases.acquire(name="other", holder="two", seconds=60) is not None


def test_an_expired_lease_goes_to_another_with_a_higher_fence() -> None:
    first = leases.acquire(name="feed", holder="one", seconds=60)
    expire("feed")
    second = leases.acquire(name="feed", holder="two", seconds=60)
    assert first is not None and second is not None and second.fence == first.fence + 1
    assert not leases.renew(first, seconds=60)
    assert leases.renew(second, seconds=60)


def test_a_released_lease_is_free_at_once() -> None:
    first = leases.acquire(name="feed", holder="one", seconds=60)
    assert first is not None
    leases.release(first)
    assert leases.acquire(name="feed", holder="two", seconds=60) is not None


def test_a_component_beats_in_one_row() -> None:
    heartbeats.beat(component="worker.test")
    heartbeats.beat(component="worker.test")
    row = Heartbeat.objects.get(component="worker.test")
    assert row.code_version == code_version()


def test_a_sign_that_is_a_moment_old_is_not_given_again() -> None:
    heartbeats.beat_if_due(component="worker.often")
    first = Heartbeat.objects.get(component="worker.often").at
    heartbeats.beat_if_due(component="worker.often")
    heartbeats.beat_if_due(component="worker.other")
    assert Heartbeat.objects.get(component="worker.often").at == first
    assert Heartbeat.objects.filter(component="worker.other").exists()


def test_a_sign_is_given_again_when_a_second_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(heartbeats.time, "monotonic", lambda: now)
    heartbeats.beat_if_due(component="worker.slow")
    first = Heartbeat.objects.get(component="worker.slow").at
    now += heartbeats.EVERY_SECONDS
    heartbeats.beat_if_due(component="worker.slow")
    assert Heartbeat.objects.get(component="worker.slow").at > first


def test_a_worker_of_another_code_version_may_not_trade() -> None:
    assert may_trade()
    row = RequiredCodeVersion.objects.create(version="another")
    assert not may_trade()
    row.version = code_version()
    row.save()
    assert may_trade()


def test_of_many_who_ask_at_once_one_gets_it() -> None:
    """In connections of their own, which commit; so it is given back at the end."""
    got: list[leases.HeldLease] = []
    barrier = threading.Barrier(6)

    def ask(number: int) -> None:
        barrier.wait(10)
        held = leases.acquire(name="race", holder=str(number), seconds=60)
        if held is not None:
            got.append(held)
        connections.close_all()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(got) == 1
    leases.release(got[0])
