"""Celery tasks of the queues "market" and "training". Each is a wake-up or a sweep: it finds what is due by itself.

Senders name the queue (wake-ups, the beat schedule, task routes): Celery deprecates a task's own `queue`.
"""

import structlog
from celery import shared_task
from django.utils.module_loading import import_string

from foundation.clock import database_now
from foundation.heartbeats import instance_name
from market.api.pulled import read_pulled
from market.feed.providers import announcement_source, history_source
from market.services import (
    announcements,
    baseline,
    calendars,
    gaps,
    outcomes,
    pulling,
    quarantine,
    snapshots,
    training,
)

log = structlog.get_logger(__name__)


@shared_task(name="market.tasks.recommend_baseline")
def recommend_baseline() -> None:
    """Recommend on the newest completed bars. Woken by the feed, swept by beat."""
    created = baseline.recommend_latest()
    if created:
        log.debug("baseline_recommended", created=created)


@shared_task(name="market.tasks.prune_snapshots")
def prune_snapshots() -> None:
    """Forget snapshots beyond the retention, and old quarantine. Woken by the feed now and then, swept by beat."""
    removed = snapshots.prune()
    if removed:
        log.info("snapshots_pruned", removed=removed)
    forgotten = quarantine.prune(now=database_now())
    if forgotten:
        log.info("quarantine_pruned", removed=forgotten)


@shared_task(name="market.tasks.backfill_gaps")
def backfill_gaps() -> None:
    """Find days without a bar, and ask the provider for them. Woken by the feed at its start, swept by beat."""
    found = gaps.find_gaps()
    filled = gaps.backfill(history=history_source())
    gaps.alert_of_old_gaps()
    if found or filled:
        log.info("gaps_looked_after", found=found, filled=filled)


@shared_task(name="market.tasks.record_announced")
def record_announced() -> None:
    """Ask the provider for splits and dividends to come. Swept by beat."""
    recorded = announcements.record_announced(announcement_source())
    if recorded:
        log.info("corporate_actions_recorded", recorded=recorded)


@shared_task(name="market.tasks.extend_calendars")
def extend_calendars() -> None:
    """Keep a year of trading days ahead: each calendar is extended about once a week. Swept by beat."""
    extended = calendars.extend_calendars()
    if extended:
        log.info("calendars_extended", exchanges=extended)


@shared_task(name="market.tasks.settle_outcomes")
def settle_outcomes() -> None:
    """Measure what has become of advice that has expired. Swept by beat."""
    settled = outcomes.settle_due()
    if settled:
        log.debug("outcomes_settled", settled=settled)


@shared_task(name="market.tasks.pull_recommendations")
def pull_recommendations() -> None:
    """Ask the services elsewhere that are due. Swept by beat."""
    created = pulling.pull_due(read=read_pulled)
    if created:
        log.debug("recommendations_pulled", created=created)


@shared_task(name="market.tasks.train_recommender", soft_time_limit=600, time_limit=660)
def train_recommender() -> None:
    """Learn the built-in model anew when it is due. Swept by beat, in a queue of its own.

    scikit-learn is loaded here, and only in the process that trains.
    """
    training.train_if_due(learn=import_string("market.learning.learn"), holder=instance_name())
