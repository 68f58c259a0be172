from django.db.models import QuerySet
from django_filters import rest_framework as filters

from foundation.api.filters import MomentFilter
from trading.core.order_states import OrderState
from trading.models import AutoTrade, Decision, Halt, Side


def _sides(label: str) -> filters.ChoiceFilter:
    return filters.ChoiceFilter(field_name="trade_type", choices=Side.choices, label=label)


def _market_time() -> dict[str, MomentFilter]:
    """`from` is a word of Python's, so the classes below are made by hand."""
    return {
        "from": MomentFilter(
            field_name="market_at", lookup_expr="gte", label="decided at or after, market time"
        ),
        "to": MomentFilter(field_name="market_at", lookup_expr="lt", label="decided before, market time"),
    }


TradeFilters = type(
    "TradeFilters",
    (filters.FilterSet,),
    {
        "status": filters.MultipleChoiceFilter(
            choices=[(state.value, state.value) for state in OrderState], label="may be given several times"
        ),
        "symbol": filters.CharFilter(),
        "side": _sides("the same as trade_type"),
        "trade_type": _sides("buy or sell"),
        "origin": filters.ChoiceFilter(choices=AutoTrade.Origin.choices),
        "rule": filters.UUIDFilter(field_name="rule_id"),
        "session": filters.UUIDFilter(field_name="session_id"),
        **_market_time(),
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
        **_market_time(),
    },
)


class HaltFilters(filters.FilterSet):
    scope = filters.ChoiceFilter(choices=Halt.Scope.choices)
    scope_id = filters.CharFilter()
    in_force = filters.BooleanFilter(method="choose", label="true: those not released; false: the others")

    def choose(self, rows: QuerySet[Halt], name: str, value: bool) -> QuerySet[Halt]:
        return rows.filter(released_at__isnull=value)
