from django.db.models import QuerySet
from django_filters import rest_framework as filters

from foundation.api.filters import MomentFilter
from portfolios.models import LedgerTransfer, Position


class ClosedFilter(filters.BooleanFilter):
    def filter(self, rows: QuerySet[Position], value: bool | None) -> QuerySet[Position]:
        """Left out, empty and false are the same: only what is held."""
        return rows if value else rows.filter(quantity__gt=0)


class PositionFilters(filters.FilterSet):
    symbol = filters.CharFilter(field_name="instrument__symbol")
    closed = ClosedFilter(label="true: also those of which nothing is held any more")


LedgerFilters = type(
    "LedgerFilters",
    (filters.FilterSet,),
    {
        "__doc__": "`from` and `to` bound the booking time, in UTC.",
        "kind": filters.ChoiceFilter(choices=LedgerTransfer.Kind.choices),
        "asset": filters.CharFilter(),
        "trade": filters.UUIDFilter(field_name="owner_id"),
        "from": MomentFilter(field_name="created_at", lookup_expr="gte"),
        "to": MomentFilter(field_name="created_at", lookup_expr="lt"),
    },
)
