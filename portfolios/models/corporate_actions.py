"""What corporate actions are to portfolios, and how far their booking is."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from market.models import CorporateAction
from portfolios.models.owners import Portfolio

# Of an action and a portfolio one booking waits or is in force; beside it stand those that were reversed, and
# those by which nothing moved.
IN_FORCE = Q(entry_id__isnull=False, reversed_at=None)
WAITS = Q(booked_at=None)


class CorporateActionBooking(models.Model):
    """What a corporate action is to one portfolio. `booked_at` empty: it waits, and `waiting_for` says why.

    Written by `services.corporate_actions`, by `services.late_fills`, and by a reversal. `entry_id` is empty where
    there was nothing to book (a dividend below half a cent, or one that a real broker pays). It is made anew once it is
    reversed (or was nothing) and the portfolio is entitled to another quantity than then.
    """

    action = models.ForeignKey(CorporateAction, on_delete=models.PROTECT, related_name="bookings")
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="corporate_actions")
    quantity = models.DecimalField(
        max_digits=20, decimal_places=8, default=0, help_text="Entitled: held just before the ex time"
    )
    realised_pnl = models.DecimalField(
        max_digits=20, decimal_places=8, default=0, help_text="Of the position, by a split's cash in lieu"
    )
    reversal_pnl = models.DecimalField(
        max_digits=20, decimal_places=8, default=0, help_text="Of the position, by the reversal"
    )
    entry_id = models.UUIDField(null=True, unique=True, help_text="The entry in the ledger")
    paid_by_broker = models.BooleanField(
        default=False,
        db_default=False,
        help_text="A dividend at a real broker: what it pays is booked as it tells",
    )
    waiting_for = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    booked_at = models.DateTimeField(null=True, help_text="Database time")
    reversed_at = models.DateTimeField(null=True, help_text="Database time")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["action", "portfolio"],
                condition=WAITS | IN_FORCE,
                name="corporate_action_booked_once",
            ),
            models.CheckConstraint(
                condition=Q(booked_at__isnull=False) | Q(entry_id=None),
                name="corporate_action_entry_when_booked",
            ),
            models.CheckConstraint(
                condition=Q(paid_by_broker=False) | Q(entry_id=None), name="corporate_action_paid_once"
            ),
            models.CheckConstraint(
                condition=Q(reversed_at__isnull=False) | Q(reversal_pnl=0),
                name="corporate_action_reversal_pnl_when_reversed",
            ),
        ]
        indexes = [
            models.Index(fields=["action"], condition=Q(booked_at=None), name="corporate_action_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.action} for {self.portfolio_id}"


class CorporateActionSettlement(models.Model):
    """How far the booking of a corporate action is. It begins once market time has reached the ex time."""

    action = models.OneToOneField(
        CorporateAction, on_delete=models.PROTECT, primary_key=True, related_name="settlement"
    )
    began_at = models.DateTimeField(db_default=Now(), help_text="Database time")
    finished_at = models.DateTimeField(null=True, help_text="Database time; nobody looks at it any more")

    def __str__(self) -> str:
        return f"settlement of {self.action_id}"
