"""Rules as data, and every state they were ever in.

`trading_rules` is a rule as it is now; `rule_versions` is every content it ever
had. Decisions and trades point at a version, so what they were decided on can
never change under them: the model refuses it, and so does the database. Only a
second person's decision on a version that waits for one is added to it, once.
"""

import uuid
from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from portfolios.approval import WAITING, Decidable, four_eyes_constraints
from portfolios.models import Portfolio
from rules.core.validation import NAME_CHARACTERS_MAX


class RuleVersionIsImmutable(RuntimeError):
    """A rule version is history: make a new version instead of changing one."""


class RuleType(models.TextChoices):
    ENTRY = "entry"
    EXIT = "exit"
    RISK = "risk"


class RuleContent(models.Model):
    """The columns that a rule and its versions share: what the rule says."""

    name = models.CharField(max_length=NAME_CHARACTERS_MAX)
    rule_type = models.CharField(max_length=50, choices=RuleType)
    priority = models.IntegerField(default=0, db_default=0, help_text="The higher number wins")
    conditions = models.JSONField()
    actions = models.JSONField()
    schedule = models.JSONField(null=True, blank=True)
    cooldown = models.JSONField(null=True, blank=True)

    class Meta:
        abstract = True

    def content(self) -> dict[str, Any]:
        """The rule as validation normalises it."""
        return {
            "name": self.name,
            "rule_type": self.rule_type,
            "priority": self.priority,
            "conditions": self.conditions,
            "actions": self.actions,
            "schedule": self.schedule,
            "cooldown": self.cooldown,
        }


class TradingRule(RuleContent):
    """A portfolio's rule as it is now; written by `rules.services.rules` only.

    What it says and `version` are what is in force. Where four eyes are asked for, a change is a later version
    that waits, and a new rule is inactive until its first version is approved.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="trading_rules")
    is_active = models.BooleanField(default=True, db_default=True)
    version = models.PositiveIntegerField(default=1, db_default=1, help_text="The current rule version")
    activate_when_approved = models.BooleanField(
        default=False,
        db_default=False,
        help_text="It was made to be active, and its version waits for approval",
    )
    archived_at = models.DateTimeField(null=True, blank=True, help_text="Set when the rule was deleted")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "trading_rules"
        constraints = [
            models.CheckConstraint(
                condition=Q(rule_type__in=RuleType.values), name="trading_rule_type_known"
            ),
            models.CheckConstraint(
                condition=Q(archived_at__isnull=True) | Q(is_active=False),
                name="trading_rule_archived_is_inactive",
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="trading_rule_version_from_one"),
            models.CheckConstraint(
                condition=Q(activate_when_approved=False) | Q(is_active=False, archived_at__isnull=True),
                name="trading_rule_waits_inactive",
            ),
        ]
        indexes = [
            models.Index(
                fields=["portfolio", "is_active"],
                condition=Q(archived_at__isnull=True),
                name="trading_rules_in_force",
            )
        ]
        ordering = [F("priority").desc(), "created_at", "id"]

    def __str__(self) -> str:
        return self.name


class RuleVersion(Decidable, RuleContent):
    """What a rule said from one change to the next. Never deleted, and updated by a decision only."""

    id = models.BigAutoField(primary_key=True)
    rule = models.ForeignKey(TradingRule, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "rule_versions"
        constraints = [
            models.UniqueConstraint(fields=["rule", "version"], name="rule_version_once"),
            models.CheckConstraint(
                condition=Q(rule_type__in=RuleType.values), name="rule_version_type_known"
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="rule_version_from_one"),
            *four_eyes_constraints("rule_version"),
        ]
        indexes = [models.Index(fields=["rule"], condition=WAITING, name="rule_versions_waiting")]
        ordering = ["rule", "-version"]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise RuleVersionIsImmutable(f"{self} cannot be changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuleVersionIsImmutable(f"{self} cannot be deleted")
