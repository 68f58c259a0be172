"""What waits for a second person, and what he decides."""

from collections.abc import Iterator
from operator import itemgetter
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from portfolios.api.access import owned
from portfolios.core.access import Action, may
from portfolios.models import BrokerAccount, LimitSet, Portfolio
from portfolios.selectors import (
    deciding_portfolios,
    pending_limit_sets,
    pending_permissions,
)
from portfolios.standing import AnyUser, standing_anywhere
from rules.api import serializers as shapes
from rules.api.tags import rule_unchanged, shown_rule
from rules.api.views import TAGS
from rules.models import RuleVersion
from rules.selectors import pending_versions, visible_rules
from rules.services import rules as service

WAITING_SHOWN_MAX = 500


class RuleVersions(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    queryset = RuleVersion.objects.none()
    page_ordering = ("-version",)

    @extend_schema(
        operation_id="getRuleVersions",
        summary="List a rule's versions",
        responses=shapes.RuleHistorySerializer(many=True),
        filters=False,
        tags=TAGS,
    )
    def get(self, request: Request, id: UUID) -> Response:
        """Everything that the rule ever said or was to say, newest first, with who made and who approved it."""
        owned(visible_rules(self.actor), id, view=self, what="rule")
        rows = RuleVersion.objects.filter(rule_id=id).select_related("created_by", "decided_by")
        return self.page(rows, shapes.RuleHistorySerializer)


class ApproveRuleVersion(ApiView):
    tags_of = "the rule"
    actions: ClassVar[Actions] = {"post": Action.APPROVE}

    @extend_schema(
        operation_id="approveRuleVersion",
        summary="Approve a version of a rule",
        request=None,
        responses=shapes.RuleSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, id: UUID, version: int) -> Response:
        """Put in force exactly what this version says; a new rule becomes active if it was made to be.

        For risk officers and owners, never its author. Refused with 409: `four_eyes` (it is your own),
        `not_waiting`, `superseded` (there is a newer version), `rule_archived`.
        """
        rule = owned(visible_rules(self.actor), id, view=self, what="rule")
        with rule_unchanged(request, rule):
            service.approve_rule_version(rule_id=id, version=version, actor=self.actor)
        return shown_rule(id)


class RejectRuleVersion(ApiView):
    tags_of = "the rule"
    actions: ClassVar[Actions] = {"post": Action.REJECT}

    @extend_schema(
        operation_id="rejectRuleVersion",
        summary="Reject a version of a rule",
        request=None,
        responses=shapes.RuleSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, id: UUID, version: int) -> Response:
        """Let a version that waits never be in force. For risk officers and owners; its author withdraws it so."""
        rule = owned(visible_rules(self.actor), id, view=self, what="rule")
        with rule_unchanged(request, rule):
            service.reject_rule_version(rule_id=id, version=version, actor=self.actor)
        return shown_rule(id)


class Approvals(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    pagination_class = None  # only the newest version of each rule and scope can wait

    @extend_schema(
        operation_id="getApprovals",
        summary="What waits for my approval?",
        responses=shapes.WaitingSerializer(many=True),
        filters=False,
        tags=["approvals"],
    )
    def get(self, request: Request) -> Response:
        """Versions of rules, limits and lists of instruments that others proposed and you may approve, oldest first.

        In the portfolios of which you are a risk officer or owner; for staff also the limits and lists that hold in
        every portfolio. At most 500 of each.
        """
        waiting = [*_rules(self.actor), *_limits(self.actor), *_permissions(self.actor)]
        waiting.sort(key=itemgetter("proposed_at"))
        return Response(shapes.WaitingSerializer(waiting, many=True).data)


def _rules(user: AnyUser) -> Iterator[dict[str, Any]]:
    rows = pending_versions().filter(
        rule__portfolio__in=deciding_portfolios(user), rule__archived_at__isnull=True
    )
    rows = rows.exclude(created_by_id=user.pk).select_related("rule__portfolio", "created_by")
    for row in rows.order_by("created_at", "id")[:WAITING_SHOWN_MAX]:
        yield {
            "kind": "rule", "portfolio_id": row.rule.portfolio_id, "portfolio": row.rule.portfolio.name,
            "rule_id": row.rule_id, "version": row.version, "what": row.name,
            "proposed_by": row.created_by.get_username(), "proposed_at": row.created_at,
            "path": f"/api/auto-trading/rules/{row.rule_id}/versions/{row.version}",
        }  # fmt: skip


def _limits(user: AnyUser) -> Iterator[dict[str, Any]]:
    mine = deciding_portfolios(user)
    accounts = BrokerAccount.objects.filter(portfolio__in=mine)
    scopes = Q(scope=LimitSet.Scope.PORTFOLIO, scope_id__in=mine.values("id")) | Q(
        scope=LimitSet.Scope.ACCOUNT, scope_id__in=accounts.values("id")
    )
    if may(Action.APPROVE_PLATFORM, standing_anywhere(user)):
        scopes |= Q(scope__in=[LimitSet.Scope.PLATFORM, LimitSet.Scope.INSTRUMENT])
    rows = pending_limit_sets().filter(scopes).exclude(created_by_id=user.pk)
    found = list(
        rows.select_related("created_by", "instrument").order_by("created_at", "id")[:WAITING_SHOWN_MAX]
    )
    keys = {row.scope_id for row in found if row.scope_id is not None}
    named = Portfolio.objects.filter(Q(pk__in=keys) | Q(broker_account__in=keys))
    portfolios = {key: row for row in named.select_related("broker_account") for key in _keys_of(row)}
    for row in found:
        portfolio = portfolios.get(row.scope_id) if row.scope_id is not None else None
        assert row.created_by is not None, "somebody proposed what waits"
        yield {
            "kind": "limits", "portfolio_id": portfolio.pk if portfolio else None,
            "portfolio": portfolio.name if portfolio else None, "rule_id": None, "version": row.version,
            "what": f"limits of {row.instrument.symbol if row.instrument else f'the {row.scope}'}",
            "proposed_by": row.created_by.get_username(), "proposed_at": row.created_at,
            "path": f"/api/limits/{row.pk}",
        }  # fmt: skip


def _permissions(user: AnyUser) -> Iterator[dict[str, Any]]:
    mine = Q(portfolio__in=deciding_portfolios(user))
    if may(Action.APPROVE_PLATFORM, standing_anywhere(user)):
        mine |= Q(portfolio=None)
    rows = pending_permissions().filter(mine).exclude(created_by_id=user.pk)
    for row in rows.select_related("portfolio", "created_by").order_by("created_at", "id")[
        :WAITING_SHOWN_MAX
    ]:
        assert row.created_by is not None, "somebody proposed what waits"
        yield {
            "kind": "permissions", "portfolio_id": row.portfolio_id,
            "portfolio": row.portfolio.name if row.portfolio else None, "rule_id": None, "version": row.version,
            "what": f"lists of instruments of the {'portfolio' if row.portfolio else 'platform'}",
            "proposed_by": row.created_by.get_username(), "proposed_at": row.created_at,
            "path": f"/api/permissions/{row.pk}",
        }  # fmt: skip


def _keys_of(portfolio: Portfolio) -> Iterator[UUID]:
    """The scope ids by which limits may be of it."""
    yield portfolio.pk
    account = getattr(portfolio, "broker_account", None)
    if account is not None:
        yield account.pk
