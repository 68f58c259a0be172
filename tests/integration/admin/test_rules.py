"""The rule form goes through the service that the API uses; faults come back with path and cure."""

import html
import json

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from journal.models import Entry
from rules.models import RuleVersion, TradingRule
from rules.services.rules import create_rule, update_rule
from tests.integration.admin.conftest import RULE

pytestmark = pytest.mark.integration
ADD = "admin:rules_tradingrule_add"
CHANGE = "admin:rules_tradingrule_change"


def form_of(rule, **fields):
    return {
        "name": rule["name"],
        "rule_type": rule["rule_type"],
        "priority": "7",
        "conditions": json.dumps(rule["conditions"]),
        "actions": json.dumps(rule["actions"]),
        **fields,
    }


def kinds(portfolio):
    return list(Entry.objects.filter(stream_id=portfolio.pk).order_by("seq").values_list("kind", flat=True))


def test_the_form_starts_with_a_whole_example(admin_page, cast):
    page = admin_page.get(reverse(ADD))
    text = html.unescape(page.content.decode())
    assert '"field": "ai_recommendation"' in text
    assert "portfolio_cash_percentage" in text, "the catalogue of fields is shown"


def test_a_good_rule_is_stored_with_its_version_and_journalled(admin_page, cast):
    page = admin_page.post(reverse(ADD), form_of(RULE, portfolio=cast.portfolio.pk, is_active="on"))
    assert page.status_code == 302
    rule = TradingRule.objects.get()
    assert (rule.name, rule.priority, rule.is_active, rule.created_by) == ("Buy strength", 7, True, cast.dora)
    assert rule.versions.get().conditions == RULE["conditions"]
    assert kinds(cast.portfolio)[-1] == "rule.created"


def test_a_bad_rule_comes_back_with_path_and_suggestion_and_nothing_is_stored(admin_page, cast):
    before = kinds(cast.portfolio)
    wrong = RULE | {"conditions": [{"field": "rsy", "operator": "greater_than", "value": 60}]}
    page = admin_page.post(reverse(ADD), form_of(wrong, portfolio=cast.portfolio.pk))
    assert page.status_code == 200
    (fault,) = page.context["adminform"].form.errors["conditions"]
    assert fault.startswith("conditions[0].field: ") and "rsi" in fault
    assert html.escape(fault) in page.content.decode()
    assert not TradingRule.objects.exists() and not RuleVersion.objects.exists()
    assert kinds(cast.portfolio) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{", "line 1 column"),  # where it breaks off
        ('[{"field": "rsi", "field": "atr"}]', "stands twice"),
        ("[" * 5000, "nested deeper"),  # must not exhaust the stack
        ("[NaN]", "not a JSON number"),
    ],
)
def test_what_is_not_json_is_said_and_shown_as_typed(text, said, admin_page, cast):
    page = admin_page.post(reverse(ADD), form_of(RULE, portfolio=cast.portfolio.pk, conditions=text))
    form = page.context["adminform"].form
    assert said in form.errors["conditions"][0]
    assert form["conditions"].value() == text
    assert not TradingRule.objects.exists()


def test_a_change_makes_a_version(admin_page, cast, rule):
    changed = RULE | {"conditions": [{"field": "rsi", "operator": "greater_than", "value": 65}]}
    page = admin_page.post(reverse(CHANGE, args=[rule.pk]), form_of(changed, expected_version="1"))
    assert page.status_code == 302
    rule.refresh_from_db()
    assert (rule.version, rule.conditions[0]["value"]) == (2, 65)
    assert kinds(cast.portfolio)[-1] == "rule.updated"


def test_a_change_that_has_not_seen_another_one_is_refused(admin_page, cast, rule):
    update_rule(rule_id=rule.pk, rule=RULE | {"priority": 3}, actor=cast.alice)
    page = admin_page.post(reverse(CHANGE, args=[rule.pk]), form_of(RULE, expected_version="1"))
    assert page.status_code == 200
    assert "look at it again" in str(page.context["adminform"].form.non_field_errors())
    rule.refresh_from_db()
    assert (rule.version, rule.priority) == (2, 3)


RESTING = {
    **RULE,
    "schedule": {"weekdays": ["MONDAY"], "from": "09:45", "to": "15:30"},
    "cooldown": {"minutes": 60},
}
IN_WORDS = (
    "When the RSI is above 60, buy 5 % of equity. It fires only on Monday between 09:45 and 15:30 and rests "
    "for 1 hour for that symbol after it acted."
)


