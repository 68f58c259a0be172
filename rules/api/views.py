"""Trading rules: write, change, switch, delete, and check before writing."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.pagination import Orderings
from foundation.errors import InvalidInput
from portfolios.api.access import owned
from portfolios.core.access import Action
from portfolios.selectors import visible_portfolio
from rules.api import serializers as shapes
from rules.api.filters import RuleFilters
from rules.api.tags import rule_unchanged, shown_rule
from rules.core.description import describe
from rules.core.fields import CATALOGUE
from rules.core.language import suitable_operators
from rules.core.schema import rule_schema
from rules.models import TradingRule
from rules.selectors import rules_of_portfolio, visible_rules, with_pending
from rules.services import rules as service
from rules.services.rule_engine import validate_rule
from rules.services.writing import not_carried_out

TAGS = ["rules"]
_PORTFOLIO_ID = "00000000-0000-4000-8000-000000000000"
_ENTRY: dict[str, Any] = {
    "name": "AI Strong Buy Entry",
    "type": "entry",
    "conditions": [
        {"field": "ai_recommendation", "operator": "equals", "value": "STRONG_BUY"},
        {"field": "confidence_score", "operator": "greater_than", "value": 0.8},
        {"field": "portfolio_cash_percentage", "operator": "greater_than", "value": 10},
    ],
    "actions": [{"type": "buy", "sizing_method": "percentage", "size_value": 5, "max_position_size": 10}],
}
_EXIT: dict[str, Any] = {
    "name": "Stop Loss Protection",
    "type": "exit",
    "conditions": [{"field": "position_pnl_percentage", "operator": "less_than", "value": -5}],
    "actions": [{"type": "sell", "sizing_method": "full_position"}],
}
EXAMPLES = [
    OpenApiExample(rule["name"], value={**rule, "portfolio_id": _PORTFOLIO_ID}, request_only=True)
    for rule in (_ENTRY, _EXIT)
]
BODY_EXAMPLES = [OpenApiExample(rule["name"], value=rule, request_only=True) for rule in (_ENTRY, _EXIT)]


def _id(description: str) -> OpenApiParameter:
    return OpenApiParameter("id", UUID, OpenApiParameter.PATH, description=description)


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise InvalidInput(
            "The body must be a JSON object.",
            errors=[{"path": "", "message": "is not an object", "suggestion": "Write { … }."}],
        )
    return dict(data)


class _NewRule(serializers.Serializer[Any]):
    """What stands beside the rule in the body; the rule itself is the language's affair."""

    portfolio_id = serializers.UUIDField()
    is_active = serializers.BooleanField(default=True)


