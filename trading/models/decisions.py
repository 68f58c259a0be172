"""What became of every rule that triggered, and when rules acted."""

import uuid

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce, Now

from market.models import Instrument
from portfolios.models import Portfolio
from rules.models import RuleVersion, TradingRule
from sessions.models import TradingSession
from trading.models.columns import FindingsField


class Decision(models.Model):
    """What became of a rule that triggered, whatever it was, and why.

    A decision equal to its predecessor (rule version, symbol, outcome, code) raises `repeated` instead of
    adding a row; only what was done, a trade made or a stop armed, always gets its own. `detail` and the reasons
    are those of `last_slot`, for whoever looks asks why it is so now; `slot` and `market_at` tell since when.
    """

    class Outcome(models.TextChoices):
        TRADED = "traded"  # a trade was made from it
        REFUSED = "refused"  # a risk control said no
        OUTRANKED = "outranked"  # another rule won, or blocked it
        NO_SIZE = "no_size"  # there was nothing to buy or sell
        LAPSED = "lapsed"  # on fresh facts the rule was no longer true
        RESTING = "resting"  # it acted not long ago, and its cooldown is not over
        ALERTED = "alerted"  # it asked for an alert, and gave it
        BLOCKING = "blocking"  # it let no rule buy in this evaluation
        HALTED = "halted"  # it armed an emergency stop; repeated while that is in force

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Without an index where another one below begins with the column, or nobody looks for it alone: each costs every
    # order one entry more.
    portfolio = models.ForeignKey(
        Portfolio, on_delete=models.PROTECT, related_name="decisions", db_index=False
    )
    session = models.ForeignKey(
        TradingSession, on_delete=models.PROTECT, null=True, related_name="decisions", db_index=False
    )
    rule = models.ForeignKey(TradingRule, on_delete=models.PROTECT, null=True, related_name="decisions")
    rule_version = models.ForeignKey(
        RuleVersion, on_delete=models.PROTECT, null=True, related_name="decisions", db_index=False
    )
    instrument = models.ForeignKey(
        Instrument,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
        help_text="Empty: the whole portfolio",
    )
    slot = models.BigIntegerField(help_text="Snapshot version it was first taken on")
    market_at = models.DateTimeField(help_text="Market time it was first taken at")
    outcome = models.CharField(max_length=20, choices=Outcome)
    code = models.CharField(max_length=40, blank=True, help_text="Refusal code, if a control said no")
    detail = models.TextField(blank=True, help_text="One sentence")
    explanation = models.JSONField(help_text="Each condition with its fact, threshold and outcome")
    sizing = models.JSONField(default=dict, help_text="The arithmetic of the size")
    checks = FindingsField(default=list, help_text="Each risk control with its value and limit")
    outranked_by = models.JSONField(null=True, help_text="What it lost against")
    repeated = models.PositiveIntegerField(default=0, help_text="Equal decisions since")
    last_slot = models.BigIntegerField()
    last_market_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(outcome="refused", code=""), name="decision_refusal_has_code"
            ),
        ]
        indexes = [
            # The lists: by when it was last seen.
            models.Index(fields=["-last_slot", "-created_at", "-id"], name="decision_seen"),
            models.Index(
                fields=["portfolio", "-last_slot", "-created_at", "-id"], name="decision_seen_in_portfolio"
            ),
            # The last decision of a session on a rule and symbol: the expressions of `services.decisions`.
            models.Index(
                F("session"),
                Coalesce("rule", Value(uuid.UUID(int=0))),
                Coalesce("instrument", Value(0, models.BigIntegerField())),
                Case(
                    When(outcome__in=["alerted", "blocking", "halted"], then=F("outcome")),
                    default=Value(""),
                ),
                F("last_slot").desc(),
                F("created_at").desc(),
                name="decision_predecessor",
            ),
            # The same of decisions that no session took: the last one of the portfolio.
            models.Index(
                F("portfolio"),
                Coalesce("rule", Value(uuid.UUID(int=0))),
                Coalesce("instrument", Value(0, models.BigIntegerField())),
                Case(
                    When(outcome__in=["alerted", "blocking", "halted"], then=F("outcome")),
                    default=Value(""),
                ),
                F("last_slot").desc(),
                F("created_at").desc(),
                condition=Q(session=None),
                name="decision_predecessor_outside",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} {self.code}".strip()


class RuleAct(models.Model):
    """When a rule that has a cooldown last acted: traded, alerted or armed a stop.

    It belongs to the rule, not to a version or a session, so that a rest outlives both.
    """

    id = models.BigAutoField(primary_key=True)
    rule = models.ForeignKey(TradingRule, on_delete=models.PROTECT, related_name="acts")
    instrument = models.ForeignKey(
        Instrument,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="Empty: it fired for the whole portfolio",
    )
    acted_at = models.DateTimeField(help_text="Market time")

    class Meta:
        verbose_name = "rest"
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "instrument"], name="rule_act_once", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule} at {self.acted_at}"
