from django_filters import rest_framework as filters

from foundation.api.filters import MomentFilter
from sessions.models import TradingSession

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
