from rest_framework import serializers

from foundation.api.base import StrictSerializer
from sessions.models import TradingSession


class SessionSerializer(serializers.ModelSerializer[TradingSession]):
    """`is_active` is true while entries are possible; `total_pnl` is realised, after fees."""

    is_active = serializers.BooleanField(read_only=True)
    config = serializers.DictField()
    started_by = serializers.CharField(
        source="started_by.username", default=None, allow_null=True, read_only=True
    )

    class Meta:
        model = TradingSession
        fields = (
            "id",
            "portfolio_id",
            "session_name",
            "status",
            "is_active",
            "start_time",
            "end_time",
            "total_trades",
            "successful_trades",
            "total_pnl",
            "config",
            "started_by",
            "stop_reason",
            "created_at",
        )
        read_only_fields = fields


class StartSessionSerializer(StrictSerializer):
    portfolio_id = serializers.UUIDField()
    session_name = serializers.CharField(max_length=255, default="", allow_blank=True)
    config = serializers.JSONField(
        default=dict,
        help_text="{universe?: {symbols}, recommendation_sources?: […], limits?: {name: number}, "
        "capital_cap?: {percentage} or {amount}, trading_window?: {weekdays?, from?, to?, minutes_after_open?, "
        "minutes_before_close?, blackout_dates?}, on_stop?: keep|flatten}. Limits may only tighten; the capital cap is "
        "the most that the session may have invested, in percent of equity or in the base currency; outside the "
        "window, on the exchange's clock, no entry is made",
    )


class ReasonSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=255, default="", allow_blank=True)
