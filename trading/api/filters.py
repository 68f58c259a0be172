from uuid import UUID

from django.db.models import Q, QuerySet
from django_filters import rest_framework as filters

from foundation.api.filters import FlagFilter, MomentFilter
from trading.core.breakers import Breaker
from trading.core.order_states import FINAL, OPEN, OrderState
from trading.models import AutoTrade, Decision, Halt, Side


def _sides(label: str) -> filters.ChoiceFilter:
    return filters.ChoiceFilter(field_name="trade_type", choices=Side.choices, label=label)


def _market_time(until: str = "market_at", *, after: str, before: str) -> dict[str, MomentFilter]:
    """`from` is a word of Python's, so the classes below are made by hand. until: when a row was true last."""
    return {
        "from": MomentFilter(field_name=until, lookup_expr="gte", label=f"{after}, market time"),
        "to": MomentFilter(field_name="market_at", lookup_expr="lt", label=f"{before}, market time"),
    }


class _OpenFilter(FlagFilter):
    def filter(self, rows: QuerySet[AutoTrade], value: bool | None) -> QuerySet[AutoTrade]:
        return rows if value is None else rows.filter(status__in=OPEN if value else FINAL)


TradeFilters = type(
    "TradeFilters",
    (filters.FilterSet,),
    {
        "status": filters.MultipleChoiceFilter(
            choices=[(state.value, state.value) for state in OrderState], label="may be given several times"
        ),
        "open": _OpenFilter(
            field_name="status", label="true: those that may still be filled; false: the others"
        ),
        "symbol": filters.CharFilter(),
        "side": _sides("the same as trade_type"),
        "trade_type": _sides("buy or sell"),
        "origin": filters.ChoiceFilter(choices=AutoTrade.Origin.choices),
        "rule": filters.UUIDFilter(field_name="rule_id"),
        "session": filters.UUIDFilter(field_name="session_id"),
        **_market_time(after="decided at or after", before="decided before"),
    },
)

DecisionFilters = type(
    "DecisionFilters",
    (filters.FilterSet,),
    {
        "outcome": filters.MultipleChoiceFilter(
            choices=Decision.Outcome.choices, label="may be given several times"
        ),
        "code": filters.CharFilter(label="refusal code"),
        "symbol": filters.CharFilter(field_name="instrument__symbol"),
        "rule": filters.UUIDFilter(field_name="rule_id"),
        "session": filters.UUIDFilter(field_name="session_id"),
        "side": filters.ChoiceFilter(
            field_name="trade__trade_type", choices=Side.choices, label="of the trade that came of it"
        ),
        # One that was repeated has lasted from its first time to its last.
        **_market_time("last_market_at", after="still so at or after", before="first so before"),
    },
)


class HaltFilters(filters.FilterSet):
    scope = filters.ChoiceFilter(choices=Halt.Scope.choices)
    scope_id = filters.CharFilter()
    armed_by_breaker = filters.ChoiceFilter(choices=[(breaker.value, breaker.value) for breaker in Breaker])
    in_force = FlagFilter(method="choose", label="true: those not released; false: the others")
    portfolio = filters.UUIDFilter(
        method="cover",
        label="those that cover something of this portfolio: its own, and the platform's and symbols'",
    )

    def choose(self, rows: QuerySet[Halt], name: str, value: bool) -> QuerySet[Halt]:
        return rows.filter(released_at__isnull=value)

    def cover(self, rows: QuerySet[Halt], name: str, value: UUID) -> QuerySet[Halt]:
        return rows.filter(Q(portfolio_id=value) | Q(portfolio_id=None))


ExecutionFilters = type(
    "ExecutionFilters",
    (filters.FilterSet,),
    {
        "__doc__": "`from` and `to` bound the market time of the fill.",
        "symbol": filters.CharFilter(field_name="trade__symbol"),
        "side": filters.ChoiceFilter(field_name="trade__trade_type", choices=Side.choices),
        "trade": filters.UUIDFilter(field_name="trade_id"),
        "rule": filters.UUIDFilter(field_name="trade__rule_id"),
        "session": filters.UUIDFilter(field_name="trade__session_id"),
        "reversed": FlagFilter(
            field_name="reversed_at", lookup_expr="isnull", exclude=True, label="whether it was taken back"
        ),
        "from": MomentFilter(field_name="market_at", lookup_expr="gte"),
        "to": MomentFilter(field_name="market_at", lookup_expr="lt"),
    },
)
