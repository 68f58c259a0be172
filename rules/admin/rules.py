"""Rules: written, switched and archived here, each by the one service that may."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display

from foundation.admin.base import ServiceAdmin, actor_of
from foundation.admin.presentation import badge, presented
from portfolios.admin.approval import WAITS
from portfolios.core.access import Action
from rules.admin.forms import RuleForm, example
from rules.core.description import describe
from rules.core.fields import CATALOGUE, FieldKind
from rules.core.language import Operator, suitable_operators
from rules.models import RuleContent, TradingRule
from rules.selectors import latest_version, pending_versions
from rules.services.rules import activate_rule, archive_rule, create_rule, deactivate_rule, update_rule

WORDS_SHOWN_MAX = 160
TYPE_COLOURS = {"entry": "success", "exit": "warning", "risk": "danger"}
STATE_COLOURS = {"active": "success", "inactive": "info", "archived": "danger"}


@display(description="state", ordering="is_active", label=STATE_COLOURS)
def state(rule: TradingRule) -> str:
    if rule.archived_at is not None:
        return "archived"
    return "active" if rule.is_active else "inactive"


@display(description="in words")
def in_words(rule: RuleContent) -> str:
    """What it says, for those who do not read JSON."""
    return describe(rule.content())


@display(description="in words")
def shortly(rule: RuleContent) -> str:
    words = in_words(rule)
    return words if len(words) <= WORDS_SHOWN_MAX else f"{words[: WORDS_SHOWN_MAX - 1]}…"


def catalogue() -> list[tuple[str, list[tuple[Any, list[str]]]]]:
    """The fields by kind, each with the operators that suit it."""
    return [
        (
            kind.value,
            [
                (spec, [operator.value for operator in Operator if operator in suitable_operators(spec)])
                for spec in CATALOGUE.values()
                if spec.kind is kind
            ],
        )
        for kind in FieldKind
    ]


class ArchivedFilter(admin.SimpleListFilter):
    title = "archived"
    parameter_name = "archived"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Archived only"), ("all", "Archived too")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[TradingRule]) -> QuerySet[TradingRule]:
        """Without a choice archived rules are out of sight, as deleted ones would be."""
        if self.value() == "all" or "/autocomplete/" in request.path:
            return queryset
        return queryset.filter(archived_at__isnull=self.value() != "yes")


def _dialog(title: str, description: str) -> dict[str, Any]:
    return {"title": title, "description": description, "form_class": None, "form_submit_text": title}


@admin.register(TradingRule)
class TradingRuleAdmin(ServiceAdmin):
    form = RuleForm
    list_display = (
        "name",
        shortly,
        "portfolio",
        badge("rule_type", TYPE_COLOURS),
        "priority",
        state,
        "version",
        "updated_at",
    )
    list_select_related = ("portfolio",)
    list_filter = (("portfolio", AutocompleteSelectFilter), "rule_type", "is_active", ArchivedFilter)
    search_fields = ("name", "portfolio__name")
    autocomplete_fields = ("portfolio",)
    ordering = ("portfolio__name", "-priority", "created_at")
    actions = ("activate_selected", "deactivate_selected", "archive_selected")
    actions_detail = ("preview", "why", "activate", "deactivate")
    change_form_after_template = "rules/field_catalogue.html"

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[str | None, dict[str, Any]]]:
        what = {"fields": ["conditions", "actions", "schedule", "cooldown"]}
        if obj is None:
            return [
                (None, {"fields": ["portfolio", "name", ("rule_type", "priority"), "is_active"]}),
                ("What it says", what),
            ]
        times = [presented(TradingRule, name) for name in ("created_at", "updated_at")]
        return [
            (None, {"fields": [in_words, "name", ("rule_type", "priority"), "expected_version"]}),
            ("What it says", what),
            (
                "Its state",
                {
                    "fields": [
                        "portfolio",
                        (state, "version"),
                        "waiting",
                        "created_by",
                        tuple(times),
                        "history",
                    ]
                },
            ),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if obj is None:
            return []
        times = [presented(TradingRule, name) for name in ("created_at", "updated_at")]
        return ["portfolio", in_words, state, "version", "waiting", "created_by", *times, "history"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {**example(), **super().get_changeform_initial_data(request)}

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """With the catalogue of fields beneath the form."""
        return super().changeform_view(
            request, object_id, form_url, {**(extra_context or {}), "catalogue": catalogue()}
        )

    @display(description="waits for approval")
    def waiting(self, rule: TradingRule) -> SafeString | str:
        """The form above begins with it; what is in force are the words at the top."""
        row = pending_versions().filter(rule=rule).select_related("created_by").first()
        if row is None:
            return "nothing"
        return format_html(
            '<a class="plain-link" href="{}">Version {}</a> by {}: {}',
            reverse("admin:rules_ruleversion_change", args=[row.pk]), row.version, row.created_by, in_words(row),
        )  # fmt: skip

    @display(description="see also")
    def history(self, rule: TradingRule) -> SafeString:
        versions = reverse("admin:rules_ruleversion_changelist")
        decisions = reverse("admin:trading_decision_changelist")
        return format_html(
            '<a class="plain-link" href="{}?rule__id__exact={}">Versions</a> · '
            '<a class="plain-link" href="{}?rule__id__exact={}">Decisions</a>',
            versions, rule.pk, decisions, rule.pk,
        )  # fmt: skip

    def has_change_permission(self, request: HttpRequest, obj: TradingRule | None = None) -> bool:
        """An archived rule is history."""
        return super().has_change_permission(request, obj) and (obj is None or obj.archived_at is None)

    def carry_out(self, request: HttpRequest, form: RuleForm, obj: TradingRule | None) -> TradingRule:
        given, actor = form.cleaned_data, actor_of(request)
        self.ask(request, Action.WRITE_RULE, given["portfolio"].pk if obj is None else obj.portfolio_id)
        if obj is None:
            stored = create_rule(
                portfolio_id=given["portfolio"].pk,
                rule=form.rule(),
                actor=actor,
                is_active=given["is_active"],
            )
        else:
            expected = given["expected_version"]
            stored = update_rule(rule_id=obj.pk, rule=form.rule(), actor=actor, expected_version=expected)
        latest = latest_version(stored.pk)
        if latest is not None and not latest.may_be_in_force:
            self.message_user(request, WAITS, messages.WARNING)
        return stored

    # --- deleting is archiving: the books name the rule for ever -----------------------------------

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and (
            obj.archived_at is not None or not self.may(request, Action.WRITE_RULE, obj.portfolio_id)
        ):
            return False
        return bool(request.user.has_perm("rules.delete_tradingrule"))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Nothing goes with it: versions, decisions and trades stay."""
        return (
            [f"{rule} (it is archived: out of force for good, its history stays)" for rule in objs],
            {},
            set(),
            [],
        )

    def delete_model(self, request: HttpRequest, obj: TradingRule) -> None:
        archive_rule(rule_id=obj.pk, actor=actor_of(request))

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        self.message_user(request, f"{obj_display} is archived.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:rules_tradingrule_changelist"))

    @admin.action(description="Archive", permissions=["delete"])
    def archive_selected(self, request: HttpRequest, rules: QuerySet[TradingRule]) -> None:
        self._each(request, rules, archive_rule, "archived", Action.WRITE_RULE)

    # --- switching ---------------------------------------------------------------------------------

    @admin.action(description="Activate", permissions=["change"])
    def activate_selected(self, request: HttpRequest, rules: QuerySet[TradingRule]) -> None:
        self._each(request, rules, activate_rule, "activated, or waiting for another person's approval")

    @admin.action(description="Deactivate", permissions=["change"])
    def deactivate_selected(self, request: HttpRequest, rules: QuerySet[TradingRule]) -> None:
        self._each(request, rules, deactivate_rule, "deactivated")

    @action(description="What would it do now?", permissions=["question"], icon="visibility")
    def preview(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.lead_to("trading_rule_preview", self.existing(request, object_id).pk)

    @action(description="Why (not)?", permissions=["question"], icon="help")
    def why(self, request: HttpRequest, object_id: str) -> HttpResponse:
        rule = self.existing(request, object_id)
        return self.lead_to("trading_why", rule.portfolio_id, rule=rule.pk)

    @action(
        description="Activate", permissions=["operate"], icon="play_arrow",
        dialog=_dialog("Activate", "The rule is in force from the next evaluation on."),
    )  # fmt: skip
    def activate(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        done = "The rule is active, or will be once another person has approved it."
        return self._one(request, object_id, activate_rule, done)

    @action(
        description="Deactivate", permissions=["operate"], icon="pause",
        dialog=_dialog("Deactivate", "The rule is out of force at once; what it ordered goes on."),
    )  # fmt: skip
    def deactivate(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._one(request, object_id, deactivate_rule, "The rule is inactive.")

    def _each(
        self,
        request: HttpRequest,
        rules: QuerySet[TradingRule],
        service: Any,
        done: str,
        asked: Action = Action.SWITCH_RULE,
    ) -> None:
        self.run_each(
            request,
            rules,
            lambda rule: service(rule_id=rule.pk, actor=actor_of(request)),
            action=asked,
            done=done,
        )

    def _one(self, request: HttpRequest, object_id: str, service: Any, done: str) -> HttpResponse:
        rule = self.existing(request, object_id)
        return self.run_dialog(
            request, object_id, lambda: service(rule_id=rule.pk, actor=actor_of(request)),
            action=Action.SWITCH_RULE, portfolio_id=rule.portfolio_id, done=done,
        )  # fmt: skip
