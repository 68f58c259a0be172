"""The emergency stop's rows, and who is still to hear of one in his own journal."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from portfolios.models import Portfolio
from rules.models import TradingRule
from trading.core.breakers import EPISODE_CHARACTERS_MAX, OF_OUTAGES, Breaker


class Halt(models.Model):
    """A stop. Armed when its row is committed; drained when nothing in its scope is in flight any more."""

    class Scope(models.TextChoices):
        PLATFORM = "platform"
        ACCOUNT = "account"
        PORTFOLIO = "portfolio"
        SESSION = "session"
        RULE = "rule"
        SYMBOL = "symbol"

    class Mode(models.TextChoices):
        HALT = "halt"  # nothing goes out but cancels
        REDUCE_ONLY = "reduce_only"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scope = models.CharField(max_length=20, choices=Scope)
    scope_id = models.CharField(
        max_length=64, blank=True, help_text="UUID, or the symbol; empty for the platform"
    )
    mode = models.CharField(max_length=20, choices=Mode, default=Mode.HALT)
    reason = models.CharField(max_length=255)
    armed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+",
        help_text="Empty: a rule, a breaker or the command line",
    )  # fmt: skip
    armed_by_rule = models.ForeignKey(
        TradingRule,
        on_delete=models.PROTECT,
        null=True,
        related_name="halts",
        help_text="Whose action it was",
    )
    # The defaults are the database's too: a process that does not know the columns may arm stops.
    armed_by_breaker = models.CharField(
        max_length=20, choices=[(breaker.value, breaker.value) for breaker in Breaker], blank=True, default="",
        db_default="", help_text="Empty: a person, a rule or the command line",
    )  # fmt: skip
    episode = models.CharField(
        max_length=EPISODE_CHARACTERS_MAX, blank=True, default="", db_default="",
        help_text="What the breaker tripped for, which it does once",
    )  # fmt: skip
    numbers = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()), blank=True,
        help_text="What the breaker measured, and its limit",
    )  # fmt: skip
    armed_at = models.DateTimeField(db_default=Now())
    journalled_at = models.DateTimeField(
        null=True, help_text="Told in the journal; arming does not wait for it"
    )
    drained_at = models.DateTimeField(null=True)
    heard_since = models.DateTimeField(
        null=True, help_text="Since when he is heard again for whose silence a breaker armed it"
    )
    heard_at = models.DateTimeField(null=True, help_text="The last look at which he was")
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    released_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(scope="platform", scope_id="") | (~Q(scope="platform") & ~Q(scope_id="")),
                name="halt_scope_id_fits",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="halt_has_reason"),
            models.CheckConstraint(
                condition=Q(armed_by=None, armed_by_rule=None)
                | Q(armed_by=None, armed_by_breaker="")
                | Q(armed_by_rule=None, armed_by_breaker=""),
                name="halt_armed_by_one",
            ),
            models.CheckConstraint(
                condition=Q(armed_by_breaker="", episode="")
                | (
                    Q(armed_by_breaker__in=[b.value for b in Breaker if b.mode == "reduce_only"])
                    & Q(mode="reduce_only")
                    & ~Q(episode="")
                )
                | (Q(armed_by_breaker="reconciliation", mode="halt", scope="account") & ~Q(episode="")),
                name="halt_of_a_breaker_reduces_in_an_episode",
            ),
            models.UniqueConstraint(
                fields=["armed_by_breaker", "scope", "scope_id", "episode"],
                condition=~Q(armed_by_breaker=""),
                name="halt_of_a_breaker_once_per_episode",
            ),
            # A second one would stop nothing more, and somebody would have to release both.
            models.UniqueConstraint(
                fields=["armed_by_breaker", "scope", "scope_id"],
                condition=~Q(armed_by_breaker="") & Q(released_at=None),
                name="halt_of_a_breaker_in_force_once",
            ),
            models.UniqueConstraint(
                fields=["armed_by_rule", "scope", "scope_id", "mode"],
                condition=Q(armed_by_rule__isnull=False, released_at=None),
                name="halt_of_a_rule_in_force_once",
            ),
            models.CheckConstraint(
                condition=Q(armed_by=None) | Q(released_by=None) | ~Q(armed_by=F("released_by")),
                name="halt_released_by_another",
            ),
            models.CheckConstraint(
                condition=Q(released_at=None, released_by=None)
                | Q(released_at__isnull=False, released_by__isnull=False)
                # What stopped for an outage ends with it.
                | Q(released_at__isnull=False, armed_by_breaker__in=sorted(b.value for b in OF_OUTAGES)),
                name="halt_release_names_who",
            ),
        ]
        indexes = [
            models.Index(fields=["scope", "scope_id"], condition=Q(released_at=None), name="halt_in_force"),
            # What the sweep looks for, all the time.
            models.Index(fields=["scope", "scope_id"], condition=Q(journalled_at=None), name="halt_untold"),
            models.Index(
                fields=["armed_at"], condition=Q(drained_at=None, released_at=None), name="halt_undrained"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.mode} on {self.scope} {self.scope_id}".strip()


class HaltNotice(models.Model):
    """A portfolio that a stop of the platform or of a symbol concerns: it hears of that in its own journal.

    It stays as long as the stop is in force, so that whoever heard of the arming hears of the release.
    """

    id = models.BigAutoField(primary_key=True)
    halt = models.ForeignKey(Halt, on_delete=models.CASCADE, related_name="notices", db_index=False)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.CASCADE, related_name="+", db_index=False)
    armed_due = models.BooleanField(help_text="It is still to hear that the stop is armed")
    released_due = models.BooleanField(help_text="It is still to hear that the stop is over")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["halt", "portfolio"], name="halt_notice_once")]
        indexes = [
            models.Index(
                fields=["id"], condition=Q(armed_due=True) | Q(released_due=True), name="halt_notice_due"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.halt_id} for {self.portfolio_id}"
