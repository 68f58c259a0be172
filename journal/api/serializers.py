"""What the API shows of the journal."""

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from journal.core.events import KIND_LENGTH_MAX
from journal.models import Alert, Entry


class EventSerializer(serializers.ModelSerializer[Entry]):
    """One event, exactly as the WebSocket sends it. The entry is one of `selectors.with_alerts`."""

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

    def to_representation(self, instance: Entry) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        alert: dict[str, str] | None = instance.alert  # type: ignore[attr-defined]
        return shown if alert is None else shown | {"alert": alert}


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


# The query's word, and what the payload calls it.
NAMED_BY = {"symbol": "symbol", "rule": "rule_id", "session": "session_id", "trade": "trade_id"}


def _between(what: str) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    """`from` is a word of Python's, so that these are handed in by name."""
    return {
        "from": serializers.DateTimeField(required=False, help_text=f"{what} at or after"),
        "to": serializers.DateTimeField(required=False, help_text=f"{what} before"),
    }


class _JournalQuery(serializers.Serializer[Any]):
    portfolio = serializers.UUIDField(required=False, help_text="this stream only; else all visible ones")
    since = serializers.IntegerField(
        required=False, min_value=0, max_value=10**18, help_text="what follows this seq; needs `portfolio`"
    )
    kind = serializers.CharField(
        required=False, max_length=KIND_LENGTH_MAX, help_text="this kind only, for example `trade.filled`"
    )
    symbol = serializers.RegexField(
        r"^[A-Za-z0-9./:_-]{1,32}$", required=False, help_text="needs `portfolio`"
    )
    rule = serializers.UUIDField(required=False, help_text="what names this rule; needs `portfolio`")
    session = serializers.UUIDField(required=False, help_text="what names this session; needs `portfolio`")
    trade = serializers.UUIDField(required=False, help_text="what names this trade; needs `portfolio`")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "portfolio" in attrs:
            return attrs
        if "since" in attrs:
            raise serializers.ValidationError({"since": "It counts within one stream: give `portfolio` too."})
        for name in NAMED_BY.keys() & attrs.keys():
            raise serializers.ValidationError(
                {name: "It is looked for within one stream: give `portfolio` too."}
            )
        return attrs


class _AlertQuery(serializers.Serializer[Any]):
    portfolio = serializers.UUIDField(required=False, help_text="alerts of this stream only")
    severity = serializers.ChoiceField(choices=Alert.Severity.choices, required=False)
    kind = serializers.CharField(
        required=False, max_length=KIND_LENGTH_MAX, help_text="of the event that raised it"
    )
    acknowledged = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="true or false: only those"
    )


JournalQuerySerializer = type("JournalQuerySerializer", (_JournalQuery,), _between("market time"))
AlertQuerySerializer = type("AlertQuerySerializer", (_AlertQuery,), _between("raised"))


class TicketSerializer(serializers.Serializer[Any]):
    ticket = serializers.CharField(help_text="for `/ws/events?ticket=…`, once")
    expires_in = serializers.IntegerField(help_text="seconds")
