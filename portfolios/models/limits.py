"""Within what a portfolio may trade: instruments and limits."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from market.models import Instrument
from portfolios.approval import WAITING, Decidable, four_eyes_constraints
from portfolios.core.limits import LIMIT_NAMES
from portfolios.models.owners import Portfolio


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


class InstrumentPermissionProposal(Decidable):
    """Both lists, whole, as somebody asked for them: in force at once, or waiting for a second person.

    What is in force are the rows of `InstrumentPermission`; these are what was asked for, and never change but for
    one decision. `version` counts the changes of one portfolio's lists, or (none named) of the platform's.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    portfolio = models.ForeignKey(
        Portfolio, on_delete=models.PROTECT, null=True, blank=True, related_name="+",
        help_text="Empty: every portfolio",
    )  # fmt: skip
    version = models.PositiveIntegerField(editable=False)
    permitted = models.JSONField(help_text="Symbols; none: all")
    restricted = models.JSONField(help_text="Reasons by symbol")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["portfolio", "version"], name="permission_proposal_version_once", nulls_distinct=False
            ),
            *four_eyes_constraints("permission_proposal"),
        ]
        indexes = [models.Index(fields=["portfolio"], condition=WAITING, name="permission_proposals_waiting")]
        ordering = ["portfolio", "-version"]

    def __str__(self) -> str:
        return f"lists of {self.portfolio or 'every portfolio'} v{self.version}"


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
        indexes = [
            models.Index(fields=["scope"], condition=WAITING, name="limit_sets_waiting"),
            # the smallest of all, which an evaluation compares losses with
            models.Index(fields=["max_daily_loss_percentage"], name="limit_sets_by_daily_loss"),
            models.Index(fields=["max_drawdown_percentage"], name="limit_sets_by_drawdown"),
        ]
        ordering = ["scope", "scope_id", "-version"]

    def __str__(self) -> str:
        return f"{self.scope} limits v{self.version}"
