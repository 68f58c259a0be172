from django.db.models import QuerySet
from django_filters import rest_framework as filters

from foundation.api.filters import FlagFilter, MomentFilter
from market.core.recommendation import CLASS_NAMES
from market.models import Instrument


class InstrumentFilters(filters.FilterSet):
    symbol = filters.CharFilter()
    exchange = filters.CharFilter(field_name="exchange_id")
    sector = filters.CharFilter()
    tag = filters.CharFilter(field_name="tags", method="with_tag", label="one of its tags")
    active = FlagFilter(field_name="is_active")
    search = filters.CharFilter(field_name="name", lookup_expr="icontains", label="part of the name")

    def with_tag(self, rows: QuerySet[Instrument], name: str, value: str) -> QuerySet[Instrument]:
        return rows.filter(tags__contains=[value])


CalendarFilters = type(
    "CalendarFilters",
    (filters.FilterSet,),
    {
        "__doc__": "`from` and `to` bound the session: what closes after the one and opens before the other.",
        "exchange": filters.CharFilter(field_name="exchange_id"),
        "from": MomentFilter(field_name="closes_at", lookup_expr="gt", label="closes after"),
        "to": MomentFilter(field_name="opens_at", lookup_expr="lt", label="opens before"),
    },
)


class QuoteFilters(filters.FilterSet):
    symbol = filters.CharFilter(field_name="instrument__symbol")


RecommendationFilters = type(
    "RecommendationFilters",
    (filters.FilterSet,),
    {
        "__doc__": "`from` and `to` bound `as_of`, in market time.",
        "source": filters.CharFilter(field_name="source_id"),
        "symbol": filters.CharFilter(field_name="instrument__symbol"),
        "recommendation": filters.ChoiceFilter(choices=[(name, name) for name in CLASS_NAMES]),
        "from": MomentFilter(field_name="as_of", lookup_expr="gte"),
        "to": MomentFilter(field_name="as_of", lookup_expr="lt"),
    },
)
