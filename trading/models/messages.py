"""What was asked of brokers, for the limits on messages."""

from django.db import models

from portfolios.models import BrokerAccount, Portfolio


class OrderMessage(models.Model):
    """One submit or cancel, counted when it is decided on, under the portfolio's lock.

    Kept for minutes only: the journal is the record of what happened.
    """

    class Kind(models.TextChoices):
        SUBMIT = "submit"
        CANCEL = "cancel"

    id = models.BigAutoField(primary_key=True)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="+", db_index=False)
    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, related_name="+", db_index=False)
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
