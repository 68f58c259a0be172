"""What a rule said, version by version: never changed, so only shown."""

from django.contrib import admin
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from foundation.admin.base import LongListAdmin
from rules.models import RuleVersion


@admin.register(RuleVersion)
class RuleVersionAdmin(LongListAdmin):
    list_display = ("name", "version", "rule_type", "priority", "created_by", "created_at")
    list_select_related = ("created_by",)
    list_filter = (("rule", AutocompleteSelectFilter), "rule_type")
    search_fields = ("name", "rule__id__exact")
    ordering = ("-id",)
