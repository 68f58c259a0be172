"""Which version of the code may trade, and which ones run. For staff."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.schema import Problems
from foundation.version import code_version
from portfolios.core.access import Action
from trading.services.fleet import VERSION_CHARACTERS_MAX, fleet, require_code_version, required_version

TAGS = ["platform"]


class FleetMemberSerializer(serializers.Serializer[Any]):
    component = serializers.CharField()
    instance = serializers.CharField(help_text="host:pid")
    code_version = serializers.CharField()
    at = serializers.DateTimeField(help_text="its last sign of life")
    may_trade = serializers.BooleanField()


class CodeVersionSerializer(serializers.Serializer[Any]):
    version = serializers.CharField(allow_null=True, help_text="that workers must have to trade; null: any")
    set_at = serializers.DateTimeField(allow_null=True)
    here = serializers.CharField(help_text="of the process that answers")
    fleet = FleetMemberSerializer(many=True, help_text="who showed himself within the last seconds")


class NewCodeVersionSerializer(StrictSerializer):
    version = serializers.CharField(allow_null=True, max_length=VERSION_CHARACTERS_MAX)


def _shown() -> dict[str, Any]:
    required = required_version()
    version = required.version if required is not None else None
    members = [
        {
            "component": member.component,
            "instance": member.instance,
            "code_version": member.code_version,
            "at": member.at,
            "may_trade": version in (None, member.code_version),
        }
        for member in fleet()
    ]
    told = {
        "version": version,
        "set_at": required.set_at if required is not None else None,
        "here": code_version(),
        "fleet": members,
    }
    shown: dict[str, Any] = CodeVersionSerializer(told).data
    return shown


class CodeVersion(ApiView):
    actions: ClassVar[Actions] = {"get": Action.SEE_PROCESSES, "put": Action.REQUIRE_VERSION}
    problems: ClassVar[Problems] = {"403": "For staff."}

    @extend_schema(
        operation_id="getCodeVersion",
        summary="Show which version may trade, and who runs",
        responses=CodeVersionSerializer,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """The required version, null where any may trade, and each live process with its own. For staff."""
        return Response(_shown())

    @extend_schema(
        operation_id="requireCodeVersion",
        summary="Let only workers of one version trade",
        request=NewCodeVersionSerializer,
        responses=CodeVersionSerializer,
        tags=TAGS,
    )
    def put(self, request: Request) -> Response:
        """Workers of another version go on running and neither evaluate nor order anything; null lets all trade.

        For staff.
        """
        require_code_version(version=self.body(NewCodeVersionSerializer)["version"], actor=self.actor)
        return Response(_shown())
