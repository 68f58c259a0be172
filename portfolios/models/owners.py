"""Portfolios, who may see them, and the broker account that serves each."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Role(models.TextChoices):
    VIEWER = "viewer"
    TRADER = "trader"
    RISK_OFFICER = "risk_officer"
    OWNER = "owner"


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
    four_eyes = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Changes of rules and limits wait for a second person, as they always do with a live account",
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
    role = models.CharField(max_length=20, choices=Role)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "user"], name="member_once"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="member_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class BrokerAccount(models.Model):
    """The account at a broker that serves this one portfolio. Whether money is real is a property of it."""

    class Broker(models.TextChoices):
        PAPER = "paper"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    portfolio = models.OneToOneField(Portfolio, on_delete=models.PROTECT, related_name="broker_account")
    broker = models.CharField(max_length=20, choices=Broker, default=Broker.PAPER)
    is_live = models.BooleanField(default=False)
    fee_bps = models.DecimalField(max_digits=8, decimal_places=4, default=1, help_text="Of the traded value")
    fee_minimum = models.DecimalField(max_digits=12, decimal_places=4, default=0, help_text="For each fill")
    slippage_bps = models.DecimalField(
        max_digits=8, decimal_places=4, default=1, help_text="Against the order"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(broker="paper", is_live=True), name="paper_is_never_live"),
            models.CheckConstraint(
                condition=Q(fee_bps__gte=0, fee_minimum__gte=0, slippage_bps__gte=0),
                name="broker_costs_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.broker} account of {self.portfolio}"