class Rules(ApiView):
    actions: ClassVar[Actions] = {"post": Action.WRITE_RULE}

    @extend_schema(
        operation_id="createTradingRule",
        summary="Create a rule",
        request=shapes.NewRuleSerializer,
        responses={201: shapes.RuleSerializer},
        examples=EXAMPLES,
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """Validate and store a rule, in force at once unless `is_active` is false. For traders and owners.

        Where the portfolio needs four eyes the rule is inactive and shown with its `pending_version`, until a risk
        officer or owner approves it.
        A faulty rule is refused with every fault: its JSON path, the reason, and what would be right.
        """
        rule = _object(request.data)
        beside = _NewRule(data={key: rule.pop(key) for key in ("portfolio_id", "is_active") if key in rule})
        beside.is_valid(raise_exception=True)
        portfolio_id = beside.validated_data["portfolio_id"]
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        created = service.create_rule(
            portfolio_id=portfolio_id,
            rule=rule,
            actor=self.actor,
            is_active=beside.validated_data["is_active"],
        )
        return shown_rule(created.pk, status=201)


class RulesById(ApiView):
    """As specified: GET takes a portfolio's id, PUT and DELETE take a rule's."""

    tags_of = "the rule"
    actions: ClassVar[Actions] = {"get": Action.VIEW, "put": Action.WRITE_RULE, "delete": Action.WRITE_RULE}
    queryset = TradingRule.objects.none()
    filterset_class = RuleFilters
    orderings: ClassVar[Orderings] = {
        "-priority": ("-priority", "created_at", "id"), "priority": ("priority", "created_at", "id"),
        "name": ("name", "id"), "created_at": ("created_at", "id"), "-updated_at": ("-updated_at", "-id"),
    }  # fmt: skip

    @extend_schema(
        operation_id="getTradingRules",
        summary="List a portfolio's rules",
        parameters=[_id("The **portfolio's** id.")],
        responses=shapes.RuleSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request, id: UUID) -> Response:
        """The portfolio's rules that are not deleted, high priority first. `id` is the **portfolio's** id.

        One rule by its own id is `GET …/rules/{id}/details`.
        """
        visible_portfolio(self.actor, id, action=self.intent)
        rows = with_pending(rules_of_portfolio(id).select_related("created_by"))
        return self.page(rows, shapes.RuleSerializer)

    @extend_schema(
        operation_id="updateTradingRule",
        summary="Change a rule",
        parameters=[_id("The **rule's** id.")],
        request=shapes.RuleBodySerializer,
        responses=shapes.RuleSerializer,
        examples=BODY_EXAMPLES,
        tags=TAGS,
    )
    def put(self, request: Request, id: UUID) -> Response:
        """Replace what the rule says, as a whole, by a new version. `id` is the **rule's** id.

        It stays active or inactive. The same content again makes no version. Where the portfolio needs four eyes the
        rule stays as it is, and what you sent is shown as its `pending_version`, in place of one that waited before,
        until a risk officer or owner approves it. For traders and owners.
        """
        rule = owned(visible_rules(self.actor), id, view=self, what="rule")
        with rule_unchanged(request, rule):
            service.update_rule(rule_id=id, rule=_object(request.data), actor=self.actor)
        return shown_rule(id)

    @extend_schema(
        operation_id="deleteTradingRule",
        summary="Delete a rule",
        parameters=[_id("The **rule's** id.")],
        responses={204: None},
        tags=TAGS,
    )
    def delete(self, request: Request, id: UUID) -> Response:
        """Archive it: out of force for good; its versions and trades stay. `id` is the **rule's** id.

        Deleting it again changes nothing. For traders and owners.
        """
        rule = owned(visible_rules(self.actor), id, view=self, what="rule")
        with rule_unchanged(request, rule):
            service.archive_rule(rule_id=id, actor=self.actor)
        return Response(status=204)


class RuleDetails(ApiView):
    tags_of = "the rule"
    actions: ClassVar[Actions] = {"get": Action.VIEW}

    @extend_schema(
        operation_id="getTradingRule", summary="One rule", responses=shapes.RuleSerializer, tags=TAGS
    )
    def get(self, request: Request, id: UUID) -> Response:
        """One rule as it is now, deleted ones included; beside it, as `pending_version`, what it is to say once a
        second person approves it.
        """
        owned(visible_rules(self.actor), id, view=self, what="rule")
        return shown_rule(id)


class ActivateRule(ApiView):
    tags_of = "the rule"
    actions: ClassVar[Actions] = {"post": Action.SWITCH_RULE}

    @extend_schema(
        operation_id="activateRule",
        summary="Activate a rule",
        request=None,
        responses=shapes.RuleSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, id: UUID) -> Response:
        """Put it in force; nothing happens to an active one. For traders and owners.

        Where the portfolio needs four eyes and nobody has approved what the rule says, the same content becomes its
        `pending_version`, and the rule is active once a risk officer or owner approves that. Refused with 409
        `approval_required` while a version of it waits, or its own was rejected.
        """
        rule = owned(visible_rules(self.actor), id, view=self, what="rule")
        with rule_unchanged(request, rule):
            service.activate_rule(rule_id=id, actor=self.actor)
        return shown_rule(id)


class DeactivateRule(ApiView):
    tags_of = "the rule"
    actions: ClassVar[Actions] = {"post": Action.SWITCH_RULE}

    @extend_schema(
        operation_id="deactivateRule",
        summary="Deactivate a rule",
        request=None,
        responses=shapes.RuleSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, id: UUID) -> Response:
        """Take it out of force; nothing happens to an inactive one. For traders and owners."""
        rule = owned(visible_rules(self.actor), id, view=self, what="rule")
        with rule_unchanged(request, rule):
            service.deactivate_rule(rule_id=id, actor=self.actor)
        return shown_rule(id)


class ValidateRule(ApiView):
    actions: ClassVar[Actions] = {"post": Action.SEE_LANGUAGE}

    @extend_schema(
        operation_id="validateRule",
        summary="Check a rule",
        request=shapes.CheckedRuleSerializer,
        responses=shapes.ValidationSerializer,
        examples=BODY_EXAMPLES,
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """Say what is wrong with a rule, or how it would be stored; nothing is written.

        The answer is 200 either way: a faulty rule is what you asked about, not a faulty request. Takes the
        same body as creating a rule.
        """
        rule = _object(request.data)
        for key in ("portfolio_id", "is_active"):
            rule.pop(key, None)
        result = validate_rule(rule)
        answer = {
            "valid": result.rule is not None,
            "rule": result.rule,
            "description": None if result.rule is None else describe(result.rule),
            "errors": result.error_dicts(),
            "not_carried_out": []
            if result.rule is None
            else [fault.as_dict() for fault in not_carried_out(result.rule["actions"])],
        }
        return Response(shapes.ValidationSerializer(answer).data)


class RuleFields(ApiView):
    actions: ClassVar[Actions] = {"get": Action.SEE_LANGUAGE}
    pagination_class = None  # some forty, always wanted together

    @extend_schema(
        operation_id="getRuleFields",
        summary="The fields of the rule language",
        responses=shapes.RuleFieldSerializer(many=True),
        filters=False,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Every field that a rule may speak of: meaning, unit, range, and the operators that suit it."""
        fields = [
            {**spec.as_dict(), "operators": sorted(suitable_operators(spec))} for spec in CATALOGUE.values()
        ]
        return Response(shapes.RuleFieldSerializer(fields, many=True).data)


class RuleSchema(ApiView):
    actions: ClassVar[Actions] = {"get": Action.SEE_LANGUAGE}
    pagination_class = None

    @extend_schema(
        operation_id="getRuleSchema",
        summary="The JSON Schema of a rule",
        responses=OpenApiTypes.OBJECT,
        filters=False,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """The rule language as a JSON Schema (draft 2020-12), for editors: what it refuses, `validate` refuses.

        `validate` knows a little more: levels of nesting, conditions over all levels, low and high ends.
        """
        return Response(rule_schema())
