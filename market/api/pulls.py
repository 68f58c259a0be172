"""From where a source's advice is pulled, over REST: for staff, for addresses may hold secrets."""

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.schema import Problems
from foundation.errors import NotFound
from foundation.fetching import URL_LENGTH_MAX
from market.models import RecommendationPull
from market.services.pull_settings import (
    EVERY_SECONDS_MAX,
    EVERY_SECONDS_MIN,
    TOKEN_LENGTH_MAX,
    PullContent,
    remove_pull,
    set_pull,
)

TAGS = ["recommendations"]
_EXAMPLE = {"url": "https://advice.example/today.json", "every_seconds": 60, "token": "known-to-nobody-else"}


class PullSerializer(serializers.ModelSerializer[RecommendationPull]):
    """Never with the token."""

    source = serializers.CharField(source="source_id", read_only=True)  # type: ignore[assignment]
    has_token = serializers.SerializerMethodField()

    class Meta:
        model = RecommendationPull
        fields = (
            "source", "url", "every_seconds", "enabled", "has_token", "next_at", "failures", "last_error",
            "last_pulled_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_has_token(self, row: RecommendationPull) -> bool:
        return row.sealed_token is not None


class PullContentSerializer(StrictSerializer):
    url = serializers.CharField(
        max_length=URL_LENGTH_MAX,
        help_text="https, port 443 or 8443, at public addresses; no redirect is followed",
    )
    every_seconds = serializers.IntegerField(
        required=False, help_text=f"{EVERY_SECONDS_MIN} to {EVERY_SECONDS_MAX}; left out: 60"
    )
    enabled = serializers.BooleanField(required=False, help_text="left out: true")
    token = serializers.CharField(
        max_length=TOKEN_LENGTH_MAX,
        required=False,
        write_only=True,
        help_text="a bearer's; left out: the one that is kept, unless it was given for another host",
    )


class SourcePull(ApiView):
    actions: ClassVar[Actions] = {"get": "keep_sources", "put": "keep_sources", "delete": "keep_sources"}
    problems: ClassVar[Problems] = {
        "403": "For staff only.",
        "404": "There is no such source, or it is not pulled.",
    }

    @extend_schema(
        operation_id="getRecommendationSourcePull",
        summary="From where it is pulled",
        responses=PullSerializer,
        tags=TAGS,
    )
    def get(self, request: Request, name: str) -> Response:
        """With how the last questions went. For staff."""
        row = RecommendationPull.objects.filter(pk=name).first()
        if row is None:
            raise NotFound("There is no such source, or it is not pulled.")
        return Response(PullSerializer(row).data)

    @extend_schema(
        operation_id="setRecommendationSourcePull",
        summary="Pull a source",
        request=PullContentSerializer,
        responses=PullSerializer,
        examples=[OpenApiExample("Each minute", value=_EXAMPLE, request_only=True)],
        tags=TAGS,
    )
    def put(self, request: Request, name: str) -> Response:
        """Ask this address from now on. Its answer has the form of a push, of which `source` may be left out.

        For staff. 409: `has_pusher` (a user pushes it), `built_in`, `no_sealing_key`.
        """
        content = PullContent(**self.body(PullContentSerializer))
        row = set_pull(name=name, content=content, actor=self.actor)
        return Response(PullSerializer(row).data)

    @extend_schema(
        operation_id="removeRecommendationSourcePull",
        summary="Pull a source no more",
        responses={204: None},
        tags=TAGS,
    )
    def delete(self, request: Request, name: str) -> Response:
        """Its advice stays. For staff."""
        remove_pull(name=name, actor=self.actor)
        return Response(status=204)
