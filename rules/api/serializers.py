"""What the API shows of rules. What it takes is judged by the rule language, which knows the paths."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from foundation.api.preconditions import etag
from foundation.api.schema import ProblemError
from portfolios.approval import Approval
from rules.core.cooldown import COOLDOWN_MINUTES_MAX, PER, PER_SYMBOL
from rules.core.description import describe
from rules.core.fields import WEEKDAYS, FieldKind, FieldType
from rules.core.language import TIME_PATTERN, Operator
from rules.core.schedule import MINUTES_MAX
from rules.core.validation import NAME_CHARACTERS_MAX, PRIORITY_MAX
from rules.models import RuleContent, RuleType, RuleVersion, TradingRule

_CONDITIONS = (
    "all must be true; a node is {field, operator, value} or {all|any: […]} or {not: node}. Every shape is in the "
    "JSON Schema at /api/auto-trading/rules/schema"
)
_TIME = f"^({TIME_PATTERN.pattern})$"
_ACTIONS = "what happens when it fires; every shape is in the JSON Schema at /api/auto-trading/rules/schema"


def _objects(help_text: str) -> serializers.ListField:
    return serializers.ListField(child=serializers.DictField(), help_text=help_text)


class ScheduleSerializer(serializers.Serializer[Any]):
    """When a rule may fire, in market time on the clock of the symbol's exchange: at least one key, all must hold."""

    weekdays = serializers.ListField(
        child=serializers.ChoiceField(choices=WEEKDAYS), min_length=1, required=False, help_text="each once"
    )
    to = serializers.RegexField(
        _TIME, required=False, help_text="HH:MM, included; before `from` it means over midnight"
    )
    minutes_after_open = serializers.IntegerField(min_value=0, max_value=MINUTES_MAX, required=False)
    minutes_before_close = serializers.IntegerField(min_value=0, max_value=MINUTES_MAX, required=False)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With `from`, which no Python attribute can be called."""
        start = serializers.RegexField(_TIME, required=False, help_text="HH:MM, included")
        return {**super().get_fields(), "from": start}


class CooldownSerializer(serializers.Serializer[Any]):
    """How long the rule rests after it acted, in market time."""

    minutes = serializers.IntegerField(min_value=1, max_value=COOLDOWN_MINUTES_MAX)
    per = serializers.ChoiceField(
        choices=PER, default=PER_SYMBOL, help_text="`rule`: it rests for all symbols at once"
    )


@extend_schema_field(ScheduleSerializer)
class _Schedule(serializers.JSONField):
    """As it is stored; the serializer only describes it."""


@extend_schema_field(CooldownSerializer)
class _Cooldown(serializers.JSONField):
    """As it is stored; the serializer only describes it."""


class _DescribedSerializer(serializers.ModelSerializer[Any]):
    conditions = _objects(_CONDITIONS)
    actions = _objects(_ACTIONS)
    schedule = _Schedule(allow_null=True)
    cooldown = _Cooldown(allow_null=True)
    description = serializers.SerializerMethodField(help_text="what the rule says, in plain English")

    def get_description(self, rule: RuleContent) -> str:
        return describe(rule.content())


class RuleVersionSerializer(_DescribedSerializer):
    """What the rule said in one version; never changed."""

    class Meta:
        model = RuleVersion
        fields = (
            "rule_id",
            "version",
            "name",
            "description",
            "rule_type",
            "conditions",
            "actions",
            "schedule",
            "cooldown",
            "priority",
            "created_at",
        )
        read_only_fields = fields


class RuleHistorySerializer(RuleVersionSerializer):
    """A version with who made it, and whether a second person had to approve it and did."""

    approval = serializers.ChoiceField(choices=Approval.choices, read_only=True)
    created_by = serializers.CharField(source="created_by.username", read_only=True)
    decided_by = serializers.CharField(
        source="decided_by.username", read_only=True, default=None, allow_null=True
    )

    class Meta:
        model = RuleVersion
        fields = (*RuleVersionSerializer.Meta.fields, "created_by", "approval", "decided_by", "decided_at")
        read_only_fields = fields


def rule_tag(rule: TradingRule) -> str:
    """Of what can be changed about a rule: what it says, what waits, whether it is in force, or deleted. The row is
    one of `rules.selectors.with_pending`."""
    pending = [version.version for version in rule.pending_versions]  # type: ignore[attr-defined]
    archived = rule.archived_at is not None
    return etag("rule", rule.pk, rule.version, pending, rule.is_active, rule.activate_when_approved, archived)


class RuleSerializer(_DescribedSerializer):
    """What is in force, and what waits. The rows come from `rules.selectors.with_pending`."""

    created_by = serializers.CharField(source="created_by.username", read_only=True)
    etag = serializers.SerializerMethodField(help_text="for `If-Match` with a change")
    pending_version = serializers.SerializerMethodField(
        help_text="the next version, not in force, which waits for a second person's approval"
    )

    class Meta:
        model = TradingRule
        fields = (
            "id",
            "portfolio_id",
            "name",
            "description",
            "is_active",
            "rule_type",
            "conditions",
            "actions",
            "schedule",
            "cooldown",
            "priority",
            "version",
            "pending_version",
            "activate_when_approved",
            "archived_at",
            "created_by",
            "created_at",
            "updated_at",
            "etag",
        )
        read_only_fields = fields

    def get_etag(self, rule: TradingRule) -> str:
        return rule_tag(rule)

    @extend_schema_field(RuleHistorySerializer(allow_null=True))
    def get_pending_version(self, rule: TradingRule) -> dict[str, Any] | None:
        pending: list[RuleVersion] = rule.pending_versions  # type: ignore[attr-defined]
        return dict(RuleHistorySerializer(pending[0]).data) if pending else None


class WaitingSerializer(serializers.Serializer[Any]):
    """Something that waits for you to approve or reject it."""

    kind = serializers.ChoiceField(choices=("rule", "limits", "permissions"))
    portfolio_id = serializers.UUIDField(allow_null=True, help_text="null: it concerns every portfolio")
    portfolio = serializers.CharField(allow_null=True, help_text="its name")
    rule_id = serializers.UUIDField(allow_null=True)
    version = serializers.IntegerField()
    what = serializers.CharField(help_text="the rule's name, or whose limits or lists")
    proposed_by = serializers.CharField()
    proposed_at = serializers.DateTimeField()
    path = serializers.CharField(help_text="POST to it with /approve or /reject")


class RuleBodySerializer(serializers.Serializer[Any]):
    """A rule as it is written. This describes it; `rules.core.validation` judges it."""

    name = serializers.CharField(max_length=NAME_CHARACTERS_MAX)
    rule_type = serializers.ChoiceField(choices=RuleType.choices, required=False)
    type = serializers.CharField(required=False, help_text="alias of `rule_type`; one of the two is needed")
    priority = serializers.IntegerField(
        default=0, min_value=-PRIORITY_MAX, max_value=PRIORITY_MAX, help_text="the higher number wins"
    )
    conditions = _objects(_CONDITIONS)
    actions = _objects(_ACTIONS)
    schedule = ScheduleSerializer(required=False, allow_null=True, help_text="absent or null: always")
    cooldown = CooldownSerializer(required=False, allow_null=True, help_text="absent or null: none")


class NewRuleSerializer(RuleBodySerializer):
    portfolio_id = serializers.UUIDField()
    is_active = serializers.BooleanField(default=True)


class CheckedRuleSerializer(RuleBodySerializer):
    portfolio_id = serializers.UUIDField(required=False, help_text="ignored")
    is_active = serializers.BooleanField(required=False, help_text="ignored")


class ValidationSerializer(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    rule = serializers.DictField(allow_null=True, help_text="as it would be stored")
    description = serializers.CharField(allow_null=True, help_text="what it says, in plain English")
    errors = ProblemError(many=True)  # type: ignore[assignment]
    not_carried_out = ProblemError(
        many=True, help_text="why a valid rule could be stored, but not be in force in this version"
    )


class RuleFieldSerializer(serializers.Serializer[Any]):
    """One field that a rule may speak of."""

    name = serializers.CharField()
    kind = serializers.CharField(help_text=f"one of {', '.join(FieldKind)}")
    type = serializers.CharField(help_text=f"one of {', '.join(FieldType)}")
    unit = serializers.CharField(allow_blank=True)
    meaning = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    formula = serializers.CharField(allow_blank=True)
    reference = serializers.CharField(help_text="where the formula is from")
    minimum = serializers.FloatField(allow_null=True)
    maximum = serializers.FloatField(allow_null=True)
    choices = serializers.ListField(child=serializers.CharField())
    completed_bars = serializers.BooleanField(help_text="whether the operators on completed bars suit it")
    where_not_held = serializers.FloatField(
        allow_null=True,
        help_text="what a fact of a position is of a symbol that is neither held nor being bought; null: unknown",
    )
    operators = serializers.ListField(
        child=serializers.CharField(), help_text=f"those that suit it, of {', '.join(Operator)}"
    )
