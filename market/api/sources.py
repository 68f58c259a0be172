"""Who recommends, over REST: everybody sees the sources, staff make and change them."""

from dataclasses import asdict
from datetime import UTC
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.schema import Problems
from foundation.errors import NotFound
from market.models import RecommendationSource
from market.scores import CALIBRATION_DAYS, calibration, first_day, waiting
from market.selectors import market_now
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


class RateSerializer(serializers.Serializer[Any]):
    """A share of hits with its 95 % interval (Wilson); null where there is nothing to tell it from."""

    count = serializers.IntegerField()
    hits = serializers.IntegerField()
    mean_confidence = serializers.FloatField(allow_null=True)
    hit_rate = serializers.FloatField(allow_null=True)
    hit_rate_low = serializers.FloatField(allow_null=True)
    hit_rate_high = serializers.FloatField(allow_null=True)


class ReliabilitySerializer(serializers.Serializer[Any]):
    confidence_from = serializers.FloatField()
    confidence_to = serializers.FloatField()
    rate = RateSerializer()


class CalibrationSerializer(serializers.Serializer[Any]):
    """Does what the source says come true? `docs/recommendations.md` says how each number is made."""

    overall = RateSerializer()
    held = serializers.IntegerField(help_text="HOLD speaks of no direction: counted, not scored")
    waiting = serializers.IntegerField(
        help_text="advice that has not expired, or whose bar has not completed"
    )
    brier = serializers.FloatField(allow_null=True, help_text="0 is perfect, 0.25 is a coin's")
    skill = serializers.FloatField(
        allow_null=True, help_text="above 0: better than always stating the base rate"
    )
    reliability = serializers.FloatField(allow_null=True)
    resolution = serializers.FloatField(allow_null=True)
    uncertainty = serializers.FloatField(allow_null=True)
    calibration_error = serializers.FloatField(
        allow_null=True, help_text="mean distance of confidence and hit rate"
    )
    table = ReliabilitySerializer(many=True)
    classes = serializers.DictField(child=RateSerializer(), help_text="by class")


class CalibrationQuerySerializer(serializers.Serializer[Any]):
    """Market days (UTC) on which outcomes were settled, both included. `from` is no name in Python."""

    def get_fields(self) -> dict[str, Any]:
        return {
            "from": serializers.DateField(
                required=False, help_text=f"left out: {CALIBRATION_DAYS} days before the last"
            ),
            "to": serializers.DateField(required=False, help_text="left out: the market's day"),
        }


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
    actions: ClassVar[Actions] = {"get": "see_market", "post": "keep_sources"}
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
        body = self.body(NewSourceSerializer)
        row = create_source(name=body.pop("name"), content=SourceContent(**body), actor=self.actor)
        return Response(_shown(row), status=201)


class OneRecommendationSource(ApiView):
    actions: ClassVar[Actions] = {"get": "see_market", "put": "keep_sources"}
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
        content = SourceContent(**self.body(SourceContentSerializer))
        return Response(_shown(change_source(name=name, content=content, actor=self.actor)))


class SourceCalibration(ApiView):
    actions: ClassVar[Actions] = {"get": "see_market"}
    query_class = CalibrationQuerySerializer
    problems: ClassVar[Problems] = {"400": "A day is not written like 2004-01-31.", "404": _NOT_FOUND}

    @extend_schema(
        operation_id="getRecommendationSourceCalibration",
        summary="Does its advice come true?",
        responses=CalibrationSerializer,
        tags=TAGS,
    )
    def get(self, request: Request, name: str) -> Response:
        """Brier score, table of reliability and hit rates by class, from the outcomes of advice that has expired.

        A piece of advice hits when the holder's return from the price that was known when it was stored until the
        first completed bar at or after its expiry goes the way it said.
        """
        row = _found(name)
        wanted = self.asked(request)
        now = market_now()
        last = wanted.get("to", now.astimezone(UTC).date() if now else None)
        first = wanted.get("from", first_day(last) if last else None)
        told = calibration(source=row.name, first=first, last=last)
        return Response(CalibrationSerializer(asdict(told) | {"waiting": waiting(source=row.name)}).data)
