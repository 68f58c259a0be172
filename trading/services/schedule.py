"""The sweeps that make up for every lost wake-up, as rows of celery-beat's DatabaseScheduler.

Upserted, never deleted and made anew, so that an operator's change of an interval survives.
"""

from dataclasses import dataclass

from django_celery_beat.models import IntervalSchedule, PeriodicTask


@dataclass(frozen=True)
class Sweep:
    task: str
    queue: str
    seconds: int
    description: str = "Makes up for lost wake-ups."


SWEEPS = (
    Sweep("trading.tasks.evaluate_due", "evaluation", 2),
    Sweep("trading.tasks.execute_due", "execution", 2),
    Sweep("trading.tasks.send_due", "broker", 1),
    Sweep("trading.tasks.recover_due", "broker", 1, "Finds lost claims, and asks for unknown orders."),
    Sweep("trading.tasks.watch_protections", "execution", 2),
    Sweep("trading.tasks.drain_halts", "execution", 2),
    Sweep("trading.tasks.watch_breakers", "execution", 2, "Looks at every circuit breaker."),
    Sweep(
        "foundation.tasks.show_beat_alive",
        "execution",
        5,
        "Shows that beat is alive: without it, entries stop.",
    ),
    Sweep("sessions.tasks.run_calendar", "execution", 2, "Starts and stops sessions by market time."),
    Sweep("trading.tasks.finish_stopping", "execution", 3),
    Sweep("trading.tasks.reconcile_due", "broker", 5, "Compares brokers' accounts with the books."),
    Sweep("trading.tasks.cancel_split_orders", "execution", 5, "Cancels orders that a split has overtaken."),
    Sweep(
        "trading.tasks.cancel_outlived_orders",
        "execution",
        60,
        "Cancels day orders that a broker has not ended.",
    ),
    Sweep("trading.tasks.prune", "execution", 600),
    Sweep("journal.tasks.deliver_alerts", "notification", 5),
    Sweep("market.tasks.recommend_baseline", "market", 10),
    Sweep("market.tasks.pull_recommendations", "market", 5, "Asks services elsewhere for advice."),
    Sweep("market.tasks.train_recommender", "training", 60, "Learns the built-in model anew when it is due."),
    Sweep("market.tasks.settle_outcomes", "market", 30, "Measures what has become of expired advice."),
    Sweep("market.tasks.prune_snapshots", "market", 300),
    Sweep("market.tasks.backfill_gaps", "market", 60, "Finds days without a bar, and asks for them."),
    Sweep(
        "market.tasks.record_announced", "market", 3600, "Asks the provider for splits and dividends to come."
    ),
    Sweep("market.tasks.extend_calendars", "market", 3600, "Keeps a year of trading days ahead."),
    Sweep("portfolios.tasks.book_corporate_actions", "market", 5),
)


def ensure_sweeps() -> None:
    """Idempotent: every sweep has its row; existing rows keep their interval and whether they are enabled."""
    for sweep in SWEEPS:
        interval, _ = IntervalSchedule.objects.get_or_create(
            every=sweep.seconds, period=IntervalSchedule.SECONDS
        )
        PeriodicTask.objects.get_or_create(
            name=f"sweep {sweep.task}",
            defaults={
                "task": sweep.task, "interval": interval, "queue": sweep.queue,
                "expire_seconds": max(sweep.seconds, 5), "description": sweep.description,
            },
        )  # fmt: skip
