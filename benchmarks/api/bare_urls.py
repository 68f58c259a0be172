from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination

from trading.api.serializers import TradeSerializer
from trading.models import AutoTrade


class BareTrade(serializers.ModelSerializer[AutoTrade]):
    class Meta:
        model = AutoTrade
        fields: Any = TradeSerializer.Meta.fields

    rule_name = serializers.CharField(source="rule.name", default=None, read_only=True)


class Page(CursorPagination):
    page_size = 50
    ordering = ("-created_at", "-id")


class Trades(ListAPIView[AutoTrade]):
    serializer_class = BareTrade
    pagination_class = Page

    def get_queryset(self) -> QuerySet[AutoTrade]:
        portfolio: UUID = self.kwargs["portfolio_id"]
        return AutoTrade.objects.filter(portfolio_id=portfolio).select_related("rule")


urlpatterns = [path("trades/<uuid:portfolio_id>", Trades.as_view())]
