"""What reservations and marks were: the rows as they stood until they were changed or deleted.

The ledger tells what was owned at any time, but not what was promised, nor what profits were measured against. So
triggers of the database keep what a statement replaces, for as long as snapshots of the market are kept. A row says
what held *until* then. Nobody else writes here, and only `portfolios.services.past` deletes.
"""

from django.db import models
from django.db.models.functions import Now

from foundation.moments import WritingTransaction


class Past(models.Model):
    """Without foreign keys, whose checks would cost more than the row."""

    id = models.BigAutoField(primary_key=True)
    created_at = models.DateTimeField(help_text="Database time at which the row was first written")
    until = models.DateTimeField(db_default=Now(), help_text="Database time at which it was replaced")
    ended_by = models.BigIntegerField(
        db_default=WritingTransaction(), help_text="The transaction that replaced it"
    )

    class Meta:
        abstract = True


class PastReservation(Past):
    owner_id = models.UUIDField()
    portfolio_id = models.UUIDField()
    instrument_id = models.BigIntegerField()
    cash = models.DecimalField(max_digits=20, decimal_places=8)
    quantity = models.DecimalField(max_digits=20, decimal_places=8)
    written_by = models.BigIntegerField(null=True, help_text="The transaction that first wrote the row")

    class Meta:
        indexes = [models.Index(fields=["portfolio_id", "until"], name="past_reservation_of")]

    def __str__(self) -> str:
        return f"{self.cash} cash, {self.quantity} units until {self.until}"


class PastPortfolioMark(Past):
    portfolio_id = models.UUIDField()
    day = models.DateField()
    day_open_equity = models.DecimalField(max_digits=20, decimal_places=8)
    peak_equity = models.DecimalField(max_digits=20, decimal_places=8)

    class Meta:
        indexes = [models.Index(fields=["portfolio_id", "until"], name="past_portfolio_mark_of")]

    def __str__(self) -> str:
        return f"{self.portfolio_id} {self.day} until {self.until}"


class PastPositionMark(Past):
    position_id = models.BigIntegerField()
    opened_at = models.DateTimeField()
    peak_price = models.DecimalField(max_digits=20, decimal_places=8)

    class Meta:
        indexes = [models.Index(fields=["position_id", "until"], name="past_position_mark_of")]

    def __str__(self) -> str:
        return f"peak {self.peak_price} until {self.until}"
