import uuid
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django.db.models import (
    Case,
    CharField,
    Count,
    F,
    IntegerField,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    UUIDField,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce

from portfolios.core.access import Action, acting_role, may
from portfolios.models import BrokerAccount, Member, Position, PositionMark
from portfolios.selectors import visible_portfolios
from portfolios.standing import AnyUser, is_superuser, standing_anywhere
from rules.models import TradingRule
from sessions.models import TradingSession
from trading.core.breakers import OF_BLOCKS, OF_CASH, Breaker
from trading.core.order_states import OPEN, OrderState
from trading.core.orders import OrderType
from trading.core.track_record import BookedFill, TrackRecord, round_trips, track_record
from trading.models import AutoTrade, Decision, Execution, Halt, Protection, ReconciliationBreak

# How far back a rule's record goes, in fills of its instruments: it is read under the portfolio's lock.
RECORD_FILLS_MAX = 5_000


def trade_ids(**named: Any) -> QuerySet[AutoTrade, uuid.UUID]:
    """The ids of trades with this rule_id, session_id or trade_type, as owners of what was booked."""
    return AutoTrade.objects.filter(**named).values_list("id", flat=True)


def get_trading_history(portfolio_id: uuid.UUID) -> QuerySet[AutoTrade]:
    """Every trade of a portfolio, the newest first."""
    return AutoTrade.objects.filter(portfolio_id=portfolio_id).order_by("-created_at", "-id")


def orders_in_the_way(portfolio_ids: Iterable[uuid.UUID]) -> list[AutoTrade]:
    """Open orders that keep their instruments from being sold at market, oldest first: buys, which the sale might meet
    or which would go on buying what is sold, and sales that wait for a price and keep what they would sell. What is
    promised to a sale at market is on its way already. Those whose cancel is asked for are left out."""
    states = [state.value for state in OPEN - {OrderState.CANCELLING}]
    rows = AutoTrade.objects.filter(
        portfolio_id__in=list(portfolio_ids), status__in=states, cancel_requested_at=None
    )
    in_the_way = rows.exclude(order_type=OrderType.MARKET, trade_type="sell")
    return list(in_the_way.select_related("account").order_by("created_at", "id"))


def visible_trades(user: AnyUser) -> QuerySet[AutoTrade]:
    return AutoTrade.objects.filter(portfolio__in=visible_portfolios(user))


def visible_decisions(user: AnyUser) -> QuerySet[Decision]:
    return Decision.objects.filter(portfolio__in=visible_portfolios(user))


def shown_protections(portfolio_id: uuid.UUID) -> QuerySet[Protection]:
    """A portfolio's protections with what they count from: `quantity`, `average_cost` and `noted_peak` of the
    position (None: no peak of this opening is noted)."""
    position = Position.objects.filter(portfolio=OuterRef("portfolio"), instrument=OuterRef("instrument"))
    peak = PositionMark.objects.filter(
        position__portfolio=OuterRef("portfolio"), position__instrument=OuterRef("instrument"),
        opened_at=OuterRef("opened_at"),
    )  # fmt: skip
    return (
        Protection.objects.filter(portfolio_id=portfolio_id)
        .select_related("instrument", "rule_version")
        .annotate(
            symbol=F("instrument__symbol"),
            quantity=Subquery(position.values("quantity")),
            average_cost=Subquery(position.values("average_cost")),
            noted_peak=Subquery(peak.values("peak_price")),
        )
    )


def visible_halts(user: AnyUser) -> QuerySet[Halt]:
    """Halts that cover something of the user's: the platform's, symbols', and those within his portfolios.

    Staff see all: they arm and release what is wider than a portfolio.
    """
    if may(Action.STOP_PLATFORM, standing_anywhere(user)):
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


def _portfolio_of(model: type[Model]) -> Subquery:
    rows = model._default_manager.filter(pk=Cast(OuterRef("scope_id"), UUIDField()))
    return Subquery(rows.values("portfolio_id"))


def shown_halts(user: AnyUser) -> QuerySet[Halt]:
    """Visible halts with `portfolio_id`, which they lie in (None: platform and symbol), and the user's `role` there,
    and `open_breaks`."""
    lies_in = Case(
        When(scope=Halt.Scope.PORTFOLIO, then=Cast("scope_id", UUIDField())),
        When(scope=Halt.Scope.ACCOUNT, then=_portfolio_of(BrokerAccount)),
        When(scope=Halt.Scope.SESSION, then=_portfolio_of(TradingSession)),
        When(scope=Halt.Scope.RULE, then=_portfolio_of(TradingRule)),
        output_field=UUIDField(),
    )
    user_id = user.pk
    assert user_id is not None, "only a user sees halts"
    mine = Member.objects.filter(user_id=user_id, portfolio_id=OuterRef("portfolio_id"))
    otherwise = acting_role(None, is_superuser=is_superuser(user))
    role = Coalesce(
        Subquery(mine.values("role")[:1]), Value(otherwise, CharField()), output_field=CharField()
    )
    # What keeps a halt of reconciliation from being released; 0 for every other.
    breaks = ReconciliationBreak.objects.filter(
        account_id=Cast(OuterRef("scope_id"), UUIDField()), ended_at=None
    )
    of_cash, of_blocks = Q(kind__in=OF_CASH), Q(kind__in=OF_BLOCKS)

    def counted(mine: Q) -> Coalesce:
        rows = breaks.filter(mine).order_by().values("account_id").values(count=Count("*"))
        return Coalesce(Subquery(rows), 0)

    open_breaks = Case(
        When(armed_by_breaker=Breaker.RECONCILIATION, then=counted(~(of_cash | of_blocks))),
        When(armed_by_breaker=Breaker.CASH_DIFFERENCE, then=counted(of_cash)),
        When(armed_by_breaker=Breaker.ACCOUNT_BLOCKED, then=counted(of_blocks)),
        default=Value(0), output_field=IntegerField(),
    )  # fmt: skip
    rows = visible_halts(user).annotate(portfolio_id=lies_in).annotate(role=role, open_breaks=open_breaks)
    return rows.select_related("armed_by", "armed_by_rule", "released_by")


def track_record_of(
    portfolio_id: uuid.UUID, *, rule_id: uuid.UUID, held: Mapping[int, Decimal]
) -> TrackRecord:
    """The closed round trips of a rule, of all its versions, in one query. `held`: units now, by instrument.

    Of a longer history only the newest RECORD_FILLS_MAX fills count; what they do not explain of what is held was
    there before and is sold first. An instrument whose whole history does not explain it, as after a split, is left
    out: which buy was sold at which profit can not be told.
    """
    bought = AutoTrade.objects.filter(portfolio_id=portfolio_id, rule_id=rule_id, trade_type="buy")
    rows = (
        Execution.objects.filter(
            trade__portfolio_id=portfolio_id, trade__instrument_id__in=bought.values("instrument_id"),
            reversed_at=None,
        )
        .order_by("-market_at", "-id")
        .values_list(
            "trade__instrument_id", "trade_id", "trade__rule_id", "trade__trade_type", "quantity", "price", "fee"
        )
    )  # fmt: skip
    newest = [BookedFill(*row) for row in rows[:RECORD_FILLS_MAX]]
    before = {fill.instrument_id: held.get(fill.instrument_id, Decimal(0)) for fill in newest}
    for fill in newest:
        before[fill.instrument_id] -= fill.quantity if fill.side == "buy" else -fill.quantity
    cut_off = len(newest) == RECORD_FILLS_MAX
    told = {key for key, quantity in before.items() if quantity == 0 or (cut_off and quantity > 0)}
    fills = [fill for fill in reversed(newest) if fill.instrument_id in told]
    return track_record(round_trips(fills, rule_id=rule_id, held_before=before))
