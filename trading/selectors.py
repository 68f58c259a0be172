import uuid

from django.db.models import CharField, Q, QuerySet
from django.db.models.functions import Cast

from portfolios.models import BrokerAccount
from portfolios.selectors import AnyUser, visible_portfolios
from rules.models import TradingRule
from sessions.models import TradingSession
from trading.models import AutoTrade, Decision, Halt


def get_trading_history(portfolio_id: uuid.UUID) -> QuerySet[AutoTrade]:
    """Every trade of a portfolio, the newest first."""
    return AutoTrade.objects.filter(portfolio_id=portfolio_id).order_by("-created_at", "-id")


def visible_trades(user: AnyUser) -> QuerySet[AutoTrade]:
    return AutoTrade.objects.filter(portfolio__in=visible_portfolios(user))


def visible_decisions(user: AnyUser) -> QuerySet[Decision]:
    return Decision.objects.filter(portfolio__in=visible_portfolios(user))


def visible_halts(user: AnyUser) -> QuerySet[Halt]:
    """Halts that cover something of the user's: the platform's, symbols', and those within his portfolios.

    Staff see all: they arm and release what is wider than a portfolio.
    """
    if user.is_active and getattr(user, "is_staff", False):
        return Halt.objects.all()
    mine = visible_portfolios(user)
    text = CharField()
    return Halt.objects.filter(
        Q(scope__in=[Halt.Scope.PLATFORM, Halt.Scope.SYMBOL])
        | Q(scope="portfolio", scope_id__in=mine.values(key=Cast("id", text)))
        | Q(
            scope="account",
            scope_id__in=BrokerAccount.objects.filter(portfolio__in=mine).values(key=Cast("id", text)),
        )
        | Q(
            scope="session",
            scope_id__in=TradingSession.objects.filter(portfolio__in=mine).values(key=Cast("id", text)),
        )
        | Q(
            scope="rule",
            scope_id__in=TradingRule.objects.filter(portfolio__in=mine).values(key=Cast("id", text)),
        )
    )
