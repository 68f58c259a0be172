"""What was wrong or missing on the market's way in, and the number by which everybody notices that its past changed."""

from django.db import models
from django.db.models import Q

from market.core.plausibility import Reason

SYMBOL_LENGTH_MAX, DETAIL_LENGTH_MAX = 40, 300


class MarketRevision(models.Model):
    """One row: moves whenever what is known of the past or of calendars changes other than by the feed's ticks.

    The feed then rebuilds its state, and caches of what was computed from bars are no longer used.
    """

    singleton = models.BooleanField(primary_key=True, default=True)
    revision = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(singleton=True), name="market_revision_is_one_row"),
        ]

    def __str__(self) -> str:
        return str(self.revision)


class QuarantinedQuote(models.Model):
    """What a provider said and nobody believed. Nothing reads it but people; forgotten after a week."""

    received_at = models.DateTimeField(help_text="database time")
    at = models.DateTimeField(null=True, blank=True, help_text="market time that was claimed")
    symbol = models.CharField(max_length=SYMBOL_LENGTH_MAX, help_text="as it was said, shortened")
    reason = models.CharField(max_length=20, choices=[(reason.value, reason.value) for reason in Reason])
    detail = models.CharField(max_length=DETAIL_LENGTH_MAX, help_text="what is wrong, with its numbers")
    provider = models.CharField(max_length=50, blank=True)
    payload = models.JSONField(help_text="the numbers as they were said, as text")
    alerted = models.BooleanField(default=False, db_default=False, help_text="whether an alert told of it")

    class Meta:
        db_table = "market_quarantine"
        indexes = [
            models.Index(fields=["-received_at", "-id"], name="market_quarantine_newest"),
            # An alert tells of a symbol once an hour.
            models.Index(
                fields=["symbol", "received_at"], condition=Q(alerted=True), name="market_quarantine_alerted"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.reason}"


class QuarantineTotal(models.Model):
    """How much was ever refused for a reason, and how much of it within one minute: a flood leaves few rows."""

    reason = models.CharField(
        max_length=20, primary_key=True, choices=[(reason.value, reason.value) for reason in Reason]
    )
    total = models.BigIntegerField()
    minute = models.DateTimeField(help_text="database time: the last minute with any")
    in_minute = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.reason} {self.total}"
