"""At which losses, gains and falls a position is sold by itself."""

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from market.models import Instrument
from portfolios.models import Portfolio
from rules.models import RuleVersion
from trading.models.columns import (
    PERCENTAGES_IN_RANGE,
    STOP_LOSS,
    TAKE_PROFIT,
    TRAILING_STOP,
    UNPROTECTED,
    percentage,
)
from trading.models.trades import AutoTrade


class Protection(models.Model):
    """Of one open position; deleted when nothing is held any more. It belongs to the position, not to a session.

    Percentages count from the position's present average cost and from its peak (`portfolios.PositionMark`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="protections")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+")
    stop_loss_percentage = percentage(STOP_LOSS)
    take_profit_percentage = percentage(TAKE_PROFIT)
    trailing_stop_percentage = percentage(TRAILING_STOP)
    opened_at = models.DateTimeField(help_text="The opening of the position that it belongs to, market time")
    actor = models.CharField(max_length=200, help_text="Who set it last: a rule's version or a user")
    rule_version = models.ForeignKey(
        RuleVersion, on_delete=models.PROTECT, null=True, related_name="+", help_text="Empty: a user set it"
    )
    trade = models.ForeignKey(
        AutoTrade, on_delete=models.PROTECT, null=True, related_name="+",
        help_text="The buy that it came with last",
    )  # fmt: skip
    refusal = models.CharField(
        max_length=40, blank=True, help_text="Its price is reached, and this control keeps it from selling"
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "instrument"], name="protection_once"),
            models.CheckConstraint(condition=~UNPROTECTED, name="protection_protects"),
            models.CheckConstraint(condition=PERCENTAGES_IN_RANGE, name="protection_within_range"),
            models.CheckConstraint(condition=~Q(actor=""), name="protection_names_actor"),
        ]

    def __str__(self) -> str:
        return f"protection of {self.instrument}"