def test_a_schedule_and_a_cooldown_are_written_changed_and_taken_away(admin_page, cast):
    beside = {key: json.dumps(RESTING[key]) for key in ("schedule", "cooldown")}
    page = admin_page.post(reverse(ADD), form_of(RULE, portfolio=cast.portfolio.pk, **beside))
    assert page.status_code == 302
    rule = TradingRule.objects.get()
    assert (rule.schedule, rule.cooldown) == (RESTING["schedule"], RESTING["cooldown"])
    shown = admin_page.get(reverse(CHANGE, args=[rule.pk])).context["adminform"].form
    assert [json.loads(shown[key].value()) for key in beside] == [RESTING[key] for key in beside]
    kept = form_of(RULE, expected_version="1", cooldown=beside["cooldown"], schedule="")
    assert admin_page.post(reverse(CHANGE, args=[rule.pk]), kept).status_code == 302
    rule.refresh_from_db()
    assert (rule.schedule, rule.cooldown, rule.version) == (None, RESTING["cooldown"], 2)


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("schedule", '{"weekdays": ["MONDY"]}', "MONDAY"),
        ("schedule", "{}", "schedule is empty"),
        ("cooldown", '{"minutes": 0}', "cooldown.minutes: "),
        ("cooldown", "60", "not a cooldown"),
    ],
)
def test_a_fault_in_a_schedule_or_cooldown_is_shown_at_its_field(field, text, said, admin_page, cast):
    page = admin_page.post(reverse(ADD), form_of(RULE, portfolio=cast.portfolio.pk, **{field: text}))
    form = page.context["adminform"].form
    assert set(form.errors) == {field} and said in form.errors[field][0]
    assert form[field].value() == text
    assert not TradingRule.objects.exists()


@pytest.mark.parametrize("address", ["rules_tradingrule", "rules_ruleversion"])
def test_list_and_page_say_in_words_what_the_rule_says(address, admin_page, cast):
    rule = create_rule(portfolio_id=cast.portfolio.pk, rule=RESTING, actor=cast.alice)
    row = rule if address == "rules_tradingrule" else rule.versions.get()
    assert IN_WORDS in admin_page.get(reverse(f"admin:{address}_change", args=[row.pk])).content.decode()
    assert IN_WORDS[:150] in admin_page.get(reverse(f"admin:{address}_changelist")).content.decode()


def test_the_form_lists_the_fields_by_kind_with_formula_and_reference(admin_page, cast):
    page = html.unescape(admin_page.get(reverse(ADD)).content.decode())
    assert page.index(">market</h3>") < page.index("Wilder") < page.index(">portfolio</h3>")


def test_selected_rules_are_switched_and_archived(admin_page, cast, rule):
    page = reverse("admin:rules_tradingrule_changelist")
    for action, kind in (
        ("deactivate_selected", "rule.deactivated"),
        ("activate_selected", "rule.activated"),
        ("archive_selected", "rule.archived"),
    ):
        admin_page.post(page, {"action": action, "_selected_action": [rule.pk]})
        assert kinds(cast.portfolio)[-1] == kind
    rule.refresh_from_db()
    assert rule.archived_at is not None


def test_deleting_archives(admin_page, cast, rule):
    asked = admin_page.get(reverse("admin:rules_tradingrule_delete", args=[rule.pk]))
    assert "its history stays" in asked.content.decode()
    admin_page.post(reverse("admin:rules_tradingrule_delete", args=[rule.pk]), {"post": "yes"})
    rule.refresh_from_db()
    assert rule.archived_at is not None and rule.versions.count() == 1
    assert kinds(cast.portfolio)[-1] == "rule.archived"
    shown = admin_page.get(reverse("admin:rules_tradingrule_changelist")).content.decode()
    assert reverse(CHANGE, args=[rule.pk]) not in shown


def test_an_archived_rule_is_not_activated_again(admin_page, cast, rule):
    admin_page.post(reverse("admin:rules_tradingrule_delete", args=[rule.pk]), {"post": "yes"})
    page = admin_page.post(
        reverse("admin:rules_tradingrule_changelist") + "?archived=yes",
        {"action": "activate_selected", "_selected_action": [rule.pk]},
        follow=True,
    )
    assert "make a new one" in page.content.decode()


def test_a_dialog_switches_by_post_only(admin_page, cast, rule):
    address = reverse("admin:rules_tradingrule_deactivate", args=[rule.pk])
    admin_page.get(address)
    rule.refresh_from_db()
    assert rule.is_active, "a link must not change anything"
    answer = admin_page.post(address, {"_form_submitted": "True"})
    rule.refresh_from_db()
    assert not rule.is_active
    assert answer["HX-Redirect"] == reverse(CHANGE, args=[rule.pk])


def test_who_may_only_look_cannot_switch(client, cast, rule):
    cast.charlie.is_staff = True
    cast.charlie.save()
    cast.charlie.user_permissions.add(Permission.objects.get(codename="view_tradingrule"))
    client.force_login(cast.charlie)
    assert client.get(reverse(CHANGE, args=[rule.pk])).status_code == 200
    answer = client.post(
        reverse("admin:rules_tradingrule_deactivate", args=[rule.pk]), {"_form_submitted": "True"}
    )
    assert answer.status_code == 403
    client.post(
        reverse("admin:rules_tradingrule_changelist"),
        {"action": "deactivate_selected", "_selected_action": [rule.pk]},
    )
    rule.refresh_from_db()
    assert rule.is_active
