"""The ledger, and what follows from it: positions, reservations, marks. Written under the portfolio's lock only."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from foundation.moments import WritingTransaction
from market.models import Instrument
from portfolios.models.owners import Portfolio


class LedgerTransfer(models.Model):
    """One amount of one asset from the credited to the debited account: balanced by construction.

    Append-only: the application's role has no right to change a row. A correction is a reversal.
    The transfers of one business event share `entry_id`.
    """

    class Account(models.TextChoices):
        CASH = "cash"  # the portfolio's money
        HOLDINGS = "holdings"  # the portfolio's instruments
        CAPITAL = "capital"  # what its owner paid in and took out
        MARKET = "market"  # the counterparty of every fill
        FEES = "fees"  # what trading cost
        INCOME = "income"  # what holdings and cash paid: dividends, interest

    class Kind(models.TextChoices):
        DEPOSIT = "deposit"
        WITHDRAWAL = "withdrawal"
        FILL = "fill"
        FEE = "fee"
        BROKER_FEE = "broker_fee"  # charged outside of fills
        DIVIDEND = "dividend"
        INTEREST = "interest"
        SPLIT = "split"  # units that came or went without a price
        CASH_IN_LIEU = "cash_in_lieu"  # the fraction that a split left, sold
        REVERSAL = "reversal"

    id = models.BigAutoField(primary_key=True)
    entry_id = models.UUIDField(db_index=True)
    portfolio = models.ForeignKey(
        Portfolio, on_delete=models.PROTECT, related_name="ledger_transfers", db_index=False
    )
    kind = models.CharField(max_length=20, choices=Kind)
    debit_account = models.CharField(max_length=20, choices=Account)
    credit_account = models.CharField(max_length=20, choices=Account)
    asset = models.CharField(max_length=32, help_text="Currency, or the instrument's symbol")
    instrument = models.ForeignKey(
        Instrument, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    amount = models.DecimalField(max_digits=20, decimal_places=8)
    owner_id = models.UUIDField(null=True, db_index=True, help_text="The trade, for a fill and its fee")
    execution_id = models.CharField(max_length=100, blank=True)
    reverses = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="reversed_by")
    memo = models.CharField(max_length=255, blank=True)
    market_at = models.DateTimeField(
        null=True, help_text="Market time; a reversal's is that of what it reverses"
    )
    created_at = models.DateTimeField(db_default=Now())
    written_by = models.BigIntegerField(
        null=True, db_default=WritingTransaction(), help_text="The transaction: when others saw it"
    )

    class Meta:
        db_table = "ledger_transfers"
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="transfer_amount_positive"),
            models.CheckConstraint(
                condition=~Q(debit_account=F("credit_account")), name="transfer_between_two"
            ),
            models.CheckConstraint(
                condition=Q(kind="reversal", reverses__isnull=False)
                | (~Q(kind="reversal") & Q(reverses=None)),
                name="transfer_reversal_names_what",
            ),
        ]
        indexes = [
            models.Index(fields=["portfolio", "-id"]),
            # who held how much of an instrument just before an ex time
            models.Index(fields=["instrument", "portfolio", "market_at"], name="ledger_units_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.amount} {self.asset} {self.credit_account} → {self.debit_account}"


class Position(models.Model):
    """What is held of an instrument: Σ fills and splits. Quantity 0 keeps the row, with its realised profit.

    `cost` is exact; `average_cost` is derived from it and written with it.
    """

    portfolio = models.ForeignKey(
        Portfolio, on_delete=models.PROTECT, related_name="positions", db_index=False
    )
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+")
    quantity = models.DecimalField(max_digits=20, decimal_places=8, default=0)
    reserved_quantity = models.DecimalField(
        max_digits=20, decimal_places=8, default=0, help_text="Promised to working sell orders"
    )
    cost = models.DecimalField(
        max_digits=20, decimal_places=8, default=0, help_text="What the held quantity cost, before fees"
    )
    average_cost = models.DecimalField(
        max_digits=20, decimal_places=8, default=0, help_text="cost / quantity, to 8 places; 0 when flat"
    )
    realised_pnl = models.DecimalField(max_digits=20, decimal_places=8, default=0, help_text="Before fees")
    opened_at = models.DateTimeField(null=True, help_text="Market time")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "instrument"], name="position_once"),
            models.CheckConstraint(condition=Q(quantity__gte=0), name="position_not_short"),
            models.CheckConstraint(
                condition=Q(cost__gte=0) & (Q(quantity__gt=0) | Q(cost=0)),
                name="position_cost_of_what_is_held",
            ),
            models.CheckConstraint(
                condition=Q(reserved_quantity__gte=0, reserved_quantity__lte=F("quantity")),
                name="position_reserved_within_quantity",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.instrument}"


class Reservation(models.Model):
    """Cash or quantity promised to somebody (an opaque owner, today a trade) until it is released."""

    owner_id = models.UUIDField(primary_key=True)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="reservations")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+", db_index=False)
    cash = models.DecimalField(max_digits=20, decimal_places=8, default=0)
    quantity = models.DecimalField(max_digits=20, decimal_places=8, default=0)
    created_at = models.DateTimeField(db_default=Now())
    written_by = models.BigIntegerField(
        null=True, db_default=WritingTransaction(), help_text="The transaction: when others saw it"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(cash__gte=0, quantity__gte=0), name="reservation_not_negative")
        ]

    def __str__(self) -> str:
        return f"{self.cash} cash, {self.quantity} {self.instrument}"


class PortfolioMark(models.Model):
    """The marks against which a day's profit and the drawdown are measured, in market time.

    What they were before is kept for a while (`models.past`), as of reservations and the marks of positions.
    """

    portfolio = models.OneToOneField(
        Portfolio, on_delete=models.CASCADE, primary_key=True, related_name="mark"
    )
    day = models.DateField(help_text="Market day")
    day_open_equity = models.DecimalField(max_digits=20, decimal_places=8)
    peak_equity = models.DecimalField(max_digits=20, decimal_places=8)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.portfolio} {self.day}"


class PositionMark(models.Model):
    """The highest price since a position was opened (trailing exits). Written by `services.marks` only.

    It stands apart from the position so that a tick never waits for a fill's lock.
    """

    position = models.OneToOneField(Position, on_delete=models.CASCADE, primary_key=True, related_name="mark")
    opened_at = models.DateTimeField(help_text="The opening that the peak belongs to, market time")
    peak_price = models.DecimalField(max_digits=20, decimal_places=8)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"peak {self.peak_price}"
