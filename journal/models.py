"""The tables of the journal. Entries are only ever inserted: the application's role may do no more."""

import uuid

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from journal.core.chain import GENESIS_HASH
from journal.core.events import KIND_LENGTH_MAX, MESSAGE_LENGTH_MAX, SEVERITIES


class Stream(models.Model):
    """One chain: a portfolio's, or the platform's. Its row is the lock that makes `seq` gapless.

    Never one chain for all: it would make all commits wait for each other.
    """

    id = models.UUIDField(primary_key=True)
    head_seq = models.BigIntegerField(default=0, db_default=0)
    head_hash = models.CharField(max_length=64, default=GENESIS_HASH, db_default=GENESIS_HASH)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "journal_streams"
        constraints = [models.CheckConstraint(condition=Q(head_seq__gte=0), name="journal_stream_head_seq")]

    def __str__(self) -> str:
        return str(self.id)


class Entry(models.Model):
    """One event, for ever.

    `at` is the event's own time (market time where the market matters), `recorded_at` the
    database's. `payload` is canonical JSON kept as text: the hash is over exactly these characters.
    """

    id = models.BigAutoField(primary_key=True)
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, db_index=False, related_name="entries")
    seq = models.BigIntegerField()
    kind = models.CharField(max_length=KIND_LENGTH_MAX)
    at = models.DateTimeField()
    payload = models.TextField()
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    recorded_at = models.DateTimeField()

    class Meta:
        db_table = "journal_entries"
        verbose_name_plural = "entries"
        constraints = [
            models.UniqueConstraint(fields=["stream", "seq"], name="journal_entry_stream_seq"),
            models.CheckConstraint(condition=Q(seq__gte=1), name="journal_entry_seq"),
        ]
        indexes = [
            models.Index(fields=["stream", "kind", "seq"], name="journal_entry_kind"),
            BrinIndex(fields=["at"], name="journal_entry_at"),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.seq} {self.kind}"


class Alert(models.Model):
    """An entry that somebody must be told of, until somebody says that they know."""

    class Severity(models.TextChoices):
        INFO = "info"
        WARNING = "warning"
        CRITICAL = "critical"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, db_index=False, related_name="alerts")
    seq = models.BigIntegerField(help_text="the entry of this stream that raised it")
    kind = models.CharField(max_length=KIND_LENGTH_MAX)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    message = models.CharField(max_length=MESSAGE_LENGTH_MAX)
    created_at = models.DateTimeField(db_default=Now())
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "journal_alerts"
        constraints = [
            models.UniqueConstraint(fields=["stream", "seq"], name="journal_alert_stream_seq"),
            models.CheckConstraint(condition=Q(severity__in=SEVERITIES), name="journal_alert_severity"),
            models.CheckConstraint(
                condition=Q(acknowledged_by=None, acknowledged_at=None)
                | Q(acknowledged_by__isnull=False, acknowledged_at__isnull=False),
                name="journal_alert_acknowledged",
            ),
        ]
        indexes = [models.Index(fields=["stream", "-created_at"], name="journal_alert_newest")]

    def __str__(self) -> str:
        return f"{self.severity}: {self.message}"


class AlertDelivery(models.Model):
    """One alert on its way through one channel. The due row is the queue."""

    class Channel(models.TextChoices):
        LOG = "log"
        WEBHOOK = "webhook"

    class State(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    channel = models.CharField(max_length=8, choices=Channel.choices)
    state = models.CharField(max_length=9, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    last_error = models.TextField(blank=True, default="")
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "journal_alert_deliveries"
        verbose_name_plural = "alert deliveries"
        constraints = [
            models.UniqueConstraint(fields=["alert", "channel"], name="journal_delivery_once"),
            models.CheckConstraint(
                condition=Q(channel__in=["log", "webhook"]), name="journal_delivery_channel"
            ),
            models.CheckConstraint(
                condition=Q(state="delivered", delivered_at__isnull=False)
                | Q(state__in=["pending", "failed"], delivered_at=None),
                name="journal_delivery_state",
            ),
        ]
        indexes = [
            models.Index(
                fields=["channel", "due_at"], condition=Q(state="pending"), name="journal_delivery_due"
            ),
            models.Index(fields=["channel"], condition=Q(state="failed"), name="journal_delivery_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.state}"


class StreamTicket(models.Model):
    """A one-time pass to the WebSocket for a client that cannot send headers, such as a browser.

    Only the ticket's hash is kept. It remembers the credential that bought it, so that revoking
    that credential closes the socket as well.
    """

    ticket_hash = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    token_digest = models.CharField(max_length=128, blank=True, default="")
    session_key = models.CharField(max_length=40, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "journal_stream_tickets"
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="journal_ticket_expires"
            ),
        ]
        indexes = [models.Index(fields=["expires_at"], name="journal_ticket_expires_at")]

    def __str__(self) -> str:
        return f"ticket of {self.user_id}"
