"""Dividends and splits over REST: for staff, for they are facts of the market and concern every portfolio."""

import uuid
from typing import Any, ClassVar

from django.db.models import Count, Q
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.filters import MomentFilter
from foundation.api.schema import Problems
from market.models import CorporateAction
from market.services.corporate_actions import (
    EXTERNAL_ID_LENGTH_MAX,
    REASON_LENGTH_MAX,
    UNITS_MAX,
    NewCorporateAction,
    record,
    withdraw,
)
from portfolios.core.access import Action

TAGS = ["corporate actions"]
_KINDS = f"one of {', '.join(CorporateAction.Kind.values)}"


def _money(help_text: str, **options: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=20, decimal_places=8, help_text=help_text, **options)


class NewCorporateActionSerializer(StrictSerializer):
    """A dividend has an `amount`, a split `new_units` for `old_units`."""

    external_id = serializers.CharField(
        max_length=EXTERNAL_ID_LENGTH_MAX, help_text="the source's own id: recording it twice stores it once"
    )
    symbol = serializers.CharField(max_length=20)
    kind = serializers.CharField(max_length=20, help_text=_KINDS)
    ex_at = serializers.DateTimeField(help_text="market time: whoever held just before is entitled")
    amount = _money("of a dividend: currency for each unit", required=False, allow_null=True)
    new_units = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=UNITS_MAX, help_text="3 in a 3:2 split"
    )
    old_units = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=UNITS_MAX, help_text="2 in a 3:2 split"
    )
    cash_in_lieu_price = _money(
        "of a split: currency for each new unit, for what is less than the lot",
        required=False,
        allow_null=True,
    )


class CorporateActionSerializer(serializers.ModelSerializer[CorporateAction]):
    """`booked` and `waiting` count portfolios; it waits for those whose working orders are in the way.

    `booked` leaves out what was reversed: where `withdrawn_at` is set, so many are still to be reversed.
    """

    symbol = serializers.CharField(source="instrument.symbol", read_only=True)
    kind = serializers.CharField(read_only=True, help_text=_KINDS)
    booked = serializers.IntegerField(read_only=True)
    waiting = serializers.IntegerField(read_only=True)

    class Meta:
        model = CorporateAction
        fields = (
            "id",
            "external_id",
            "symbol",
            "kind",
            "ex_at",
            "amount",
            "new_units",
            "old_units",
            "cash_in_lieu_price",
            "booked",
            "waiting",
            "created_at",
            "withdrawn_at",
        )
        read_only_fields = fields


CorporateActionFilters = type(
    "CorporateActionFilters",
    (filters.FilterSet,),
    {
        "__doc__": "`from` and `to` bound `ex_at`, in market time.",
        "symbol": filters.CharFilter(field_name="instrument__symbol"),
        "kind": filters.ChoiceFilter(choices=CorporateAction.Kind.choices),
        "external_id": filters.CharFilter(),
        "from": MomentFilter(field_name="ex_at", lookup_expr="gte"),
        "to": MomentFilter(field_name="ex_at", lookup_expr="lt"),
    },
)


def _shown() -> Any:
    return CorporateAction.objects.select_related("instrument").annotate(
        booked=Count(
            "bookings__portfolio",
            filter=Q(bookings__booked_at__isnull=False, bookings__reversed_at=None),
            distinct=True,
        ),
        waiting=Count(
            "bookings", filter=Q(bookings__id__isnull=False, bookings__booked_at=None), distinct=True
        ),
    )


class CorporateActions(ApiView):
    actions: ClassVar[Actions] = {"get": Action.CORPORATE_ACTIONS, "post": Action.CORPORATE_ACTIONS}
    problems: ClassVar[Problems] = {"403": "For staff only."}
    queryset = CorporateAction.objects.none()
    filterset_class = CorporateActionFilters
    page_ordering = ("-ex_at", "-created_at", "-id")

    @extend_schema(
        operation_id="getCorporateActions",
        summary="List corporate actions",
        responses=CorporateActionSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Dividends and splits, newest ex time first, with how far their booking is. For staff."""
        return self.page(_shown(), CorporateActionSerializer)

    @extend_schema(
        operation_id="recordCorporateAction",
        summary="Record a dividend or a split",
        request=NewCorporateActionSerializer,
        responses={200: CorporateActionSerializer, 201: CorporateActionSerializer},
        examples=[
            OpenApiExample(
                "A dividend",
                value={
                    "external_id": "AAPL-2012-08-09", "symbol": "AAPL", "kind": "dividend",
                    "ex_at": "2012-08-09T13:30:00Z", "amount": "2.65",
                },
                request_only=True,
            ),
            OpenApiExample(
                "A split",
                value={
                    "external_id": "AAPL-2005-02-28", "symbol": "AAPL", "kind": "split",
                    "ex_at": "2005-02-28T14:30:00Z", "new_units": 2, "old_units": 1,
                },
                request_only=True,
            ),
        ],
        tags=TAGS,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Stored once by `external_id`: 200 when it is known with the same content, 409 with other content.

        A split that is known without a price for cash in lieu may be recorded again with it. It is booked in the
        background for every portfolio that held the instrument just before `ex_at`. For staff.
        """
        item = NewCorporateAction(**self.body(NewCorporateActionSerializer))
        action, is_new = record(item, actor=self.actor)
        shown = CorporateActionSerializer(_shown().get(pk=action.pk)).data
        return Response(shown, status=201 if is_new else 200)


class WithdrawalSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=REASON_LENGTH_MAX, help_text="why it was wrong")


class WithdrawCorporateAction(ApiView):
    actions: ClassVar[Actions] = {"post": Action.CORPORATE_ACTIONS}

    @extend_schema(
        operation_id="withdrawCorporateAction",
        summary="Withdraw a corporate action that was recorded wrongly",
        request=WithdrawalSerializer,
        responses=CorporateActionSerializer,
        examples=[OpenApiExample("A typo", value={"reason": "It is 2:1, not 20:1"}, request_only=True)],
        tags=TAGS,
    )
    def post(self, request: Request, action_id: uuid.UUID) -> Response:
        """It is booked for nobody any more, and another split may be recorded at its ex time.

        What was `booked` stays until it is reversed in each portfolio (`…/ledger/{entry_id}/reversal`); until then
        the instrument has no price there, and nothing else of it is booked. For staff.
        """
        reason = self.body(WithdrawalSerializer)["reason"]
        action = withdraw(action_id=action_id, actor=self.actor, reason=reason)
        return Response(CorporateActionSerializer(_shown().get(pk=action.pk)).data)
