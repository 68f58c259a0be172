"""How our books and a broker's compare, and where they do not agree."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from portfolios.models import BrokerAccount
from trading.brokers.protocol import ActivityKind


class Reconciliation(models.Model):
    """One comparison of an account's orders, fills, positions and cash with the broker's. All times database time."""

    class Trigger(models.TextChoices):
        START = "start"
        RECONNECT = "reconnect"
        PERIODIC = "periodic"
        MANUAL = "manual"

    BAD_REPORT = "bad report: "  # a failure that begins so: it was told what cannot be true
    UNREAD = BAD_REPORT + "an order of ours cannot be read: "  # of that alone; all others were looked at

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, related_name="reconciliations")
    trigger = models.CharField(max_length=20, choices=Trigger)
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, help_text="Empty: it is under way, or its process died")
    failure = models.CharField(
        max_length=255, blank=True, help_text="Why it could not be done; nothing is known then"
    )
    orders = models.PositiveIntegerField(default=0, help_text="That the broker told of")
    fills_booked = models.PositiveIntegerField(default=0, help_text="That the stream had not told of")
    breaks = models.PositiveIntegerField(default=0, help_text="Open when it ended")

    class Meta:
        indexes = [models.Index(fields=["account", "-started_at"])]

    def __str__(self) -> str:
        return f"{self.trigger} reconciliation of {self.account}"

    @property
    def looked_at_orders(self) -> bool:
        """Whether what the broker has told of orders that can be read is in the books."""
        return not self.failure or self.failure.startswith(self.UNREAD)


class ReconciliationBreak(models.Model):
    """Something on which the broker and we do not agree. Its account is halted until it is explained by a person, or
    gone by itself; where it is only cash, or the broker has blocked it, sells go on. Written by
    `trading.services.breaks` only."""

    class Kind(models.TextChoices):
        FOREIGN_ORDER = "foreign_order"  # an order at the broker that is not ours
        FOREIGN_EXECUTION = "foreign_execution"  # a fill of such an order
        ORDER = "order"  # an order of ours that the broker sees otherwise
        EXECUTION = "execution"  # a fill that cannot be booked
        POSITION = "position"
        CASH = "cash"
        ACTIVITY = "activity"  # money that the broker moved outside of orders, and that nobody could book
        BLOCKED = "blocked"  # the broker takes no orders of the account
        BAD_REPORT = "bad_report"  # what cannot be true: quarantined as it came

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, related_name="breaks")
    kind = models.CharField(max_length=20, choices=Kind)
    key = models.CharField(max_length=200, help_text="What it is about: an order's id, a symbol, a currency")
    ours = models.JSONField(default=dict)
    theirs = models.JSONField(default=dict)
    detail = models.CharField(max_length=255)
    found_at = models.DateTimeField(db_default=Now(), help_text="Database time")
    last_seen_at = models.DateTimeField(db_default=Now())
    explained_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    explanation = models.CharField(max_length=500, blank=True)
    ended_at = models.DateTimeField(null=True, help_text="Explained, or gone by itself")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "key"], condition=Q(ended_at=None), name="break_open_once"
            ),
            models.CheckConstraint(
                condition=Q(explained_by=None, explanation="")
                | Q(explained_by__isnull=False, ended_at__isnull=False) & ~Q(explanation=""),
                name="break_explanation_names_who",
            ),
        ]
        indexes = [models.Index(fields=["account", "-found_at"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class BrokerActivity(models.Model):
    """Money that a real broker moved outside of orders, unique by its id there: told twice, it is booked once. Written
    by `trading.services.reconciling_cash` only."""

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, related_name="+", db_index=False)
    activity_id = models.CharField(max_length=200, help_text="The broker's")
    kind = models.CharField(
        max_length=20, choices=[(kind.value, kind.value) for kind in ActivityKind], blank=True
    )
    amount = models.DecimalField(
        max_digits=20, decimal_places=8, default=0, help_text="What it added to the cash"
    )
    entry_id = models.UUIDField(
        null=True,
        unique=True,
        help_text="The entry in the ledger; empty: it was there before, and is in the cash that the account began with",
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "activity_id"], name="broker_activity_once"),
            models.CheckConstraint(
                condition=Q(entry_id=None, kind="", amount=0)
                | (Q(entry_id__isnull=False) & ~Q(kind="") & ~Q(amount=0)),
                name="broker_activity_booked_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"
