"""What portfolios were worth: the points of their equity curves."""

from decimal import Decimal

from django.db import models
from django.db.models.functions import Now

from portfolios.models.owners import Portfolio


def _amount(help_text: str) -> models.DecimalField:
    return models.DecimalField(max_digits=20, decimal_places=8, help_text=help_text)


class EquityPoint(models.Model):
    """One portfolio at one market time, all from one reading of the books. Written by `services.equity` only.

    One for each interval of market time (EQUITY_POINT_MINUTES) in which it is looked at, and others beside this
    cadence: where a session begins or ends, and where money comes in or goes out, so that what was earned before
    is not measured by the capital of afterwards. They need no lock: who trades never waits for them.
    """

    id = models.BigAutoField(primary_key=True)
    portfolio = models.ForeignKey(
        Portfolio, on_delete=models.CASCADE, related_name="equity_points", db_index=False
    )
    at = models.DateTimeField(help_text="Market time")
    bucket = models.DateTimeField(
        null=True,
        help_text="Where its interval begins, market time; none: beside the cadence, or kept of an old day",
    )
    cash = _amount("Of the books")
    exposure = _amount("What is held, at its prices")
    cost = _amount("What is held cost, before fees")
    paid_in = _amount("Deposits less withdrawals until then")
    noted_at = models.DateTimeField(db_default=Now(), help_text="Database time")

    class Meta:
        constraints = [
            # In this order it also finds the oldest ones, of which most are forgotten after some time.
            models.UniqueConstraint(fields=["bucket", "portfolio"], name="equity_point_once_an_interval"),
        ]
        indexes = [models.Index(fields=["portfolio", "at"], name="equity_curve")]

    def __str__(self) -> str:
        return f"{self.portfolio} {self.at:%Y-%m-%d %H:%M}"

    @property
    def equity(self) -> Decimal:
        return self.cash + self.exposure

    @property
    def unrealised_pnl(self) -> Decimal:
        """Before the fees of a sale."""
        return self.exposure - self.cost
