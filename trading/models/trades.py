"""Trades and their fills."""

import uuid
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from market.models import Instrument, Recommendation
from portfolios.models import BrokerAccount, Portfolio
from rules.models import RuleVersion, TradingRule
from sessions.models import TradingSession
from trading.core.order_states import OrderState
from trading.core.orders import NEEDS, TRAIL_PERCENTAGE_MAX, OrderType, TimeInForce
from trading.models.columns import (
    PERCENTAGES_IN_RANGE,
    STOP_LOSS,
    TAKE_PROFIT,
    TRAILING_STOP,
    UNPROTECTED,
    percentage,
)
from trading.models.decisions import Decision


def _amount(**options: Any) -> models.DecimalField:
    """NUMERIC(20, 8): every price, quantity and amount of money."""
    return models.DecimalField(max_digits=20, decimal_places=8, **options)


class Side(models.TextChoices):
    BUY = "buy"
    SELL = "sell"


def _terms_of(order_type: OrderType) -> Q:
    """Exactly what the type needs, and sensible."""
    needed = NEEDS[order_type]
    fits = Q(order_type=order_type.value)
    for name in ("limit_price", "stop_price", "trail_percentage"):
        fits &= Q(**{f"{name}__gt": 0}) if name in needed else Q(**{name: None})
    return fits


_TERMS_FIT = (
    _terms_of(OrderType.MARKET)
    | _terms_of(OrderType.LIMIT)
    | _terms_of(OrderType.STOP)
    | _terms_of(OrderType.STOP_LIMIT)
    | _terms_of(OrderType.TRAILING_STOP) & Q(trail_percentage__lt=TRAIL_PERCENTAGE_MAX)
)


