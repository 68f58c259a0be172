from typing import Any

from rest_framework import serializers

from foundation.api.base import StrictSerializer
from rules.core.fields import WEEKDAYS
from sessions.api.serializers import CONFIG_HELP
from sessions.core.plan import MINUTES_MAX
from sessions.models import SessionPlan
from sessions.services.plans import NAME_LENGTH_MAX, PlanContent


class PlanSerializer(serializers.ModelSerializer[SessionPlan]):
    """`last_outcome` says what became of the newest day that it decided, `last_day`: started, or skipped and why."""

    config = serializers.DictField()
    exchange = serializers.CharField(source="exchange_id", read_only=True)
    responsible = serializers.CharField(
        source="responsible.username", read_only=True, help_text="in whose name it starts"
    )

    class Meta:
        model = SessionPlan
        fields = (
            "id",
            "portfolio_id",
            "name",
            "exchange",
            "start_minutes_before_open",
            "stop_minutes_after_close",
            "weekdays",
            "config",
            "is_enabled",
            "responsible",
            "last_day",
            "last_outcome",
            "created_at",
        )
        read_only_fields = fields


class PlanContentSerializer(StrictSerializer):
    name = serializers.CharField(max_length=NAME_LENGTH_MAX, help_text="once in a portfolio")
    exchange = serializers.CharField(
        max_length=8, help_text="market identifier code: on whose trading days, and by whose hours"
    )
    start_minutes_before_open = serializers.IntegerField(
        default=0, min_value=-MINUTES_MAX, max_value=MINUTES_MAX, help_text="below zero: after the open"
    )
    stop_minutes_after_close = serializers.IntegerField(
        default=0,
        min_value=-MINUTES_MAX,
        max_value=MINUTES_MAX,
        help_text="below zero: before the close, as a session that is to flatten wants it",
    )
    weekdays = serializers.ListField(
        child=serializers.CharField(max_length=9),
        default=list,
        max_length=len(WEEKDAYS),
        help_text=f"of {', '.join(WEEKDAYS)}; left out or empty: each trading day",
    )
    config = serializers.JSONField(
        default=dict, help_text=f"of each session; without `ends_at`, which the plan says. {CONFIG_HELP}"
    )


class NewPlanSerializer(PlanContentSerializer):
    portfolio_id = serializers.UUIDField()


def content_of(body: dict[str, Any]) -> PlanContent:
    return PlanContent(**{key: value for key, value in body.items() if key != "portfolio_id"})
