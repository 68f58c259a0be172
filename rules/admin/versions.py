"""What a rule said, version by version: never changed, so only shown, approved or rejected."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action

from foundation.admin.base import LongListAdmin, actor_of
from portfolios.admin.approval import approval, approve_dialog, reject_dialog
from rules.admin.rules import in_words, shortly
from rules.models import RuleVersion
from rules.services.rules import approve_rule_version, reject_rule_version


@admin.register(RuleVersion)
class RuleVersionAdmin(LongListAdmin):
    list_display = (
        "name",
        shortly,
        "version",
        approval,
        "rule_type",
        "priority",
        "created_by",
        "created_at",
    )
    list_select_related = ("created_by",)
    list_filter = (("rule", AutocompleteSelectFilter), "rule_type", "needs_approval", "approved")
    search_fields = ("name", "rule__id__exact")
    ordering = ("-id",)
    fields = (
        in_words, "rule", "version", "name", "rule_type", "priority", "conditions", "actions", "schedule",
        "cooldown", "created_by", "created_at", approval, "decided_by", "decided_at",
    )  # fmt: skip
    actions_detail = ("approve", "reject")

    @action(
        description="Approve", permissions=["operate"], icon="check", url_path="approve", dialog=approve_dialog()
    )  # fmt: skip
    def approve(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._decide(request, object_id, approve_rule_version, "Approved: the rule says this now.")

    @action(
        description="Reject", permissions=["operate"], icon="close", url_path="reject", dialog=reject_dialog()
    )  # fmt: skip
    def reject(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._decide(request, object_id, reject_rule_version, "Rejected: this never takes effect.")

    def _decide(self, request: HttpRequest, object_id: str, service: Any, done: str) -> HttpResponse:
        row = self.existing(request, object_id)

        def run() -> None:
            service(rule_id=row.rule_id, version=row.version, actor=actor_of(request))

        return self.run_dialog(request, object_id, run, action=None, done=done)
