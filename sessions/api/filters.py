from django_filters import rest_framework as filters

from foundation.api.filters import FlagFilter, MomentFilter
from sessions.models import SessionPlan, TradingSession

SessionFilters = type(
    "SessionFilters",
    (filters.FilterSet,),
    {
        "__doc__": "`from` and `to` bound `start_time`.",
        "status": filters.MultipleChoiceFilter(
            choices=TradingSession.Status.choices, label="may be given several times"
        ),
        "from": MomentFilter(field_name="start_time", lookup_expr="gte"),
        "to": MomentFilter(field_name="start_time", lookup_expr="lt"),
    },
)


class PlanFilters(filters.FilterSet):
    portfolio = filters.UUIDFilter(field_name="portfolio_id")
    enabled = FlagFilter(field_name="is_enabled")

    class Meta:
        model = SessionPlan
        fields = ()
