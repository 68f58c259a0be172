"""Taking back what was booked. The view stands here because a fill's trade must know of it."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from portfolios.api.serializers import LedgerTransferSerializer
from portfolios.core.access import Action
from portfolios.models import LedgerTransfer
from portfolios.selectors import visible_portfolio
from portfolios.services.corrections import REASON_LENGTH_MAX
from trading.services.corrections import reverse_ledger_entry


class NewReversalSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=REASON_LENGTH_MAX, help_text="stands in ledger and journal")


class ReversalSerializer(serializers.Serializer[Any]):
    """The entry that takes back, and its transfers, each naming what it reverses."""

    entry_id = serializers.UUIDField()
    transfers = LedgerTransferSerializer(many=True)


class LedgerReversal(ApiView):
    actions: ClassVar[Actions] = {"post": Action.REVERSE}

    @extend_schema(
        operation_id="reverseLedgerEntry",
        summary="Take back an entry of the ledger",
        request=NewReversalSerializer,
        responses={201: ReversalSerializer},
        examples=[
            OpenApiExample("A typing error", value={"reason": "Booked twice by mistake"}, request_only=True)
        ],
        tags=["portfolios"],
    )
    def post(self, request: Request, portfolio_id: UUID, entry_id: UUID) -> Response:
        """Mirror the entry as of now; what was booked stays. For owners.

        Deposits, withdrawals, fills with their fees, dividends and splits. 409 when it is reversed already, is a
        reversal itself, or takes cash or units that are not free; the answer says what to do first.
        """
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        body = self.body(NewReversalSerializer)
        made = reverse_ledger_entry(
            portfolio_id=portfolio_id, entry_id=entry_id, actor=self.actor, reason=body["reason"]
        )
        transfers = LedgerTransfer.objects.filter(portfolio_id=portfolio_id, entry_id=made).order_by("id")
        shown = {"entry_id": made, "transfers": transfers}
        return Response(ReversalSerializer(shown).data, status=201)
