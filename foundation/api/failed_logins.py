"""Who is locked out, and letting him in again: what staff are telephoned for."""

from typing import Any, ClassVar

from axes.models import AccessAttempt
from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.schema import Problems
from foundation.failed_logins import failed_logins, forget_failed_logins

TAGS = ["auth"]


class FailedLoginSerializer(serializers.Serializer[Any]):
    """A name that failed to log in from an address. It need not be anybody's."""

    username = serializers.CharField(allow_null=True)
    address = serializers.CharField(source="ip_address", allow_null=True)
    failures = serializers.IntegerField(source="failures_since_start")
    last_at = serializers.DateTimeField(source="attempt_time")
    is_locked = serializers.BooleanField(help_text="whether the name is closed to this address for a while")


class ForgetSerializer(StrictSerializer):
    username = serializers.CharField(max_length=150)


class ForgottenSerializer(serializers.Serializer[Any]):
    forgotten = serializers.IntegerField(help_text="from so many addresses the name had failed")


class FailedLogins(ApiView):
    actions: ClassVar[Actions] = {"get": "keep_accounts"}
    problems: ClassVar[Problems] = {"403": "For staff only.", "404": None}
    queryset = AccessAttempt.objects.none()
    page_ordering = ("-attempt_time", "-id")

    @extend_schema(
        operation_id="getFailedLogins",
        summary="List failed logins",
        responses=FailedLoginSerializer(many=True),
        filters=False,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Names that failed to log in lately, and from where, newest first. For staff."""
        return self.page(failed_logins(limit=settings.AXES_FAILURE_LIMIT), FailedLoginSerializer)


class ForgetFailedLogins(ApiView):
    actions: ClassVar[Actions] = {"post": "keep_accounts"}
    problems: ClassVar[Problems] = {
        "403": "For staff only.",
        "404": "No login of this name has failed lately.",
    }

    @extend_schema(
        operation_id="forgetFailedLogins",
        summary="Let somebody in who is locked out",
        request=ForgetSerializer,
        responses=ForgottenSerializer,
        examples=[OpenApiExample("Alice", value={"username": "alice"}, request_only=True)],
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """The name may log in again, from everywhere. An address that has failed with many names stays closed until
        its time is over. For staff.
        """
        username = self.body(ForgetSerializer)["username"]
        return Response({"forgotten": forget_failed_logins(username=username, actor=self.actor)})
