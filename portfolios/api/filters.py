from django.db.models import QuerySet
from django_filters import rest_framework as filters

from portfolios.models import LedgerTransfer, Position


class PositionFilters(filters.FilterSet):
    symbol = filters.CharFilter(field_name="instrument__symbol")
    closed = filters.BooleanFilter(
        method="choose", label="true: also those of which nothing is held any more"
    )

    def choose(self, rows: QuerySet[Position], name: str, value: bool) -> QuerySet[Position]:
        return rows if value else rows.filter(quantity__gt=0)


LedgerFilters = type(
    "LedgerFilters",
    (filters.FilterSet,),
    {
        "__doc__": "`from` and `to` bound the booking time, in UTC.",
        "kind": filters.ChoiceFilter(choices=LedgerTransfer.Kind.choices),
        "asset": filters.CharFilter(),
        "trade": filters.UUIDFilter(field_name="owner_id"),
        "from": filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte"),
        "to": filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt"),
    },
)
