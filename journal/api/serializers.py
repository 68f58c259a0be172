"""What the API shows of the journal."""

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from journal.core.events import KIND_LENGTH_MAX
from journal.models import Alert, Entry


class EventSerializer(serializers.ModelSerializer[Entry]):
    """One event, exactly as the WebSocket sends it."""

    stream = serializers.UUIDField(source="stream_id")
    payload = serializers.SerializerMethodField()

    class Meta:
        model = Entry
        fields = ("stream", "seq", "kind", "at", "payload")
        read_only_fields = fields

    @extend_schema_field(serializers.DictField)
    def get_payload(self, entry: Entry) -> dict[str, Any]:
        payload: dict[str, Any] = json.loads(entry.payload)
        return payload


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """An alert: the entry (`stream`, `seq`) that raised it, and who knows of it."""

    stream = serializers.UUIDField(source="stream_id")
    acknowledged_by = serializers.CharField(
        source="acknowledged_by.username", default=None, allow_null=True, read_only=True
    )

    class Meta:
        model = Alert
        fields = (
            "id",
            "stream",
            "seq",
            "kind",
            "severity",
            "message",
            "created_at",
            "acknowledged_by",
            "acknowledged_at",
        )
        read_only_fields = fields


class JournalQuerySerializer(serializers.Serializer[Any]):
    portfolio = serializers.UUIDField(required=False, help_text="this stream only; else all visible ones")
    since = serializers.IntegerField(
        required=False, min_value=0, max_value=10**18, help_text="what follows this seq; needs `portfolio`"
    )
    kind = serializers.CharField(
        required=False, max_length=KIND_LENGTH_MAX, help_text="this kind only, for example `trade.filled`"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "since" in attrs and "portfolio" not in attrs:
            raise serializers.ValidationError({"since": "It counts within one stream: give `portfolio` too."})
        return attrs


class AlertQuerySerializer(serializers.Serializer[Any]):
    portfolio = serializers.UUIDField(required=False, help_text="alerts of this stream only")
    severity = serializers.ChoiceField(choices=Alert.Severity.choices, required=False)
    acknowledged = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="true or false: only those"
    )


class TicketSerializer(serializers.Serializer[Any]):
    ticket = serializers.CharField(help_text="for `/ws/events?ticket=…`, once")
    expires_in = serializers.IntegerField(help_text="seconds")
