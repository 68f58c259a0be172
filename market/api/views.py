"""The market: what may be traded, what it costs, and what is advised."""

from typing import ClassVar

from django.db.models import F
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.pagination import CursorPagination, Orderings
from foundation.api.schema import Problems
from foundation.errors import DomainError, NotFound
from market import selectors
from market.api import serializers as shapes
from market.api.filters import CalendarFilters, InstrumentFilters, QuoteFilters, RecommendationFilters
from market.api.snapshot_view import symbols_of
from market.models import Bar, CalendarDay, Instrument, Quote, Recommendation
from market.services import snapshots
from market.services.instruments import set_tags
from market.services.recommendations import push

TAGS = ["market"]
_PUSH_EXAMPLE = {
    "source": "demo",
    "recommendations": [
        {
            "external_id": "2004-01-05/AAPL",
            "symbol": "AAPL",
            "recommendation": "STRONG_BUY",
            "confidence": 0.87,
            "expected_return_percentage": 3.2,
        }
    ],
}


class Instruments(ApiView):
    actions: ClassVar[Actions] = {"get": "see_market"}
    queryset = Instrument.objects.none()
    filterset_class = InstrumentFilters
    page_ordering = ("symbol",)

    @extend_schema(
        operation_id="getInstruments",
        summary="List instruments",
        responses=shapes.InstrumentSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """What is known to the market, by symbol."""
        return self.page(selectors.instruments(), shapes.InstrumentSerializer)


class InstrumentTags(ApiView):
    actions: ClassVar[Actions] = {"put": "keep_market"}
    problems: ClassVar[Problems] = {"403": "For staff only.", "404": "There is no such instrument."}

    @extend_schema(
        operation_id="setInstrumentTags",
        summary="Set an instrument's tags",
        request=shapes.TagsSerializer,
        responses=shapes.InstrumentSerializer,
        examples=[OpenApiExample("Two", value={"tags": ["dividend", "large-cap"]}, request_only=True)],
        tags=TAGS,
    )
    def put(self, request: Request, symbol: str) -> Response:
        """Replace all its tags. For staff.

        Running sessions whose universe names a tag trade by the new ones from their next evaluation on.
        """
        tagged = set_tags(symbol=symbol, tags=self.body(shapes.TagsSerializer)["tags"], actor=self.actor)
        return Response(shapes.InstrumentSerializer(tagged).data)


class Calendar(ApiView):
    actions: ClassVar[Actions] = {"get": "see_market"}
    queryset = CalendarDay.objects.none()
    filterset_class = CalendarFilters
    orderings: ClassVar[Orderings] = {"opens_at": ("opens_at", "id"), "-opens_at": ("-opens_at", "-id")}

    @extend_schema(
        operation_id="getCalendar",
        summary="List the sessions of exchanges",
        responses=shapes.CalendarDaySerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """When exchanges open and close, oldest first if nothing else is said: `from` now, the first row is the session
        that runs, or the next one. A day without a row is none, as far as the calendar is known.
        """
        return self.page(CalendarDay.objects.select_related("exchange"), shapes.CalendarDaySerializer)


class Quotes(ApiView):
    actions: ClassVar[Actions] = {"get": "see_market"}
    queryset = Quote.objects.none()
    filterset_class = QuoteFilters
    page_ordering = ("symbol",)

    @extend_schema(
        operation_id="getQuotes",
        summary="List quotes",
        responses=shapes.QuoteSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """The newest quote of each instrument, by symbol, with its two clocks."""
        return self.page(selectors.quotes().annotate(symbol=F("instrument__symbol")), shapes.QuoteSerializer)


class BarPagination(CursorPagination):
    page_size = 100
    page_size_query_param = "limit"
    max_page_size = 1_000


class Bars(ApiView):
    actions: ClassVar[Actions] = {"get": "see_market"}
    queryset = Bar.objects.none()
    query_class = shapes.BarQuerySerializer
    pagination_class = BarPagination
    problems: ClassVar[Problems] = {"404": "There is no such instrument."}
    orderings: ClassVar[Orderings] = {"-at": ("-at",), "at": ("at",)}

    @extend_schema(
        operation_id="getBars",
        summary="List bars",
        responses=shapes.BarSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """The completed bars of one symbol, newest first; `at` is the market time of the close."""
        wanted = self.asked(request)
        if not Instrument.objects.filter(symbol=wanted["symbol"]).exists():
            raise NotFound("There is no such instrument.")
        return self.page(selectors.bars(**wanted), shapes.BarSerializer)


class CurrentSnapshot(ApiView):
    actions: ClassVar[Actions] = {"get": "see_market"}
    query_class = shapes.SnapshotQuerySerializer
    problems: ClassVar[Problems] = {
        "400": "It was asked for more than symbols.", "404": "The feed has not published anything yet.",
    }  # fmt: skip

    @extend_schema(
        operation_id="getSnapshot",
        summary="The current snapshot",
        responses=shapes.SnapshotSerializer,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """One market for everybody at one market time: what rules are judged on. 404 before the first."""
        snapshot = snapshots.current()
        if snapshot is None:
            raise NotFound("The feed has not published anything yet.")
        text = self.asked(request).get("symbols")
        wanted = list(dict.fromkeys(text.split(","))) if text is not None else None
        shown = {
            "version": snapshot.version,
            "as_of": snapshot.as_of,
            "symbols": symbols_of(snapshot, wanted),
        }
        return Response(shapes.SnapshotSerializer(shown).data)


class Recommendations(ApiView):
    actions: ClassVar[Actions] = {"get": "see_market", "post": "push_advice"}
    queryset = Recommendation.objects.none()
    filterset_class = RecommendationFilters
    orderings: ClassVar[Orderings] = {
        "-as_of": ("-as_of", "-created_at", "id"), "as_of": ("as_of", "created_at", "id"),
    }  # fmt: skip

    @extend_schema(
        operation_id="getRecommendations",
        summary="List recommendations",
        responses=shapes.RecommendationSerializer(many=True),
        tags=["recommendations"],
    )
    def get(self, request: Request) -> Response:
        """All advice, newest market time first, expired advice included."""
        return self.page(selectors.recommendations(), shapes.RecommendationSerializer)

    @extend_schema(
        operation_id="pushRecommendations",
        summary="Push recommendations",
        request=shapes.PushSerializer,
        responses={201: shapes.PushResultSerializer},
        examples=[OpenApiExample("One", value=_PUSH_EXAMPLE, request_only=True)],
        tags=["recommendations"],
    )
    def post(self, request: Request) -> Response:
        """Store a source's advice, all or nothing, idempotent by `external_id`. For the source's own user.

        An id that is known with other content is a conflict (409).
        """
        body = self.body(shapes.PushSerializer)
        try:
            result = push(source=body["source"], items=body["recommendations"], actor=self.actor)
        except DomainError as error:
            for row in error.errors or ():  # the service knows them as items
                row["path"] = row["path"].replace("items", "recommendations", 1)
            raise
        return Response(shapes.PushResultSerializer(result).data, status=201)
