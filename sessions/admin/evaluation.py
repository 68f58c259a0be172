"""In which slices sessions are evaluated, and what each evaluation came to."""

from django.contrib import admin

from foundation.admin.base import LongListAdmin, ReadOnlyAdmin
from sessions.models import EvaluationRun, EvaluationSlice


@admin.register(EvaluationSlice)
class EvaluationSliceAdmin(ReadOnlyAdmin):
    list_display = ("id", "evaluated_slot", "due_at", "failures")
    search_fields = ("id__exact",)
    ordering = ("id",)


@admin.register(EvaluationRun)
class EvaluationRunAdmin(LongListAdmin):
    list_display = (
        "slot",
        "as_of",
        "slice",
        "sessions",
        "rules",
        "triggered",
        "trades",
        "worker",
        "code_version",
        "created_at",
    )
    list_select_related = ("slice",)
    search_fields = ("slot__exact", "slice__id__exact")
    search_help_text = "A snapshot's version, or a slice's id"
    ordering = ("-id",)
