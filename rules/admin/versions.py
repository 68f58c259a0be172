"""What a rule said, version by version: never changed, so only shown."""

from django.contrib import admin
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from foundation.admin.base import LongListAdmin
from rules.admin.rules import in_words, shortly
from rules.models import RuleVersion


@admin.register(RuleVersion)
class RuleVersionAdmin(LongListAdmin):
    list_display = ("name", shortly, "version", "rule_type", "priority", "created_by", "created_at")
    list_select_related = ("created_by",)
    list_filter = (("rule", AutocompleteSelectFilter), "rule_type")
    search_fields = ("name", "rule__id__exact")
    ordering = ("-id",)
    fields = (
        in_words, "rule", "version", "name", "rule_type", "priority", "conditions", "actions", "schedule",
        "cooldown", "created_by", "created_at",
    )  # fmt: skip
