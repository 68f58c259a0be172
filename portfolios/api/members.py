"""Who is let into a portfolio, and as what."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import F
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.errors import NotFound
from portfolios.core.access import Action
from portfolios.models import ROLES, Member
from portfolios.selectors import visible_portfolio
from portfolios.services.portfolios import remove_member, set_member

TAGS = ["members"]


class MemberSerializer(serializers.ModelSerializer[Member]):
    username = serializers.CharField(source="user.username", read_only=True)

    class Meta:
        model = Member
        fields = ("username", "role", "created_at")
        read_only_fields = fields


class RoleSerializer(StrictSerializer):
    role = serializers.ChoiceField(choices=ROLES)


class Members(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    queryset = Member.objects.none()
    page_ordering = ("username",)

    @extend_schema(
        operation_id="getMembers",
        summary="List a portfolio's members",
        responses=MemberSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """Everybody who may see the portfolio, by name, with the role that says what else he may do."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        rows = Member.objects.filter(portfolio_id=portfolio_id).select_related("user")
        return self.page(rows.annotate(username=F("user__username")), MemberSerializer)


class OneMember(ApiView):
    actions: ClassVar[Actions] = {"put": Action.MANAGE_MEMBERS, "delete": Action.MANAGE_MEMBERS}

    @extend_schema(
        operation_id="setMember",
        summary="Let somebody in, or change his role",
        request=RoleSerializer,
        responses=MemberSerializer,
        examples=[OpenApiExample("A risk officer", value={"role": "risk_officer"}, request_only=True)],
        tags=TAGS,
    )
    def put(self, request: Request, portfolio_id: UUID, username: str) -> Response:
        """From then on he has this role, and no other. Saying it again changes nothing. For owners.

        Refused with 409: `last_owner` (somebody else has to be an owner first), and `four_eyes`: where changes wait for
        a second person, only a superuser lets a new one in, or an owner could appoint whom he likes to approve his own.
        """
        portfolio = visible_portfolio(self.actor, portfolio_id, action=self.intent)
        user = _user(username, is_active=True)
        role = self.body(RoleSerializer)["role"]
        made = set_member(portfolio=portfolio, user=user, role=role, actor=self.actor)
        return Response(MemberSerializer(Member.objects.select_related("user").get(pk=made.pk)).data)

    @extend_schema(
        operation_id="removeMember",
        summary="Take somebody's access away",
        responses={204: None},
        tags=TAGS,
    )
    def delete(self, request: Request, portfolio_id: UUID, username: str) -> Response:
        """What he follows of it is closed within seconds. 409 `last_owner`: there must be one. For owners."""
        portfolio = visible_portfolio(self.actor, portfolio_id, action=self.intent)
        remove_member(portfolio=portfolio, user=_user(username), actor=self.actor)
        return Response(status=204)


def _user(username: str, **only: Any) -> User:
    """Raises NotFound, also for what cannot be a name."""
    found = User.objects.filter(username=username, **only).first() if username.isprintable() else None
    if found is None:
        raise NotFound("There is no such user, or he is not active.")
    return found
