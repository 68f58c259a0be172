"""Signs of life of the processes, and who holds what."""

from django.contrib import admin

from foundation.admin.base import ReadOnlyAdmin
from foundation.models import Heartbeat, Lease, RequiredCodeVersion


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("component", "instance", "code_version", "at", "ended", "clock_ahead_seconds")
    list_filter = ("component",)
    ordering = ("component", "instance")


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin):
    list_display = ("name", "holder", "fence", "expires_at")
    ordering = ("name",)


@admin.register(RequiredCodeVersion)
class RequiredCodeVersionAdmin(ReadOnlyAdmin):
    list_display = ("version", "set_at")
    fields = ("version", "set_at")
