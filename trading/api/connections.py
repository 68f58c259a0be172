"""The account at a broker that serves a portfolio: what it is, connected, disconnected. Keys come in and never out."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.idempotency import Keep
from foundation.api.schema import Problems
from portfolios.core.access import Action
from portfolios.models import BrokerAccount
from portfolios.selectors import visible_portfolio
from trading.selectors.connections import shown_connection
from trading.services.connecting import CONNECTABLE, connect_account, disconnect_account

TAGS = ["broker accounts"]


class ConnectionSerializer(serializers.Serializer[Any]):
    """Which account the portfolio trades on. Of its keys only the end of their id is shown."""

    id = serializers.UUIDField(help_text="of the account, as in emergency stops")
    broker = serializers.ChoiceField(choices=BrokerAccount.Broker.choices)
    is_live = serializers.BooleanField(help_text="whether money is real")
    account_number = serializers.CharField(allow_blank=True, help_text="the broker's own; empty on paper")
    key_hint = serializers.CharField(allow_null=True, help_text="the end of the key's id; null without keys")
    keys_set_at = serializers.DateTimeField(allow_null=True)
    keys_set_by = serializers.CharField(allow_null=True)
    live_allowed = serializers.BooleanField(help_text="whether this installation lets real money trade")
    order_types = serializers.ListField(child=serializers.CharField())
    times_in_force = serializers.ListField(child=serializers.CharField())
    fractional = serializers.BooleanField(help_text="whether quantities need not be whole")


class NewConnectionSerializer(StrictSerializer):
    broker = serializers.CharField(max_length=20, help_text=f"one of {', '.join(CONNECTABLE)}")
    is_live = serializers.BooleanField(default=False, help_text="real money; for staff")
    key_id = serializers.CharField(max_length=64, write_only=True)
    secret = serializers.CharField(
        max_length=128, write_only=True, trim_whitespace=False, style={"input_type": "password"}
    )


class Connection(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}

    @extend_schema(
        operation_id="getBrokerConnection",
        summary="Which account a portfolio trades on",
        responses=ConnectionSerializer,
        tags=TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """The broker, whether money is real, the broker's number of the account, and what it can do."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        return _answer(portfolio_id)


class Connect(ApiView):
    actions: ClassVar[Actions] = {"post": Action.CONNECT_BROKER}
    idempotency = Keep.COMMITTED
    problems: ClassVar[Problems] = {"422": "The broker refuses the keys, or its account does not fit."}

    @extend_schema(
        operation_id="connectBroker",
        summary="Connect a portfolio to an account at a broker",
        request=NewConnectionSerializer,
        responses=ConnectionSerializer,
        examples=[
            OpenApiExample(
                "Alpaca's paper account",
                value={
                    "broker": "alpaca",
                    "key_id": "PK0000000000000000",
                    "secret": "shown once by Alpaca",
                },
                request_only=True,
            )
        ],
        tags=TAGS,
    )
    def post(self, request: Request, portfolio_id: UUID) -> Response:
        """Try the keys, and trade on that account from now on. For owners and staff; real money is for staff.

        Neither the portfolio nor the account may hold anything or have open orders, and no session may run. The
        portfolio's cash becomes the account's, by a deposit or withdrawal in the ledger. For the account that is
        connected already it replaces the keys, at any time.
        """
        body = self.body(NewConnectionSerializer)
        connect_account(portfolio_id=portfolio_id, actor=self.actor, **body)
        return _answer(portfolio_id)


class Disconnect(ApiView):
    actions: ClassVar[Actions] = {"post": Action.CONNECT_BROKER}
    idempotency = Keep.COMMITTED

    @extend_schema(
        operation_id="disconnectBroker",
        summary="Take a portfolio back to the paper market",
        request=None,
        responses=ConnectionSerializer,
        tags=TAGS,
    )
    def post(self, request: Request, portfolio_id: UUID) -> Response:
        """Forget the keys and trade on paper again. For owners and staff; from real money for staff.

        The portfolio may hold nothing, have no open trade and no running session.
        """
        disconnect_account(portfolio_id=portfolio_id, actor=self.actor)
        return _answer(portfolio_id)


def _answer(portfolio_id: UUID) -> Response:
    return Response(ConnectionSerializer(shown_connection(portfolio_id)).data)
