"""What a portfolio owns, who may see it, and within which limits it may trade.

Money, positions and reservations are written by `portfolios.services` only, under the portfolio's lock.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from market.models import CorporateAction, Instrument
from portfolios.approval import WAITING, Decidable, four_eyes_constraints
from portfolios.core.limits import LIMIT_NAMES


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
        INCOME = "income"  # what holdings paid: dividends

    class Kind(models.TextChoices):
        DEPOSIT = "deposit"
        WITHDRAWAL = "withdrawal"
        FILL = "fill"
        FEE = "fee"
        DIVIDEND = "dividend"
        SPLIT = "split"  # units that came or went without a price
        CASH_IN_LIEU = "cash_in_lieu"  # the fraction that a split left, sold
        REVERSAL = "reversal"

    id = models.BigAutoField(primary_key=True)
    entry_id = models.UUIDField(db_index=True)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="ledger_transfers")
    kind = models.CharField(max_length=20, choices=Kind)
    debit_account = models.CharField(max_length=20, choices=Account)
    credit_account = models.CharField(max_length=20, choices=Account)
    asset = models.CharField(max_length=32, help_text="Currency, or the instrument's symbol")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, null=True, related_name="+")
    amount = models.DecimalField(max_digits=20, decimal_places=8)
    owner_id = models.UUIDField(null=True, db_index=True, help_text="The trade, for a fill and its fee")
    execution_id = models.CharField(max_length=100, blank=True)
    reverses = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="reversed_by")
    memo = models.CharField(max_length=255, blank=True)
    market_at = models.DateTimeField(
        null=True, help_text="Market time; a reversal's is that of what it reverses"
    )
    created_at = models.DateTimeField(db_default=Now())

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
        indexes = [models.Index(fields=["portfolio", "-id"])]

    def __str__(self) -> str:
        return f"{self.kind}: {self.amount} {self.asset} {self.credit_account} → {self.debit_account}"


class Position(models.Model):
    """What is held of an instrument: Σ fills and splits. Quantity 0 keeps the row, with its realised profit.

    `cost` is exact; `average_cost` is derived from it and written with it.
    """

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="positions")
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
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+")
    cash = models.DecimalField(max_digits=20, decimal_places=8, default=0)
    quantity = models.DecimalField(max_digits=20, decimal_places=8, default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(cash__gte=0, quantity__gte=0), name="reservation_not_negative")
        ]

    def __str__(self) -> str:
        return f"{self.cash} cash, {self.quantity} {self.instrument}"


class PortfolioMark(models.Model):
    """The marks against which a day's profit and the drawdown are measured, in market time."""

    portfolio = models.OneToOneField(
        Portfolio, on_delete=models.CASCADE, primary_key=True, related_name="mark"
    )
    day = models.DateField(help_text="Market day")
    day_open_equity = models.DecimalField(max_digits=20, decimal_places=8)
    peak_equity = models.DecimalField(max_digits=20, decimal_places=8)

    def __str__(self) -> str:
        return f"{self.portfolio} {self.day}"


class PositionMark(models.Model):
    """The highest price since a position was opened (trailing exits). Written by `services.marks` only.

    It stands apart from the position so that a tick never waits for a fill's lock.
    """

    position = models.OneToOneField(Position, on_delete=models.CASCADE, primary_key=True, related_name="mark")
    opened_at = models.DateTimeField(help_text="The opening that the peak belongs to, market time")
    peak_price = models.DecimalField(max_digits=20, decimal_places=8)

    def __str__(self) -> str:
        return f"peak {self.peak_price}"


class InstrumentPermission(models.Model):
    """An instrument that may, or may not, be bought: in one portfolio, or (none named) in all of them.

    A restricted instrument is never bought. Where any instrument is permitted, only those are bought.
    """

    class Kind(models.TextChoices):
        PERMITTED = "permitted"
        RESTRICTED = "restricted"

    portfolio = models.ForeignKey(
        Portfolio, on_delete=models.CASCADE, null=True, blank=True, related_name="instrument_permissions",
        help_text="Empty: every portfolio",
    )  # fmt: skip
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=Kind)
    reason = models.CharField(max_length=255, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["portfolio", "instrument"], name="instrument_permission_once", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["permitted", "restricted"]), name="instrument_permission_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instrument} {self.kind}"


