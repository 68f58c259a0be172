"""The groups that every installation begins with open the pages of their work; what members do there needs a role."""

import json

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.urls import reverse

from portfolios.services.portfolios import set_member
from rules.models import TradingRule
from sessions.models import TradingSession
from tests.integration.admin.conftest import RULE, make_user
from trading.models import Halt
from trading.services.staff_groups import GROUPS, ensure_groups

pytestmark = pytest.mark.integration


@pytest.fixture
def steffi(client, cast):
    """On the staff, a trader of the portfolio; logged in."""
    user = make_user("steffi", is_staff=True)
    set_member(portfolio=cast.portfolio, user=user, role="trader", actor=cast.alice)
    client.force_login(user)
    return user


@pytest.fixture
def groups(db):
    ensure_groups()
    return {group.name: group for group in Group.objects.filter(name__in=GROUPS)}


def rule_form(portfolio):
    return {
        "portfolio": portfolio.pk, "name": RULE["name"], "rule_type": RULE["rule_type"], "priority": "7",
        "conditions": json.dumps(RULE["conditions"]), "actions": json.dumps(RULE["actions"]), "is_active": "on",
    }  # fmt: skip


def test_rule_writers_write_preview_switch_and_archive_rules(client, steffi, cast, groups):
    add = reverse("admin:rules_tradingrule_add")
    assert client.get(add).status_code == 403
    steffi.groups.add(groups["Rule writers"])
    assert client.post(add, rule_form(cast.portfolio)).status_code == 302
    rule = TradingRule.objects.get()
    page = reverse("admin:rules_tradingrule_change", args=[rule.pk])
    assert client.get(page).status_code == 200
    assert client.get(reverse("admin:trading_rule_preview", args=[rule.pk])).status_code == 200
    switch = reverse("admin:rules_tradingrule_changelist")
    client.post(switch, {"action": "deactivate_selected", "_selected_action": [str(rule.pk)]})
    rule.refresh_from_db()
    assert not rule.is_active
    client.post(reverse("admin:rules_tradingrule_delete", args=[rule.pk]), {"post": "yes"})
    rule.refresh_from_db()
    assert rule.archived_at is not None
    assert client.get(reverse("admin:trading_sessions_tradingsession_add")).status_code == 403


def test_without_a_role_the_group_writes_no_rule(client, steffi, cast, groups):
    steffi.groups.add(groups["Rule writers"])
    set_member(portfolio=cast.portfolio, user=steffi, role="viewer", actor=cast.alice)
    page = client.post(reverse("admin:rules_tradingrule_add"), rule_form(cast.portfolio))
    assert page.status_code == 200 and "needs the role" in page.content.decode()
    assert not TradingRule.objects.exists()


def test_session_runners_start_sessions_and_stop_everything_in_their_portfolio(client, steffi, cast, groups):
    steffi.groups.add(groups["Session runners"])
    add = reverse("admin:trading_sessions_tradingsession_add")
    assert client.get(add).status_code == 200
    form = {"portfolio": cast.portfolio.pk, "session_name": "Autumn", "config": "{}"}
    assert client.post(add, form).status_code == 302
    trading_session = TradingSession.objects.get()
    pause = {"action": "pause_selected", "_selected_action": [str(trading_session.pk)]}
    client.post(reverse("admin:trading_sessions_tradingsession_changelist"), pause)
    trading_session.refresh_from_db()
    assert trading_session.status == "paused"
    stop = {"scope": "portfolio", "portfolio": cast.portfolio.pk, "mode": "halt", "reason": "a drill"}
    assert client.post(reverse("admin:trading_halt_add"), stop).status_code == 302
    assert Halt.objects.get().armed_by == steffi
    assert client.get(reverse("admin:rules_tradingrule_add")).status_code == 403


def test_seeding_again_keeps_what_an_administrator_has_changed(groups):
    groups["Rule writers"].permissions.clear()
    groups["Session runners"].delete()
    call_command("seed_platform")
    assert not Group.objects.get(name="Rule writers").permissions.exists()
    assert Group.objects.get(name="Session runners").permissions.count() == len(GROUPS["Session runners"])
