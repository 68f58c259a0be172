"""Portfolios: what they own, and what was booked."""

from typing import ClassVar
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import CharField, Exists, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.pagination import Orderings
from foundation.isolation import repeatable_read
from market.services import snapshots
from portfolios.api import serializers as shapes
from portfolios.api.filters import LedgerFilters, PositionFilters
from portfolios.api.valuation import total, worth_of
from portfolios.core.access import Action
from portfolios.models import LedgerTransfer, Member, Portfolio, Position, Role
from portfolios.selectors import FOUR_EYES, unsettled_splits, visible_portfolio, visible_portfolios
from portfolios.services.portfolios import create_portfolio, deposit, withdraw

TAGS = ["portfolios"]


def shown_portfolios(user: User) -> QuerySet[Portfolio]:
    """The user's portfolios with what the serializer needs; a superuser without membership acts as owner."""
    mine = Member.objects.filter(portfolio=OuterRef("pk"), user_id=user.pk).values("role")[:1]
    return visible_portfolios(user).annotate(
        role=Coalesce(Subquery(mine), Value(Role.OWNER.value), output_field=CharField()),
        available_cash=F("cash") - F("reserved_cash"),
        needs_four_eyes=Exists(Portfolio.objects.filter(FOUR_EYES, pk=OuterRef("pk"))),
    )


class Me(ApiView):
    actions: ClassVar[Actions] = {"get": Action.SELF}

    @extend_schema(
        operation_id="getMe", summary="Who am I?", responses=shapes.MeSerializer, tags=["me"], filters=False
    )
    def get(self, request: Request) -> Response:
        """Your name, and the portfolios that you are a member of, each with your role."""
        memberships = (
            Member.objects.filter(user=self.actor).select_related("portfolio").order_by("portfolio__name")
        )
        user = self.actor
        me = {"id": user.pk, "username": user.username, "is_staff": user.is_staff, "portfolios": memberships}
        return Response(shapes.MeSerializer(me).data)


class Portfolios(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW, "post": Action.CREATE_PORTFOLIO}
    queryset = Portfolio.objects.none()
    orderings: ClassVar[Orderings] = {
        "name": ("name", "id"), "-name": ("-name", "-id"), "created_at": ("created_at", "id"),
        "-created_at": ("-created_at", "-id"),
    }  # fmt: skip

    @extend_schema(
        operation_id="getPortfolios",
        summary="List portfolios",
        responses=shapes.PortfolioSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """The portfolios that you are a member of, by name."""
        return self.page(shown_portfolios(self.actor), shapes.PortfolioSerializer)

    @extend_schema(
        operation_id="createPortfolio",
        summary="Create a portfolio",
        request=shapes.NewPortfolioSerializer,
        responses={201: shapes.PortfolioSerializer},
        examples=[OpenApiExample("A name is enough", value={"name": "Growth"}, request_only=True)],
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """You become its owner. It gets a paper account: no real money can move."""
        made = create_portfolio(owner=self.actor, **self.body(shapes.NewPortfolioSerializer))
        return Response(
            shapes.PortfolioSerializer(shown_portfolios(self.actor).get(pk=made.pk)).data, status=201
        )


class OnePortfolio(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}

    @extend_schema(
        operation_id="getPortfolio",
        summary="One portfolio",
        responses=shapes.PortfolioDetailsSerializer,
        tags=TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """The portfolio, its broker account, and what it is worth at the current snapshot."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        with repeatable_read():
            portfolio = shown_portfolios(self.actor).select_related("broker_account").get(pk=portfolio_id)
            unsettled = unsettled_splits([portfolio_id])
            held = list(
                Position.objects.filter(portfolio=portfolio, quantity__gt=0).select_related("instrument")
            )
        snapshot = snapshots.current()
        worth = [worth_of(position, snapshot, unsettled=unsettled) for position in held]
        market_value = total(each.market_value for each in worth)
        details = {
            "portfolio": portfolio,
            "account": getattr(portfolio, "broker_account", None),
            "valuation": {
                "snapshot_version": snapshot.version if snapshot else None,
                "as_of": snapshot.as_of if snapshot else None,
                "market_value": market_value,
                "unrealised_pnl": total(each.unrealised_pnl for each in worth),
                "equity": portfolio.cash + market_value if market_value is not None else None,
            },
        }
        return Response(shapes.PortfolioDetailsSerializer(details).data)


class Deposits(ApiView):
    actions: ClassVar[Actions] = {"post": Action.MOVE_CASH}

    @extend_schema(
        operation_id="depositCash",
        summary="Deposit cash",
        request=shapes.AmountSerializer,
        responses={201: shapes.PortfolioSerializer},
        examples=[OpenApiExample("An amount", value={"amount": "10000.00"}, request_only=True)],
        tags=TAGS,
    )
    def post(self, request: Request, portfolio_id: UUID) -> Response:
        """Book money that came in, cash against capital. For owners."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        deposit(portfolio_id=portfolio_id, actor=self.actor, **self.body(shapes.AmountSerializer))
        return Response(
            shapes.PortfolioSerializer(shown_portfolios(self.actor).get(pk=portfolio_id)).data, status=201
        )


class Withdrawals(ApiView):
    actions: ClassVar[Actions] = {"post": Action.MOVE_CASH}

    @extend_schema(
        operation_id="withdrawCash",
        summary="Withdraw cash",
        request=shapes.AmountSerializer,
        responses={201: shapes.PortfolioSerializer},
        examples=[OpenApiExample("An amount", value={"amount": "250.00"}, request_only=True)],
        tags=TAGS,
    )
    def post(self, request: Request, portfolio_id: UUID) -> Response:
        """Book money that went out: at most what no working order has reserved. For owners."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        withdraw(portfolio_id=portfolio_id, actor=self.actor, **self.body(shapes.AmountSerializer))
        return Response(
            shapes.PortfolioSerializer(shown_portfolios(self.actor).get(pk=portfolio_id)).data, status=201
        )


class Positions(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    queryset = Position.objects.none()
    filterset_class = PositionFilters
    orderings: ClassVar[Orderings] = {"symbol": ("symbol", "id"), "-symbol": ("-symbol", "-id")}

    @extend_schema(
        operation_id="getPositions",
        summary="List positions",
        responses=shapes.PositionSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """What is held, by symbol, with market value and unrealised profit at the current snapshot."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        rows = Position.objects.filter(portfolio_id=portfolio_id).select_related("instrument")
        rows = rows.annotate(symbol=F("instrument__symbol"))
        context = {"unsettled": unsettled_splits([portfolio_id]), "snapshot": snapshots.current()}
        return self.page(rows, shapes.PositionSerializer, context)


class Ledger(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    queryset = LedgerTransfer.objects.none()
    filterset_class = LedgerFilters
    orderings: ClassVar[Orderings] = {"-booked": ("-id",), "booked": ("id",)}

    @extend_schema(
        operation_id="getLedger",
        summary="List ledger transfers",
        responses=shapes.LedgerTransferSerializer(many=True),
        tags=TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """Every transfer, newest first. Cash is what was debited to `cash` less what was credited."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        return self.page(
            LedgerTransfer.objects.filter(portfolio_id=portfolio_id), shapes.LedgerTransferSerializer
        )
