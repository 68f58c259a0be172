"""Session plans in the admin: made, changed, enabled and disabled by the services."""

import json

import pytest
from django.urls import reverse

from market.models import Exchange
from sessions.models import SessionPlan

pytestmark = pytest.mark.integration
ADD = "admin:trading_sessions_sessionplan_add"
LIST = "admin:trading_sessions_sessionplan_changelist"


@pytest.fixture
def exchange(db):
    return Exchange.objects.create(code="XLON", name="London", timezone="Europe/London")


def fields(cast, exchange, **more):
    return {
        "portfolio": cast.portfolio.pk, "name": "Every day", "exchange": exchange.pk,
        "start_minutes_before_open": 0, "stop_minutes_after_close": -10, "weekdays": ["FRIDAY", "MONDAY"],
        "config": json.dumps({"on_stop": "flatten"}), **more,
    }  # fmt: skip


def test_a_plan_is_made_changed_disabled_and_enabled(admin_page, cast, exchange):
    assert admin_page.post(reverse(ADD), fields(cast, exchange)).status_code == 302
    row = SessionPlan.objects.get()
    assert (row.weekdays, row.config, row.responsible) == (
        ["MONDAY", "FRIDAY"],
        {"on_stop": "flatten"},
        cast.dora,
    )
    change = reverse("admin:trading_sessions_sessionplan_change", args=[row.pk])
    assert admin_page.post(change, fields(cast, exchange, name="Daily", weekdays=[])).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.weekdays) == ("Daily", [])
    for action, is_enabled in (("disable_selected", False), ("enable_selected", True)):
        admin_page.post(reverse(LIST), {"action": action, "_selected_action": [row.pk]})
        row.refresh_from_db()
        assert row.is_enabled is is_enabled


def test_what_the_service_refuses_is_shown_at_its_field(admin_page, cast, exchange):
    refused = fields(cast, exchange, start_minutes_before_open=721, config=json.dumps({"onstop": "keep"}))
    page = admin_page.post(reverse(ADD), refused)
    errors = page.context["adminform"].form.errors
    assert "720" in errors["start_minutes_before_open"][0]
    assert "on_stop" in errors["config"][0]
    assert not SessionPlan.objects.exists()