class AutoTrade(models.Model):
    """One intent, one order: `client_order_id` is fixed before anything is sent, for ever."""

    class Origin(models.TextChoices):
        RULE = "rule"
        FLATTEN = "flatten"
        PROTECTION = "protection"
        MANUAL = "manual"
        RECONCILED = "reconciled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Without an index where another one below begins with the column, or nobody looks for it alone: each costs every
    # order two entries more, for a fill changes columns that others index.
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="trades", db_index=False)
    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, related_name="trades")
    session = models.ForeignKey(TradingSession, on_delete=models.PROTECT, null=True, related_name="trades")
    rule = models.ForeignKey(TradingRule, on_delete=models.PROTECT, null=True, related_name="trades")
    rule_version = models.ForeignKey(
        RuleVersion, on_delete=models.PROTECT, null=True, related_name="trades", db_index=False
    )
    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="trade")
    recommendation = models.ForeignKey(
        Recommendation, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    origin = models.CharField(max_length=20, choices=Origin, default=Origin.RULE)
    actor = models.CharField(max_length=200, help_text="Who wanted it: a rule's version or a user")
    slot = models.BigIntegerField(help_text="Version of the snapshot it was decided on")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+", db_index=False)
    symbol = models.CharField(max_length=32)
    trade_type = models.CharField(max_length=10, choices=Side)
    order_type = models.CharField(
        max_length=20, choices=[(t.value, t.value) for t in OrderType], default=OrderType.MARKET.value
    )
    time_in_force = models.CharField(
        max_length=10,
        choices=[(t.value, t.value) for t in TimeInForce],
        default=TimeInForce.DAY.value,
        db_default=TimeInForce.DAY.value,
    )
    limit_price = _amount(null=True)
    stop_price = _amount(null=True)
    trail_percentage = _amount(null=True, help_text="Percent behind the best price since it began")
    expires_at = models.DateTimeField(null=True, help_text="Market time; of a day order at the paper broker")
    quantity = _amount()
    trigger_price = _amount(help_text="Price that it was decided on")
    executed_price = _amount(null=True, help_text="Mean price of its fills")
    filled_quantity = _amount(default=0)
    fees = _amount(default=0, help_text="Of its fills but for the reversed ones")
    realised_pnl = _amount(default=0, help_text="Before fees; what reversals of its fills realised included")
    status = models.CharField(
        max_length=20, choices=[(s.value, s.value) for s in OrderState], default="pending"
    )
    status_reason = models.CharField(max_length=255, blank=True)
    client_order_id = models.CharField(max_length=64)
    broker_order_id = models.CharField(max_length=100, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    fence = models.BigIntegerField(default=0, help_text="Raised by every claim; a stale one changes nothing")
    claimed_by = models.CharField(max_length=200, blank=True)
    claimed_until = models.DateTimeField(null=True, help_text="Database time; then another may take it over")
    sent_at = models.DateTimeField(
        null=True, help_text="Database time at which it was last claimed for sending"
    )
    asks = models.PositiveIntegerField(default=0, db_default=0, help_text="Since its outcome is unknown")
    ask_at = models.DateTimeField(null=True, help_text="Database time at which the broker is asked next")
    cancel_requested_at = models.DateTimeField(
        null=True, help_text="Database time; asked for as soon as it is known where the order is"
    )
    cancel_reason = models.CharField(max_length=255, blank=True, default="", db_default="")
    # What the paper market remembers of a working order.
    triggered_at = models.DateTimeField(
        null=True, help_text="Market time at which its stop price was reached"
    )
    best_price = _amount(null=True, help_text="Since it began; what a trailing stop follows")
    matched_slot = models.BigIntegerField(
        default=0, db_default=0, help_text="Version of the last snapshot that it was matched against"
    )
    limits_version = models.CharField(max_length=200, help_text="The limits that it was approved under")
    price_age_ms = models.BigIntegerField(help_text="Age of the price it was approved on, database time")
    market_at = models.DateTimeField(help_text="Market time of the decision")
    market_day = models.DateField(help_text="UTC date of market_at, which daily limits count by")
    executed_at = models.DateTimeField(null=True, help_text="Market time of the last fill")
    # How the position is protected that a buy opens or adds to.
    stop_loss_percentage = percentage(STOP_LOSS)
    take_profit_percentage = percentage(TAKE_PROFIT)
    trailing_stop_percentage = percentage(TRAILING_STOP)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "auto_trades"
        constraints = [
            # Not by `unique=True`, which makes another index besides, for patterns that nobody asks for.
            models.UniqueConstraint(fields=["client_order_id"], name="trade_client_order_id_once"),
            models.UniqueConstraint(
                fields=["session", "slot", "instrument"],
                condition=Q(session__isnull=False, origin="rule"),
                name="one_trade_per_session_slot_instrument",
            ),
            # Of those that have no fill yet: an order that turns up executed after it was given up must be
            # booked, though another has been made in its place.
            models.UniqueConstraint(
                fields=["portfolio", "instrument"],
                condition=Q(origin="protection", status__in=["pending", "submitting", "accepted"]),
                name="one_protective_trade_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(trade_type="buy") | UNPROTECTED, name="trade_protects_what_it_buys"
            ),
            models.CheckConstraint(condition=PERCENTAGES_IN_RANGE, name="trade_protection_within_range"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="trade_quantity_positive"),
            models.CheckConstraint(
                condition=Q(order_type__in=[t.value for t in OrderType]), name="trade_order_type_known"
            ),
            models.CheckConstraint(
                condition=Q(time_in_force__in=[t.value for t in TimeInForce]),
                name="trade_time_in_force_known",
            ),
            models.CheckConstraint(condition=_TERMS_FIT, name="trade_terms_fit_its_type"),
            models.CheckConstraint(
                condition=Q(filled_quantity__gte=0, filled_quantity__lte=F("quantity")),
                name="trade_fill_within_quantity",
            ),
            models.CheckConstraint(
                condition=Q(status__in=[state.value for state in OrderState]), name="trade_status_known"
            ),
            models.CheckConstraint(condition=Q(trade_type__in=["buy", "sell"]), name="trade_type_known"),
            models.CheckConstraint(
                condition=~Q(status="filled")
                | Q(filled_quantity=F("quantity"), executed_price__isnull=False),
                name="trade_filled_means_filled",
            ),
            models.CheckConstraint(
                condition=Q(filled_quantity=0, executed_price=None)
                | Q(filled_quantity__gt=0, executed_price__gt=0),
                name="trade_executed_price_with_fill",
            ),
            models.CheckConstraint(
                condition=Q(rule__isnull=False, rule_version__isnull=False, session__isnull=False)
                | ~Q(origin="rule"),
                name="trade_of_a_rule_names_it",
            ),
            models.CheckConstraint(
                condition=~Q(actor="") & ~Q(limits_version=""), name="trade_names_actor_and_limits"
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at"]),
            models.Index(fields=["portfolio", "-created_at"]),
            models.Index(
                fields=["portfolio"],
                condition=~Q(status__in=["filled", "cancelled", "rejected", "expired"]),
                name="trade_open",
            ),
            models.Index(fields=["portfolio", "market_day"]),
            # What is due at brokers: claims that may have lost their worker, and questions.
            models.Index(
                fields=["claimed_until"],
                condition=Q(status__in=["submitting", "cancelling"]),
                name="trade_claimed",
            ),
            models.Index(
                fields=["ask_at"], condition=Q(status__in=["unknown", "quarantined"]), name="trade_in_doubt"
            ),
            models.Index(fields=["created_at"], condition=Q(status="pending"), name="trade_pending"),
            # What breakers count: the losses since the last sell that did not lose, and the last minute's
            # rejections.
            models.Index(
                fields=["portfolio", "executed_at", "updated_at", "id"],
                condition=Q(
                    trade_type="sell",
                    status__in=["filled", "cancelled", "rejected", "expired"],
                    executed_at__isnull=False,
                ),
                name="trade_closing",
            ),
            models.Index(fields=["updated_at"], condition=Q(status="rejected"), name="trade_rejected"),
        ]

    def __str__(self) -> str:
        return f"{self.trade_type} {self.quantity.normalize():f} {self.symbol} ({self.status})"


class Execution(models.Model):
    """One fill, unique by the broker's execution id: the same fill told twice is booked once."""

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, related_name="+", db_index=False)
    execution_id = models.CharField(max_length=100)
    trade = models.ForeignKey(AutoTrade, on_delete=models.PROTECT, related_name="executions")
    quantity = _amount()
    price = _amount()
    fee = _amount()
    realised_pnl = _amount(default=0, help_text="Of a sell, before the fee")
    reversed_at = models.DateTimeField(null=True, help_text="Database time; its fee was given back, too")
    reversal_pnl = _amount(default=0, help_text="Realised by the reversal, before the fee")
    market_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "execution_id"], name="execution_once"),
            models.CheckConstraint(
                condition=Q(quantity__gt=0, price__gt=0, fee__gte=0), name="execution_positive"
            ),
            models.CheckConstraint(
                condition=Q(reversed_at__isnull=False) | Q(reversal_pnl=0),
                name="execution_reversal_pnl_when_reversed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} at {self.price}"
