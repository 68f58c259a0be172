"""What the API shows of rules. What it takes is judged by the rule language, which knows the paths."""

from typing import Any

from rest_framework import serializers

from foundation.api.schema import ProblemError
from rules.core.fields import FieldKind, FieldType
from rules.core.language import Operator
from rules.core.validation import NAME_CHARACTERS_MAX, PRIORITY_MAX
from rules.models import RuleType, RuleVersion, TradingRule

_CONDITIONS = "all must be true; a node is {field, operator, value} or {all|any: […]} or {not: node}"
_ACTIONS = "what happens when it fires"


def _objects(help_text: str) -> serializers.ListField:
    return serializers.ListField(child=serializers.DictField(), help_text=help_text)


class RuleSerializer(serializers.ModelSerializer[TradingRule]):
    conditions = _objects(_CONDITIONS)
    actions = _objects(_ACTIONS)
    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = TradingRule
        fields = (
            "id",
            "portfolio_id",
            "name",
            "is_active",
            "rule_type",
            "conditions",
            "actions",
            "schedule",
            "cooldown",
            "priority",
            "version",
            "archived_at",
            "created_by",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class RuleVersionSerializer(serializers.ModelSerializer[RuleVersion]):
    """What the rule said in one version; never changed."""

    conditions = _objects(_CONDITIONS)
    actions = _objects(_ACTIONS)

    class Meta:
        model = RuleVersion
        fields = (
            "rule_id",
            "version",
            "name",
            "rule_type",
            "conditions",
            "actions",
            "schedule",
            "cooldown",
            "priority",
            "created_at",
        )
        read_only_fields = fields


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


class NewRuleSerializer(RuleBodySerializer):
    portfolio_id = serializers.UUIDField()
    is_active = serializers.BooleanField(default=True)


class CheckedRuleSerializer(RuleBodySerializer):
    portfolio_id = serializers.UUIDField(required=False, help_text="ignored")
    is_active = serializers.BooleanField(required=False, help_text="ignored")


class ValidationSerializer(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    rule = serializers.DictField(allow_null=True, help_text="as it would be stored")
    errors = ProblemError(many=True)  # type: ignore[assignment]


class RuleFieldSerializer(serializers.Serializer[Any]):
    """One field that a rule may speak of."""

    name = serializers.CharField()
    kind = serializers.CharField(help_text=f"one of {', '.join(FieldKind)}")
    type = serializers.CharField(help_text=f"one of {', '.join(FieldType)}")
    unit = serializers.CharField(allow_blank=True)
    meaning = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    formula = serializers.CharField(allow_blank=True)
    minimum = serializers.FloatField(allow_null=True)
    maximum = serializers.FloatField(allow_null=True)
    choices = serializers.ListField(child=serializers.CharField())
    completed_bars = serializers.BooleanField(help_text="whether the operators on completed bars suit it")
    operators = serializers.ListField(
        child=serializers.CharField(), help_text=f"those that suit it, of {', '.join(Operator)}"
    )
