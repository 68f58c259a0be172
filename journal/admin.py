"""The log, read-only, and the alerts, which people say they know of."""

import json
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from foundation.admin.base import LongListAdmin, ReadOnlyAdmin, actor_of
from foundation.admin.presentation import badge, shown_json
from foundation.errors import Forbidden, NotFound
from journal.core.events import PLATFORM_STREAM
from journal.models import Alert, AlertDelivery, Entry, Stream
from journal.services.alerts import MAY_NOT_ACKNOWLEDGE, acknowledge_alert

SEVERITY_COLOURS = {"info": "info", "warning": "warning", "critical": "danger"}
STATE_COLOURS = {"pending": "warning", "delivered": "success", "failed": "danger"}


@display(description="stream", ordering="stream_id")
def stream_name(row: Entry | Alert) -> str:
    """A portfolio's id, which its own page shows too; the journal knows no names."""
    return "platform" if row.stream_id == PLATFORM_STREAM else str(row.stream_id)


@admin.register(Stream)
class StreamAdmin(ReadOnlyAdmin):
    list_display = ("id", "head_seq", "created_at")
    search_fields = ("id",)
    fields = ("id", "head_seq", "head_hash", "created_at")
    ordering = ("id",)


@admin.register(Entry)
class EntryAdmin(LongListAdmin):
    list_display = ("at", stream_name, "seq", "kind", "summary", "recorded_at")
    search_fields = ("kind__startswith", "stream__id")
    search_help_text = "A kind, such as trade.filled, or a stream's id"
    fields = ("stream", "seq", "kind", "at", "recorded_at", "content", "prev_hash", "hash")
    ordering = ("-id",)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Pages of portfolios link here with their stream."""
        return lookup in {"stream", "stream__id__exact"} or super().lookup_allowed(lookup, value, request)

    @display(description="payload")
    def summary(self, entry: Entry) -> str:
        return entry.payload if len(entry.payload) <= 120 else f"{entry.payload[:119]}…"

    @display(description="payload")
    def content(self, entry: Entry) -> SafeString | str:
        return shown_json(json.loads(entry.payload))


def _acknowledge(alert: Alert, *, actor: User) -> Alert:
    """Who reads it here sees it, though he may be no member: for him it is forbidden, not missing."""
    try:
        return acknowledge_alert(alert_id=alert.pk, actor=actor)
    except NotFound as error:
        raise Forbidden(MAY_NOT_ACKNOWLEDGE, code="role_required") from error


@admin.register(Alert)
class AlertAdmin(LongListAdmin):
    list_display = (
        "created_at",
        badge("severity", SEVERITY_COLOURS),
        "message",
        "kind",
        stream_name,
        "acknowledged_by",
        "acknowledged_at",
    )
    list_display_links = ("message",)
    list_select_related = ("acknowledged_by",)
    list_filter = ("severity", ("acknowledged_at", admin.EmptyFieldListFilter))
    search_fields = ("message", "kind__startswith")
    ordering = ("-created_at",)
    actions = ("acknowledge_selected",)
    actions_detail = ("acknowledge",)

    @admin.action(description="Acknowledge", permissions=["operate"])
    def acknowledge_selected(self, request: HttpRequest, alerts: QuerySet[Alert]) -> None:
        self.run_each(
            request, alerts, lambda alert: _acknowledge(alert, actor=actor_of(request)),
            action=None, done="acknowledged",
        )  # fmt: skip

    @action(
        description="Acknowledge",
        permissions=["operate"],
        icon="done",
        dialog={"title": "Acknowledge", "description": "Say that you know of this alert.", "form_class": None,
                "form_submit_text": "Acknowledge"},
    )  # fmt: skip
    def acknowledge(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        alert = self.existing(request, object_id)

        def service() -> Alert:
            return _acknowledge(alert, actor=actor_of(request))

        return self.run_dialog(request, object_id, service, action=None, done="The alert is acknowledged.")


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(LongListAdmin):
    list_display = ("due_at", "alert", "channel", badge("state", STATE_COLOURS), "attempts", "last_error")
    list_display_links = ("alert",)
    list_select_related = ("alert",)
    list_filter = ("channel", "state")
    ordering = ("-due_at",)
