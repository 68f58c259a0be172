"""What was asked of brokers, for the limits on messages."""

from django.db import models

from portfolios.models import BrokerAccount, Portfolio


class OrderMessage(models.Model):
    """One submit or cancel, counted when it is decided on, under the portfolio's lock.

    Kept for minutes only: the journal is the record of what happened. Its foreign keys are those of the trade that it
    is of, and are checked there.
    """

    class Kind(models.TextChoices):
        SUBMIT = "submit"
        CANCEL = "cancel"

    id = models.BigAutoField(primary_key=True)
    portfolio = models.ForeignKey(
        Portfolio, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    account = models.ForeignKey(
        BrokerAccount, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    kind = models.CharField(max_length=10, choices=Kind)
    # Not the transaction's beginning: it may have waited for the portfolio's lock since then.
    at = models.DateTimeField(help_text="Database time")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=["submit", "cancel"]), name="order_message_kind_known"
            )
        ]
        indexes = [models.Index(fields=["portfolio", "at"]), models.Index(fields=["at"])]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"


class BrokerMessage(models.Model):
    """One exchange of words with a broker about a trade: what was asked, and how it answered. Never a secret.

    Written with the outcome; a worker that dies between leaves none, and the trade's claim tells of it.
    """

    class Kind(models.TextChoices):
        SUBMIT = "submit"
        CANCEL = "cancel"
        ASK = "ask"
        REPORT = "report"  # the broker spoke first

    id = models.BigAutoField(primary_key=True)
    trade = models.ForeignKey("trading.AutoTrade", on_delete=models.PROTECT, related_name="messages")
    kind = models.CharField(max_length=10, choices=Kind)
    attempt = models.PositiveIntegerField(default=0)
    outcome = models.CharField(max_length=20, help_text="accepted, rejected, unknown, …")
    detail = models.CharField(max_length=255, blank=True)
    sent_at = models.DateTimeField(null=True, help_text="Database time")
    answered_at = models.DateTimeField(help_text="Database time")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=["submit", "cancel", "ask", "report"]),
                name="broker_message_kind_known",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.outcome}"
