"""Portfolios, who may see them, and the broker account that serves each."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from portfolios.core.access import Role

ROLES = [(role.value, role.value.replace("_", " ").title()) for role in Role]


class Portfolio(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=255)
    base_currency = models.CharField(max_length=3, default="USD")
    cash = models.DecimalField(
        max_digits=20, decimal_places=8, default=0, help_text="Σ ledger on the cash account"
    )
    reserved_cash = models.DecimalField(
        max_digits=20,
        decimal_places=8,
        default=0,
        help_text="Σ open reservations: promised to working orders",
    )
    realised_pnl = models.DecimalField(max_digits=20, decimal_places=8, default=0, help_text="After fees")
    paid_in = models.DecimalField(
        max_digits=20,
        decimal_places=8,
        default=0,
        db_default=0,
        help_text="Deposits less withdrawals: Σ ledger on the capital account",
    )
    four_eyes = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Changes of rules and limits wait for a second person, as they always do with a live account",
    )
    rules_revision = models.BigIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="Grows with each change of its rules, by triggers on them",
    )
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, through="Member", related_name="portfolios")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(reserved_cash__gte=0), name="portfolio_reserved_cash_not_negative"
            )
        ]
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Member(models.Model):
    portfolio = models.ForeignKey(Portfolio, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=ROLES)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "user"], name="member_once"),
            models.CheckConstraint(
                condition=Q(role__in=[role.value for role in Role]), name="member_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class BrokerAccount(models.Model):
    """The account at a broker that serves this one portfolio. Whether money is real is a property of it."""

    class Broker(models.TextChoices):
        PAPER = "paper"
        ALPACA = "alpaca"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    portfolio = models.OneToOneField(Portfolio, on_delete=models.PROTECT, related_name="broker_account")
    broker = models.CharField(max_length=20, choices=Broker, default=Broker.PAPER)
    is_live = models.BooleanField(default=False, help_text="Money is real")
    account_number = models.CharField(
        max_length=64, blank=True, help_text="The broker's own; what it tells of another one is not believed"
    )
    connected_at = models.DateTimeField(
        null=True,
        help_text="To the broker that it has now, database time; what happened there before is not ours",
    )
    activities_since = models.DateTimeField(
        null=True,
        help_text="What the broker charges and pays outside of orders is booked from then on, database time; empty: "
        "what it has told of by the next reconciliation is in the cash that the account began with",
    )
    # How the paper market treats this account; a real broker's own costs are what it charges.
    fee_bps = models.DecimalField(max_digits=8, decimal_places=4, default=1, help_text="Of the traded value")
    fee_per_unit = models.DecimalField(
        max_digits=12, decimal_places=6, default=0, db_default=0, help_text="Currency for each share"
    )
    fee_minimum = models.DecimalField(max_digits=12, decimal_places=4, default=0, help_text="For each fill")
    slippage_bps = models.DecimalField(
        max_digits=8, decimal_places=4, default=1, help_text="Against the order, whatever its size"
    )
    price_impact_bps = models.DecimalField(
        max_digits=8,
        decimal_places=4,
        default=0,
        db_default=0,
        help_text="Against the order besides, if it took the whole volume; grows with the square of its share",
    )
    volume_limit_percentage = models.DecimalField(
        max_digits=7,
        decimal_places=4,
        default=0,
        db_default=0,
        help_text="Of a bar's volume, the most that is filled on one snapshot; 0: no limit",
    )
    latency_ms = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Market time between a decision and the market that fills it"
    )
    touch_fill_percentage = models.DecimalField(
        max_digits=7,
        decimal_places=4,
        default=100,
        db_default=100,
        help_text="How often a limit order is filled by a price that only touches its limit, by chance of the seed",
    )
    seed = models.BigIntegerField(default=0, db_default=0, help_text="Of all that chance decides")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(broker="paper", is_live=True), name="paper_is_never_live"),
            models.CheckConstraint(condition=Q(broker__in=["paper", "alpaca"]), name="broker_known"),
            models.CheckConstraint(
                condition=Q(
                    fee_bps__gte=0,
                    fee_per_unit__gte=0,
                    fee_minimum__gte=0,
                    slippage_bps__gte=0,
                    price_impact_bps__gte=0,
                ),
                name="broker_costs_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(
                    volume_limit_percentage__gte=0,
                    volume_limit_percentage__lte=100,
                    touch_fill_percentage__gte=0,
                    touch_fill_percentage__lte=100,
                ),
                name="broker_percentages_in_range",
            ),
            # Two portfolios on one account would each believe that they own what it holds.
            models.UniqueConstraint(
                fields=["broker", "account_number"],
                condition=~Q(account_number=""),
                name="broker_account_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.broker} account of {self.portfolio}"


class BrokerCredential(models.Model):
    """The keys of a broker account, encrypted: AES-256-GCM, bound to this account's row, so that a sealed text copied
    to another row opens nothing. Written and opened by `portfolios.services.credentials` only."""

    account = models.OneToOneField(
        BrokerAccount, on_delete=models.CASCADE, primary_key=True, related_name="credential"
    )
    sealed = models.BinaryField(help_text="Nonce and sealed JSON")
    sealing_key = models.CharField(max_length=16, help_text="Which of CREDENTIAL_KEYS sealed it")
    hint = models.CharField(max_length=20, help_text="The end of the key's id, for people")
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    set_at = models.DateTimeField(help_text="Database time")

    def __str__(self) -> str:
        return f"keys of {self.account}"
