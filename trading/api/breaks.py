"""What the broker and our books do not agree on, over REST."""

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.filters import FlagFilter
from foundation.errors import NotFound
from portfolios.core.access import Action
from portfolios.selectors import visible_portfolio
from trading.models import Reconciliation, ReconciliationBreak
from trading.selectors.accounts import breaks_of, reconciliations_of
from trading.services.breaks import EXPLANATION_CHARACTERS_MAX, explain_break
from trading.services.reconciliation import ask_for_reconciliation

TAGS = ["reconciliation"]


class BreakFilters(filters.FilterSet):
    open = FlagFilter(method="choose", label="true: neither explained nor gone by itself; false: the others")
    kind = filters.MultipleChoiceFilter(
        choices=ReconciliationBreak.Kind.choices, label="may be given several times"
    )

    def choose(self, rows: QuerySet[Any], name: str, value: bool) -> QuerySet[Any]:
        return rows.filter(ended_at__isnull=value)


class ReconciliationFilters(filters.FilterSet):
    trigger = filters.ChoiceFilter(choices=Reconciliation.Trigger.choices)
    failed = FlagFilter(method="choose", label="true: those that could not be done")

    def choose(self, rows: QuerySet[Any], name: str, value: bool) -> QuerySet[Any]:
        return rows.exclude(failure="") if value else rows.filter(failure="")


class BreakSerializer(serializers.ModelSerializer[ReconciliationBreak]):
    """`ours` and `theirs` are the two sides; `ended_at` without an explanation: it went by itself.

    While one is open, the account is halted; where only cash differs, sells go on.
    """

    ours = serializers.DictField(read_only=True)
    theirs = serializers.DictField(read_only=True)
    explained_by = serializers.CharField(
        source="explained_by.username", default=None, allow_null=True, read_only=True
    )

    class Meta:
        model = ReconciliationBreak
        fields = (
            "id",
            "account_id",
            "kind",
            "key",
            "detail",
            "ours",
            "theirs",
            "found_at",
            "last_seen_at",
            "explained_by",
            "explanation",
            "ended_at",
        )
        read_only_fields = fields


class ExplanationSerializer(StrictSerializer):
    explanation = serializers.CharField(
        max_length=EXPLANATION_CHARACTERS_MAX, help_text="why it is so; stands in the journal"
    )


class ReconciliationSerializer(serializers.ModelSerializer[Reconciliation]):
    """`failure`: why it could not be done, and then nothing is known. `breaks`: open when it ended."""

    class Meta:
        model = Reconciliation
        fields = (
            "id",
            "account_id",
            "trigger",
            "started_at",
            "finished_at",
            "failure",
            "orders",
            "fills_booked",
            "breaks",
        )
        read_only_fields = fields


class Breaks(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    queryset = ReconciliationBreak.objects.none()
    filterset_class = BreakFilters
    page_ordering = ("-found_at", "-id")

    @extend_schema(
        operation_id="getBreaks",
        summary="List what broker and books do not agree on",
        responses=BreakSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """The newest first, those that have ended included."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        return self.page(breaks_of([portfolio_id]), BreakSerializer)


class ExplainBreak(ApiView):
    actions: ClassVar[Actions] = {"post": Action.EXPLAIN_BREAK}

    @extend_schema(
        operation_id="explainBreak",
        summary="Explain a break",
        request=ExplanationSerializer,
        responses=BreakSerializer,
        examples=[
            OpenApiExample(
                "A transfer",
                value={"explanation": "Shares came by a transfer; booked today"},
                request_only=True,
            )
        ],
        tags=TAGS,
    )
    def post(self, request: Request, portfolio_id: UUID, break_id: UUID) -> Response:
        """Ends the break; the account's halt is released afterwards. For risk officers, and for staff.

        The same difference is not found again as long as it stays the same. 409 when the break has ended.
        """
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        body = self.body(ExplanationSerializer)
        if not breaks_of([portfolio_id]).filter(pk=break_id).exists():
            raise NotFound("There is no such break in this portfolio.")
        explain_break(break_id=break_id, explanation=body["explanation"], actor=self.actor)
        return Response(BreakSerializer(breaks_of([portfolio_id]).get(pk=break_id)).data)


class Reconciliations(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    queryset = Reconciliation.objects.none()
    filterset_class = ReconciliationFilters
    page_ordering = ("-started_at", "-id")

    @extend_schema(
        operation_id="getReconciliations",
        summary="List comparisons with the broker",
        responses=ReconciliationSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """The newest first; those of the last week, and the first one."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        return self.page(reconciliations_of(portfolio_id), ReconciliationSerializer)


class Reconcile(ApiView):
    actions: ClassVar[Actions] = {"post": Action.RECONCILE}

    @extend_schema(
        operation_id="reconcile",
        summary="Compare with the broker now",
        request=None,
        responses={202: ReconciliationSerializer},
        tags=TAGS,
    )
    def post(self, request: Request, portfolio_id: UUID) -> Response:
        """Asked for when you have the answer; done when `finished_at` is set. 409 for a paper account."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        row = ask_for_reconciliation(portfolio_id=portfolio_id)
        return Response(ReconciliationSerializer(row).data, status=202)
