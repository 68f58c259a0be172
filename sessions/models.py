"""When a portfolio trades automatically, and in which slices the work is done.

`sessions.services` is the only writer of a session's status; a session's totals are columns that
bookkeeping writes.
"""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from foundation.moments import WritingTransaction
from market.core.calendar import TradingDay
from market.models import Exchange
from portfolios.models import Portfolio
from sessions.core.config import read_config
from sessions.core.parts import NOBODY
from sessions.core.plan import MINUTES_MAX, Hours, PlanTimes

SLICE_SESSIONS_MAX = 2_048


class EvaluationSlice(models.Model):
    """Sessions that are evaluated together: the unit of claim, of compilation and of the program cache.

    It is due when one of its sessions runs, a snapshot newer than `evaluated_slot` is out and `due_at` (database
    time) is reached: sessions of one cadence and turn share slices, and a slice whose evaluation failed waits a little
    longer each time, so that it holds up no other. One without sessions that run is closed in time, and takes no new
    ones.

    Where much triggers at once, a slot is decided in parts (`sessions.core.parts`), each in a transaction of its own:
    `begun_slot` is the slot that has been begun, at the portfolio after `begun_after`; it is decided up to
    `decided_through`.
    """

    id = models.BigAutoField(primary_key=True)
    evaluated_slot = models.BigIntegerField(default=0, help_text="Version of the last snapshot evaluated")
    due_at = models.DateTimeField(db_default=Now(), help_text="Database time; not before")
    failures = models.PositiveIntegerField(default=0, help_text="Failed evaluations in a row")
    every_seconds = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Database time between evaluations; 0: at each snapshot"
    )
    closed_at = models.DateTimeField(null=True, help_text="Database time since when it takes no sessions")
    evaluated_by = models.CharField(
        max_length=200,
        default="",
        db_default="",
        help_text="The process that did it last, which knows it best",
    )

    begun_slot = models.BigIntegerField(default=0, db_default=0, help_text="Version that is decided in parts")
    begun_after = models.UUIDField(default=NOBODY, db_default=NOBODY, help_text="Portfolio where that began")
    decided_through = models.UUIDField(default=NOBODY, db_default=NOBODY, help_text="Portfolio decided last")

    class Meta:
        indexes = [
            models.Index(
                fields=["evaluated_slot", "id"], name="slice_to_evaluate", condition=Q(closed_at=None)
            ),
            models.Index(
                fields=["every_seconds", "-id"], name="slice_of_cadence", condition=Q(closed_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"slice {self.pk}"


class EvaluationRun(models.Model):
    """What was done for one slice in one slot, or for a part of it: the portfolios after `decided_after` up to
    `decided_through`, around the circle (`sessions.core.parts`). Its uniqueness makes a second evaluation impossible.
    """

    id = models.BigAutoField(primary_key=True)
    slice = models.ForeignKey(EvaluationSlice, on_delete=models.CASCADE, related_name="runs")
    slot = models.BigIntegerField(help_text="Snapshot version")
    as_of = models.DateTimeField(help_text="Market time of the snapshot")
    sessions = models.PositiveIntegerField()
    rules = models.PositiveIntegerField()
    triggered = models.PositiveIntegerField()
    trades = models.PositiveIntegerField()
    decided_after = models.UUIDField(default=NOBODY, db_default=NOBODY)
    decided_through = models.UUIDField(default=NOBODY, db_default=NOBODY)
    worker = models.CharField(max_length=200)
    code_version = models.CharField(max_length=64, default="", db_default="", help_text="Of that worker")
    facts_at = models.DateTimeField(null=True, help_text="Database time at which it read what portfolios own")
    facts_seen = models.TextField(null=True, help_text="PostgreSQL's snapshot of then")
    written_by = models.BigIntegerField(
        null=True, db_default=WritingTransaction(), help_text="The transaction that evaluated"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["slice", "slot", "decided_after"], name="evaluation_run_once")
        ]
        indexes = [models.Index(fields=["created_at"])]

    def __str__(self) -> str:
        return f"slice {self.slice_id} slot {self.slot}"


class SessionPlan(models.Model):
    """Sessions that start and stop by themselves: one on each day of an exchange's calendar that it chooses.

    `sessions.services.plans` and `plan_runs` are its only writers, under the portfolio's lock.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="session_plans")
    name = models.CharField(max_length=255)
    config = models.JSONField(default=dict, blank=True)
    exchange = models.ForeignKey(Exchange, on_delete=models.PROTECT, related_name="session_plans")
    start_minutes_before_open = models.IntegerField(default=0, help_text="Below zero: after the open")
    stop_minutes_after_close = models.IntegerField(default=0, help_text="Below zero: before the close")
    weekdays = ArrayField(
        models.CharField(max_length=9), default=list, blank=True, help_text="MONDAY, …; empty: each of them"
    )
    is_enabled = models.BooleanField(default=True)
    responsible = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="In whose name it starts: who made, changed or enabled it last",
    )
    last_day = models.DateField(null=True, help_text="The newest day that was decided: started or skipped")
    last_outcome = models.CharField(max_length=255, blank=True)
    undecided_day = models.DateField(
        null=True, help_text="On which it was due and could not start yet: it waits, or its start broke"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "name"], name="session_plan_name_once"),
            models.CheckConstraint(condition=~Q(name=""), name="session_plan_has_name"),
            models.CheckConstraint(
                condition=Q(
                    start_minutes_before_open__range=(-MINUTES_MAX, MINUTES_MAX),
                    stop_minutes_after_close__range=(-MINUTES_MAX, MINUTES_MAX),
                ),
                name="session_plan_within_half_a_day",
            ),
        ]
        indexes = [
            models.Index(
                fields=["exchange", "last_day"], name="session_plan_to_run", condition=Q(is_enabled=True)
            ),
            models.Index(
                fields=["exchange", "undecided_day"],
                name="session_plan_undecided",
                condition=Q(is_enabled=True, undecided_day__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def hours_on(self, day: TradingDay) -> Hours | None:
        times = PlanTimes(self.start_minutes_before_open, self.stop_minutes_after_close, self.weekdays)
        return times.hours_on(day)


class TradingSession(models.Model):
    class Status(models.TextChoices):
        ACTIVE = "active"  # entries, exits and risk rules
        PAUSED = "paused"  # exits and risk rules only
        STOPPING = "stopping"  # trading closes what is open
        STOPPED = "stopped"  # for ever

    RUNNING = (Status.ACTIVE, Status.PAUSED, Status.STOPPING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="trading_sessions")
    session_name = models.CharField(max_length=255, blank=True)
    start_time = models.DateTimeField(db_default=Now())
    end_time = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True, help_text="Market time at which it stops by itself")
    status = models.CharField(max_length=20, choices=Status, default=Status.ACTIVE)
    is_active = models.GeneratedField(
        expression=Q(status="active"),  # type: ignore[arg-type]  # the stubs know expressions only
        output_field=models.BooleanField(),
        db_persist=True,
    )
    total_trades = models.IntegerField(default=0, help_text="Trades filled")
    successful_trades = models.IntegerField(
        default=0, help_text="Filled sells that realised a profit after fees"
    )
    total_pnl = models.DecimalField(
        max_digits=20, decimal_places=8, default=0, help_text="Realised, after fees"
    )
    config = models.JSONField(default=dict)
    slice = models.ForeignKey(EvaluationSlice, on_delete=models.PROTECT, related_name="trading_sessions")
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    paused_at = models.DateTimeField(
        null=True, help_text="Database time of the last pause: no entry made before it is sent any more"
    )
    stop_reason = models.CharField(max_length=255, blank=True)
    keeps_at_stop = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Who stopped it wants that what is held stays, whatever its config says",
    )
    finish_at = models.DateTimeField(
        null=True, help_text="Database time at which what stops is looked at again; empty: first of all"
    )
    plan = models.ForeignKey(
        SessionPlan,
        on_delete=models.SET_NULL,
        null=True,
        related_name="trading_sessions",
        help_text="That started it; none if a person did",
    )
    plan_day = models.DateField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "trading_sessions"
        constraints = [
            models.UniqueConstraint(
                fields=["portfolio"], condition=~Q(status="stopped"), name="one_running_session_per_portfolio"
            ),
            models.UniqueConstraint(fields=["plan", "plan_day"], name="session_of_a_plan_once_a_day"),
            models.CheckConstraint(
                condition=Q(status__in=["active", "paused", "stopping", "stopped"]),
                name="session_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status="stopped", end_time__isnull=False)
                | (~Q(status="stopped") & Q(end_time=None)),
                name="session_end_time_when_stopped",
            ),
            models.CheckConstraint(
                condition=Q(total_trades__gte=0, successful_trades__gte=0), name="session_totals_not_negative"
            ),
        ]
        indexes = [
            models.Index(fields=["slice", "status"]),
            models.Index(fields=["portfolio", "-created_at"]),
            models.Index(
                fields=["ends_at"],
                name="session_to_end",
                condition=Q(status__in=["active", "paused"], ends_at__isnull=False),
            ),
            models.Index(fields=["finish_at"], name="session_to_finish", condition=Q(status="stopping")),
        ]

    def __str__(self) -> str:
        return self.session_name or f"session of {self.portfolio}"

    @property
    def flattens(self) -> bool:
        """Whether stopping sells what is held: its config never changes, but who stops it may say otherwise."""
        return not self.keeps_at_stop and read_config(self.config).on_stop == "flatten"
