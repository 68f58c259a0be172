"""Celery tasks of the queue "market". Each is a wake-up or a sweep: it finds what is due by itself.

Senders name the queue (wake-ups, the beat schedule, task routes): Celery deprecates a task's own `queue`.
"""

import structlog
from celery import shared_task

from market.services import baseline, snapshots

log = structlog.get_logger(__name__)


@shared_task(name="market.tasks.recommend_baseline")
def recommend_baseline() -> None:
    """Recommend on the newest completed bars. Woken by the feed, swept by beat."""
    created = baseline.recommend_latest()
    if created:
        log.debug("baseline_recommended", created=created)


@shared_task(name="market.tasks.prune_snapshots")
def prune_snapshots() -> None:
    """Forget snapshots beyond the retention. Woken by the feed now and then, swept by beat."""
    removed = snapshots.prune()
    if removed:
        log.info("snapshots_pruned", removed=removed)
