"""Days of which no bar is there, as long as that is so and afterwards, for the record."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from market.models.tables import Instrument

ERROR_LENGTH_MAX = 300


class MarketGap(models.Model):
    """Trading days on which an instrument has no bar although it had one before. It is open until all of them have one.

    `next_try_at` is moved on before the provider is asked, so that whoever dies over it is followed by the next.
    """

    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="gaps", db_index=False)
    first_day = models.DateField(help_text="the exchange's local date")
    last_day = models.DateField(help_text="the last of them without another trading day in between")
    found_at = models.DateTimeField(db_default=Now(), help_text="database time")
    filled_at = models.DateTimeField(null=True, blank=True, help_text="database time")
    tries = models.PositiveIntegerField(default=0, help_text="how often the provider was asked")
    next_try_at = models.DateTimeField(db_default=Now(), help_text="database time")
    last_error = models.CharField(max_length=ERROR_LENGTH_MAX, blank=True)
    alerted_at = models.DateTimeField(null=True, blank=True, help_text="database time")

    class Meta:
        indexes = [
            models.Index(fields=["next_try_at"], condition=Q(filled_at=None), name="market_gap_due"),
            models.Index(fields=["-found_at", "-id"], name="market_gap_newest"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["instrument", "first_day"], condition=Q(filled_at=None), name="market_gap_open_once"
            ),
            models.CheckConstraint(
                condition=Q(last_day__gte=F("first_day")), name="market_gap_days_in_order"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.first_day} to {self.last_day}"