class CorporateActionBooking(models.Model):
    """What a corporate action is to one portfolio, once. `booked_at` empty: it waits, and `waiting_for` says why.

    Written by `services.corporate_actions`, and by a reversal. `entry_id` is empty where there was nothing to
    book (a dividend below half a cent).
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
    waiting_for = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    booked_at = models.DateTimeField(null=True, help_text="Database time")
    reversed_at = models.DateTimeField(null=True, help_text="Database time")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["action", "portfolio"], name="corporate_action_booked_once"),
            models.CheckConstraint(
                condition=Q(booked_at__isnull=False) | Q(entry_id=None),
                name="corporate_action_entry_when_booked",
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


def _limit_field(name: str) -> models.DecimalField:
    return models.DecimalField(
        max_digits=20, decimal_places=8, null=True, blank=True, help_text=LIMIT_NAMES[name]
    )


class LimitSet(Decidable):
    """One version of the limits of one scope. Rows never change, but for a second person's one decision: a
    change is a new version.

    The highest version of a scope that needs no approval or has it is in force; over several scopes the tightest
    value wins; a limit that no scope sets means no trade.
    """

    class Scope(models.TextChoices):
        PLATFORM = "platform"
        ACCOUNT = "account"
        PORTFOLIO = "portfolio"
        SESSION = "session"
        INSTRUMENT = "instrument"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scope = models.CharField(max_length=20, choices=Scope)
    scope_id = models.UUIDField(
        null=True, blank=True, help_text="Account, portfolio or session; empty for the others"
    )
    instrument = models.ForeignKey(
        Instrument, on_delete=models.PROTECT, null=True, blank=True, related_name="+",
        help_text="Of an instrument's limits, which hold in every portfolio",
    )  # fmt: skip
    version = models.PositiveIntegerField(editable=False)
    max_order_value = _limit_field("max_order_value")
    max_order_quantity = _limit_field("max_order_quantity")
    max_position_percentage = _limit_field("max_position_percentage")
    max_position_value = _limit_field("max_position_value")
    max_open_positions = _limit_field("max_open_positions")
    max_gross_exposure_percentage = _limit_field("max_gross_exposure_percentage")
    max_leverage = _limit_field("max_leverage")
    max_sector_exposure_percentage = _limit_field("max_sector_exposure_percentage")
    max_correlation = _limit_field("max_correlation")
    min_effective_holdings = _limit_field("min_effective_holdings")
    max_volatility = _limit_field("max_volatility")
    min_volume = _limit_field("min_volume")
    min_relative_volume = _limit_field("min_relative_volume")
    max_spread_bps = _limit_field("max_spread_bps")
    max_price_deviation_percentage = _limit_field("max_price_deviation_percentage")
    max_price_move_percentage = _limit_field("max_price_move_percentage")
    max_price_age_seconds = _limit_field("max_price_age_seconds")
    max_recommendation_age_minutes = _limit_field("max_recommendation_age_minutes")
    max_messages_per_second = _limit_field("max_messages_per_second")
    max_messages_per_minute = _limit_field("max_messages_per_minute")
    duplicate_order_seconds = _limit_field("duplicate_order_seconds")
    max_rule_executions = _limit_field("max_rule_executions")
    rule_execution_window_minutes = _limit_field("rule_execution_window_minutes")
    max_daily_trades = _limit_field("max_daily_trades")
    max_daily_trades_per_rule = _limit_field("max_daily_trades_per_rule")
    max_daily_trades_per_symbol = _limit_field("max_daily_trades_per_symbol")
    max_daily_loss_percentage = _limit_field("max_daily_loss_percentage")
    max_drawdown_percentage = _limit_field("max_drawdown_percentage")
    max_losing_streak = _limit_field("max_losing_streak")
    entry_cooldown_minutes = _limit_field("entry_cooldown_minutes")
    max_rejections_per_minute = _limit_field("max_rejections_per_minute")
    max_feed_silence_seconds = _limit_field("max_feed_silence_seconds")
    max_beat_silence_seconds = _limit_field("max_beat_silence_seconds")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "scope_id", "instrument", "version"],
                name="limit_set_version_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(scope="platform", scope_id=None, instrument=None)
                | Q(scope="instrument", scope_id=None, instrument__isnull=False)
                | Q(scope__in=["account", "portfolio", "session"], scope_id__isnull=False, instrument=None),
                name="limit_set_scope_id_fits",
            ),
            *[
                models.CheckConstraint(
                    condition=Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__gte": 0}),
                    name=f"limit_{name}_range",
                )
                for name in LIMIT_NAMES
            ],
            *four_eyes_constraints("limit_set"),
        ]
        indexes = [models.Index(fields=["scope"], condition=WAITING, name="limit_sets_waiting")]
        ordering = ["scope", "scope_id", "-version"]

    def __str__(self) -> str:
        return f"{self.scope} limits v{self.version}"
