from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils.module_loading import import_string
from django_filters import rest_framework as filters

from foundation.api.filters import FlagFilter, MomentFilter
from portfolios.models import LedgerTransfer, Position


class ClosedFilter(FlagFilter):
    def filter(self, rows: QuerySet[Position], value: bool | None) -> QuerySet[Position]:
        """Left out, empty and false are the same: only what is held."""
        return rows if value else rows.filter(quantity__gt=0)


class PositionFilters(filters.FilterSet):
    symbol = filters.CharFilter(field_name="instrument__symbol")
    closed = ClosedFilter(label="true: also those of which nothing is held any more")


class _OwnersFilter(filters.Filter):
    """Transfers of the trades with this rule, session or side: of whom only the room above knows, which is asked."""

    def filter(self, rows: QuerySet[LedgerTransfer], value: Any) -> QuerySet[LedgerTransfer]:
        if value in (None, ""):
            return rows
        owners: Callable[..., QuerySet[Any]] = import_string(settings.LEDGER_OWNERS)
        return rows.filter(owner_id__in=owners(**{self.field_name: value}))


class _OwnersId(_OwnersFilter, filters.UUIDFilter):
    pass


class _OwnersChoice(_OwnersFilter, filters.ChoiceFilter):
    pass


class _EntryFilter(filters.CharFilter):
    """Whole entries in which the symbol moved: the cash that was paid for it, too.

    They are looked for in all that may be seen: what another filter leaves of an entry, as its fee, may name no symbol.
    """

    def filter(self, rows: QuerySet[LedgerTransfer], value: str | None) -> QuerySet[LedgerTransfer]:
        if not value:
            return rows
        entries = self.parent.queryset.filter(asset=value).values("entry_id")
        return rows.filter(entry_id__in=entries)


LedgerFilters = type(
    "LedgerFilters",
    (filters.FilterSet,),
    {
        "__doc__": "`from` and `to` bound the booking time, in UTC.",
        "kind": filters.ChoiceFilter(choices=LedgerTransfer.Kind.choices),
        "asset": filters.CharFilter(),
        "symbol": _EntryFilter(label="of entries in which its units moved, their cash included"),
        "trade": filters.UUIDFilter(field_name="owner_id"),
        "rule": _OwnersId(field_name="rule_id"),
        "session": _OwnersId(field_name="session_id"),
        "side": _OwnersChoice(field_name="trade_type", choices=[("buy", "buy"), ("sell", "sell")]),
        "from": MomentFilter(field_name="created_at", lookup_expr="gte"),
        "to": MomentFilter(field_name="created_at", lookup_expr="lt"),
    },
)
