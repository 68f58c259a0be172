"""Who recommends, over REST: everybody sees the sources, staff make and change them."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.staff import require_staff
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.schema import Problems
from foundation.errors import NotFound
from market.models import RecommendationSource
from market.services.sources import (
    DESCRIPTION_LENGTH_MAX,
    NAME_LENGTH_MAX,
    SourceContent,
    change_source,
    create_source,
)

TAGS = ["recommendations"]
_NOT_FOUND = "There is no such source."


class RecommendationSourceSerializer(serializers.ModelSerializer[RecommendationSource]):
    class Meta:
        model = RecommendationSource
        fields = ("name", "description")
        read_only_fields = fields


class SourceContentSerializer(StrictSerializer):
    description = serializers.CharField(max_length=DESCRIPTION_LENGTH_MAX, required=False, allow_blank=True)
    pusher = serializers.CharField(
        max_length=150,
        required=False,
        allow_null=True,
        help_text="the user who may push its advice; left out or null: nobody",
    )


class NewSourceSerializer(SourceContentSerializer):
    name = serializers.CharField(max_length=NAME_LENGTH_MAX, help_text="letters, digits, - and _")


def _found(name: str) -> RecommendationSource:
    row = RecommendationSource.objects.filter(pk=name).first()
    if row is None:
        raise NotFound(_NOT_FOUND)
    return row


def _shown(row: RecommendationSource) -> Any:
    return RecommendationSourceSerializer(row).data


class RecommendationSources(ApiView):
    queryset = RecommendationSource.objects.none()
    page_ordering = ("name",)

    @extend_schema(
        operation_id="getRecommendationSources",
        summary="List recommendation sources",
        responses=RecommendationSourceSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Who recommends; a session's config names those that it listens to."""
        return self.page(RecommendationSource.objects.all(), RecommendationSourceSerializer)

    @extend_schema(
        operation_id="createRecommendationSource",
        summary="Make a recommendation source",
        request=NewSourceSerializer,
        responses={201: RecommendationSourceSerializer},
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """From now on its pusher may push advice under this name. For staff. 409: the name is taken."""
        require_staff(self.actor)
        body = self.body(NewSourceSerializer)
        row = create_source(name=body.pop("name"), content=SourceContent(**body), actor=self.actor)
        return Response(_shown(row), status=201)


class OneRecommendationSource(ApiView):
    problems: ClassVar[Problems] = {"404": _NOT_FOUND}

    @extend_schema(
        operation_id="getRecommendationSource",
        summary="One recommendation source",
        responses=RecommendationSourceSerializer,
        tags=TAGS,
    )
    def get(self, request: Request, name: str) -> Response:
        """Who recommends under this name."""
        return Response(_shown(_found(name)))

    @extend_schema(
        operation_id="changeRecommendationSource",
        summary="Change a recommendation source",
        request=SourceContentSerializer,
        responses=RecommendationSourceSerializer,
        tags=TAGS,
    )
    def put(self, request: Request, name: str) -> Response:
        """As a whole: what is left out is empty afterwards. For staff. 409 `built_in`: it is a model of this house."""
        require_staff(self.actor)
        content = SourceContent(**self.body(SourceContentSerializer))
        return Response(_shown(change_source(name=name, content=content, actor=self.actor)))
