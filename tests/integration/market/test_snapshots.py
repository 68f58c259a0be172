"""Snapshots: gapless versions, a time that never goes back, PostgreSQL as the truth behind every cache."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now, TruncHour

from foundation import wakeups
from market.models import Snapshot
from market.selectors import market_now
from market.services import snapshot_cache, snapshots
from market.services.snapshots import MarketTimeWentBack

from .conftest import market_at, moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def publish(django_capture_on_commit_callbacks):
    """Publish and let happen what follows the commit."""

    def publish(as_of, **options):
        with django_capture_on_commit_callbacks(execute=True):
            return snapshots.publish(snapshot=market_at(as_of, **options))

    return publish


def test_before_the_first_snapshot_there_is_no_market():
    assert snapshots.current() is None
    assert snapshots.current_version() == 0
    assert market_now() is None


def test_versions_count_from_one_and_the_newest_is_current(publish):
    assert [publish(moment(day), price=float(day)) for day in (5, 6, 7)] == [1, 2, 3]
    market = snapshots.current()
    assert (market.version, market.as_of, market.price("IBM")) == (3, moment(7), Decimal(7))
    assert snapshots.current_version() == 3
    assert market_now() == moment(7)
    assert snapshots.at_version(2).price("AAPL") == Decimal(6)
    assert snapshots.at_version(4) is None


def test_an_older_market_time_is_refused_and_an_equal_one_is_not(publish):
    publish(moment(6))
    with pytest.raises(MarketTimeWentBack, match="never goes back"):
        publish(moment(6) - timedelta(microseconds=1))
    assert publish(moment(6)) == 2


def test_a_snapshot_that_is_rolled_back_leaves_no_gap(publish):
    publish(moment(5))
    with pytest.raises(RuntimeError), transaction.atomic():
        snapshots.publish(snapshot=market_at(moment(6)))
        raise RuntimeError
    assert publish(moment(7)) == 2


def test_after_the_commit_the_workers_are_woken_and_not_before(
    monkeypatch, django_capture_on_commit_callbacks
):
    woken = []
    monkeypatch.setattr(wakeups, "wake", lambda name, *, queue, kwargs: woken.append((name, queue)))
    with django_capture_on_commit_callbacks(execute=True):
        snapshots.publish(snapshot=market_at(moment(5)))
        assert woken == []
    assert woken == [
        ("trading.tasks.evaluate_due", "evaluation"),
        ("trading.tasks.watch_protections", "execution"),
        ("trading.tasks.execute_due", "execution"),
    ]


class TestCaches:
    def test_a_process_asks_only_for_the_version_once_it_knows_the_snapshot(
        self, publish, django_assert_num_queries
    ):
        publish(moment(5))
        first = snapshots.current()
        with django_assert_num_queries(1):
            assert snapshots.current() is first

    def test_another_process_takes_the_payload_from_valkey(self, publish, django_assert_num_queries):
        publish(moment(5))
        snapshots._cache.clear()
        with django_assert_num_queries(1) as queries:
            assert snapshots.current().version == 1
        assert "payload" not in queries[0]["sql"]

    def test_valkey_keeps_the_current_and_the_previous_snapshot_only(self, publish):
        for day in (5, 6, 7):
            publish(moment(day))
        digests = dict(Snapshot.objects.values_list("version", "digest"))
        kept = [
            version for version in (1, 2, 3) if snapshot_cache.fetch(version=version, digest=digests[version])
        ]
        assert kept == [2, 3]

    def test_when_valkey_was_flushed_it_is_rebuilt_from_postgresql(self, publish):
        publish(moment(5), price=12.5)
        snapshots._cache.clear()
        snapshot_cache._client().delete(snapshot_cache._key(0), snapshot_cache._key(1))
        assert snapshots.current().price("AAPL") == Decimal("12.5")

    def test_foreign_bytes_in_valkey_are_never_believed(self, publish):
        publish(moment(5), price=12.5)
        snapshots._cache.clear()
        stranger = snapshots.encode(market_at(moment(5), price=99.0))
        snapshot_cache._client().set(snapshot_cache._key(1), stranger)
        assert snapshots.current().price("AAPL") == Decimal("12.5")

    def test_an_unreachable_valkey_harms_nothing(self, publish, settings):
        snapshot_cache._client.cache_clear()
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        for day in (5, 6, 7):
            publish(moment(day), price=float(day))
            snapshots._cache.clear()
            assert snapshots.current().price("AAPL") == day

    def test_after_a_failure_valkey_is_left_alone_for_a_while(self, publish, settings):
        publish(moment(5))
        digest = Snapshot.objects.get().digest
        assert snapshot_cache.fetch(version=1, digest=digest)
        snapshot_cache._client.cache_clear()
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        assert snapshot_cache.fetch(version=1, digest=digest) is None
        snapshot_cache._client.cache_clear()
        assert not snapshot_cache.store(version=2, payload=b"x")

    def test_the_process_keeps_few(self, publish):
        for day in (5, 6, 7, 8, 9):
            publish(moment(day))
            snapshots.current()
        assert len(snapshots._cache) == snapshots.PROCESS_CACHE_SIZE


class TestPruning:
    def test_old_snapshots_go_by_database_time_and_the_newest_stays(self, publish, settings):
        settings.SNAPSHOT_RETENTION_MINUTES = 60
        for day in (5, 6, 7):
            publish(moment(day))
        Snapshot.objects.filter(version__in=[1, 3]).update(
            published_at=F("published_at") - timedelta(minutes=61)
        )
        assert snapshots.prune() == 1
        assert list(Snapshot.objects.order_by("version").values_list("version", flat=True)) == [2, 3]

    def test_versions_go_on_after_pruning(self, publish):
        publish(moment(5))
        publish(moment(6))
        Snapshot.objects.update(published_at=F("published_at") - timedelta(days=365 * 10))
        snapshots.prune()
        assert publish(moment(7)) == 3

    def test_many_are_removed_in_batches_with_a_bound(self, publish, monkeypatch):
        monkeypatch.setattr(snapshots, "PRUNE_BATCH", 2)
        monkeypatch.setattr(snapshots, "PRUNE_BATCHES_MAX", 2)
        for day in (5, 6, 7, 8, 9, 12):
            publish(moment(day))
        Snapshot.objects.update(published_at=F("published_at") - timedelta(days=365 * 10))
        assert snapshots.prune() == 4
        assert snapshots.prune() == 1

    def test_after_the_full_minutes_the_last_of_each_minute_stays(self, publish, settings):
        settings.SNAPSHOT_FULL_MINUTES = 30
        for day in (5, 6, 7, 8, 9, 12):
            publish(moment(day))
        # Seconds of the hour before last, and for 5 and 6 of this very minute.
        for version, seconds in ((1, 5), (2, 20), (3, 59), (4, 61)):
            Snapshot.objects.filter(version=version).update(
                published_at=TruncHour(Now()) - timedelta(hours=2) + timedelta(seconds=seconds)
            )
        assert snapshots.prune() == 2
        assert list(Snapshot.objects.order_by("version").values_list("version", flat=True)) == [3, 4, 5, 6]
        assert snapshots.prune() == 0
