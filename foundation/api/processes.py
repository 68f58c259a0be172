"""Which processes live, of which version, and who holds what: for staff who look after the installation."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.schema import Problems
from foundation.clock import database_now
from foundation.models import Heartbeat, Lease, RequiredCodeVersion

TAGS = ["platform"]


class ProcessSerializer(serializers.ModelSerializer[Heartbeat]):
    class Meta:
        model = Heartbeat
        fields = ("component", "instance", "code_version", "at")
        read_only_fields = fields


class LeaseSerializer(serializers.ModelSerializer[Lease]):
    class Meta:
        model = Lease
        fields = ("name", "holder", "fence", "expires_at")
        read_only_fields = fields


class ProcessesSerializer(serializers.Serializer[Any]):
    now = serializers.DateTimeField(help_text="database time, by which the others are to be judged")
    required_code_version = serializers.CharField(allow_null=True, help_text="null: any may trade")
    processes = ProcessSerializer(many=True)
    leases = LeaseSerializer(many=True)


class Processes(ApiView):
    actions: ClassVar[Actions] = {"get": "see_processes"}
    problems: ClassVar[Problems] = {"403": "For staff only."}
    pagination_class = None  # as many as there are processes

    @extend_schema(
        operation_id="getProcesses",
        summary="Processes and leases",
        responses=ProcessesSerializer,
        filters=False,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Each process's last sign of life with the version of its code, and who may do what only one may."""
        shown = {
            "now": database_now(),
            "required_code_version": RequiredCodeVersion.objects.values_list("version", flat=True).first(),
            "processes": Heartbeat.objects.order_by("component", "instance"),
            "leases": Lease.objects.order_by("name"),
        }
        return Response(ProcessesSerializer(shown).data)
