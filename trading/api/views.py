"""Trades and decisions with their whole story, and how a session does."""

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.pagination import Orderings
from foundation.api.preconditions import tagged
from portfolios.api.access import owned
from portfolios.core.access import Action
from portfolios.selectors import visible_portfolio
from sessions.api.serializers import session_tag
from sessions.selectors import visible_sessions
from trading.api import serializers as shapes
from trading.api.filters import DecisionFilters, TradeFilters
from trading.api.story import events_of, newest
from trading.models import AutoTrade, Decision
from trading.selectors import get_trading_history, visible_decisions, visible_trades
from trading.services.order_management import cancel_trade
from trading.services.performance import get_session_performance
from trading.services.settling import settle_by_hand


class SessionStatus(ApiView):
    tags_of = "the session"
    actions: ClassVar[Actions] = {"get": Action.VIEW}

    @extend_schema(
        operation_id="getSessionStatus",
        summary="A session and its performance",
        responses=shapes.SessionStatusSerializer,
        tags=["sessions"],
    )
    def get(self, request: Request, id: UUID) -> Response:
        """The session as it is now, its trades, profit, fees and win rate."""
        rows = visible_sessions(self.actor).select_related("started_by")
        trading_session = owned(rows, id, view=self, what="session")
        shown = {"session": trading_session, "performance": get_session_performance(id)}
        return tagged(Response(shapes.SessionStatusSerializer(shown).data), session_tag(trading_session))


class Trades(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    queryset = AutoTrade.objects.none()
    filterset_class = TradeFilters
    orderings: ClassVar[Orderings] = {
        "-created_at": ("-created_at", "-id"), "created_at": ("created_at", "id"),
        "-updated_at": ("-updated_at", "-id"), "symbol": ("symbol", "-created_at", "-id"),
    }  # fmt: skip

    @extend_schema(
        operation_id="getAutoTrades",
        summary="List a portfolio's trades",
        responses=shapes.TradeSerializer(many=True),
        tags=["trades"],
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """The portfolio's trades, newest first."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        return self.page(get_trading_history(portfolio_id).select_related("rule"), shapes.TradeSerializer)


class TradeDetails(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}

    @extend_schema(
        operation_id="getTradeDetails",
        summary="The whole story of a trade",
        responses=shapes.TradeDetailsSerializer,
        tags=["trades"],
    )
    def get(self, request: Request, id: UUID) -> Response:
        """The rule as it was, the facts, the sizing, the risk checks, the fills, the journal's events.

        Of fills, messages and events the newest 200, oldest first; all fills are in the list of executions.
        """
        rows = visible_trades(self.actor).select_related(
            "rule",
            "rule_version",
            "decision__rule",
            "decision__rule_version",
            "decision__instrument",
            "recommendation__instrument",
        )
        trade = owned(rows, id, view=self, what="trade")
        story = {
            "trade": trade,
            "rule_version": trade.rule_version,
            "decision": trade.decision,
            "explanation": trade.decision.explanation,
            "sizing": trade.decision.sizing,
            "checks": trade.decision.checks,
            "executions": newest(trade.executions.all(), "id"),
            "recommendation": trade.recommendation,
            "messages": newest(trade.messages.all(), "id"),
            "events": events_of(trade),
        }
        return Response(shapes.TradeDetailsSerializer(story).data)


class CancelTrade(ApiView):
    actions: ClassVar[Actions] = {"post": Action.CANCEL_TRADE}

    @extend_schema(
        operation_id="cancelTrade",
        summary="Cancel a trade",
        request=None,
        responses=shapes.TradeSerializer,
        tags=["trades"],
    )
    def post(self, request: Request, id: UUID) -> Response:
        """What was not sent yet, or works at the paper broker, is `cancelled` at once. What works at a real broker is
        `cancelling` until that says so, and may still be filled; for one that is just being sent, or of unknown
        outcome, the wish is kept (`cancel_requested_at`). 409 when it is final, or its cancel is on its way already.
        For traders and owners.
        """
        owned(visible_trades(self.actor), id, view=self, what="trade")
        cancel_trade(trade_id=id, actor=self.actor)
        return Response(shapes.TradeSerializer(AutoTrade.objects.select_related("rule").get(pk=id)).data)


class SettleTrade(ApiView):
    actions: ClassVar[Actions] = {"post": Action.SETTLE_TRADE}

    @extend_schema(
        operation_id="settleTrade",
        summary="End a quarantined trade by hand",
        request=shapes.SettleSerializer,
        responses=shapes.TradeSerializer,
        tags=["trades"],
    )
    def post(self, request: Request, id: UUID) -> Response:
        """For an order of which its broker cannot say what became of it, after somebody has looked there: what it has
        reserved is given back. Should it turn up all the same, its fills are booked and it is cancelled.

        For risk officers, and for staff. 409 when it is not quarantined, and where four eyes are asked for when you
        ordered it yourself.
        """
        owned(AutoTrade.objects.all(), id, view=self, what="trade")
        body = self.body(shapes.SettleSerializer)
        settle_by_hand(trade_id=id, state=body["state"], explanation=body["explanation"], actor=self.actor)
        return Response(shapes.TradeSerializer(AutoTrade.objects.select_related("rule").get(pk=id)).data)


class Decisions(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}
    queryset = Decision.objects.none()
    filterset_class = DecisionFilters
    orderings: ClassVar[Orderings] = {
        "-last_slot": ("-last_slot", "-created_at", "-id"), "last_slot": ("last_slot", "created_at", "id"),
        "-created_at": ("-created_at", "-id"), "created_at": ("created_at", "id"),
    }  # fmt: skip

    @extend_schema(
        operation_id="getDecisions",
        summary="List a portfolio's decisions",
        responses=shapes.DecisionSerializer(many=True),
        tags=["decisions"],
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """What became of every rule that triggered, last seen first: traded, refused, outranked, resting, …

        One that repeats stands where it was seen last (`last_market_at`), however long ago it began (`market_at`).
        """
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        rows = visible_decisions(self.actor).filter(portfolio_id=portfolio_id)
        return self.page(
            rows.select_related("rule", "rule_version", "instrument", "trade"), shapes.DecisionSerializer
        )


class DecisionDetails(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW}

    @extend_schema(
        operation_id="getDecisionDetails",
        summary="Why it was decided so",
        responses=shapes.DecisionDetailsSerializer,
        tags=["decisions"],
    )
    def get(self, request: Request, id: UUID) -> Response:
        """Each condition's fact and threshold, the sizing, each control's numbers, what it lost against."""
        rows = visible_decisions(self.actor).select_related("rule", "rule_version", "instrument", "trade")
        decision = owned(rows, id, view=self, what="decision")
        trade: AutoTrade | None = getattr(decision, "trade", None)
        why = {
            "decision": decision,
            "rule_version": decision.rule_version,
            "explanation": decision.explanation,
            "sizing": decision.sizing,
            "checks": decision.checks,
            "outranked_by": decision.outranked_by,
            "trade_id": trade.pk if trade is not None else None,
        }
        return Response(shapes.DecisionDetailsSerializer(why).data)
