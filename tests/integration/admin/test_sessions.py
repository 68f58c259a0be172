"""Sessions are started, paused, resumed, stopped and tightened from the admin, by the services."""

import json

import pytest
from django.urls import reverse

from journal.models import Entry
from portfolios.models import LimitSet
from portfolios.services.portfolios import set_four_eyes
from sessions.models import TradingSession
from sessions.services.sessions import pause_trading_session

pytestmark = pytest.mark.integration
SENT = {"_form_submitted": "True"}
ADD = "admin:trading_sessions_tradingsession_add"


def start(page, portfolio, config):
    return page.post(reverse(ADD), {"portfolio": portfolio.pk, "session_name": "Autumn", "config": config})


def dialog(page, verb, row, **fields):
    return page.post(reverse(f"admin:trading_sessions_tradingsession_{verb}", args=[row.pk]), SENT | fields)


def last_kind(portfolio):
    return Entry.objects.filter(stream_id=portfolio.pk).order_by("-seq").values_list("kind", flat=True)[0]


def test_a_session_starts_with_an_empty_config_too(admin_page, cast):
    assert start(admin_page, cast.portfolio, "{}").status_code == 302
    row = TradingSession.objects.get()
    assert (row.session_name, row.config, row.started_by, row.status) == ("Autumn", {}, cast.dora, "active")
    assert last_kind(cast.portfolio) == "session.started"


def test_a_wrong_config_is_refused_with_its_path(admin_page, cast):
    page = start(admin_page, cast.portfolio, json.dumps({"on_stop": "sell", "limits": {"max_order_valu": 5}}))
    faults = page.context["adminform"].form.errors["config"]
    assert any(
        fault.startswith("config.limits.max_order_valu: ") and "max_order_value" in fault for fault in faults
    )
    assert any(fault.startswith("config.on_stop: ") for fault in faults)
    assert not TradingSession.objects.exists()


def test_a_second_session_is_refused_with_the_first_ones_name(admin_page, cast, trading_session):
    page = start(admin_page, cast.portfolio, "{}")
    assert str(trading_session.pk) in str(page.context["adminform"].form.non_field_errors())
    assert TradingSession.objects.count() == 1


def test_dialogs_pause_resume_and_stop(admin_page, cast, trading_session):
    for verb, status, kind, fields in (
        ("pause", "paused", "session.paused", {"reason": "lunch"}),
        ("resume", "active", "session.resumed", {}),
        ("stop", "stopping", "session.stopping", {"reason": "enough"}),
    ):
        assert dialog(admin_page, verb, trading_session, **fields).status_code == 200
        trading_session.refresh_from_db()
        assert trading_session.status == status
        assert last_kind(cast.portfolio) == kind
    assert trading_session.stop_reason == "enough"


def test_a_stop_may_keep_what_the_config_says_is_to_be_sold(admin_page, cast, trading_session):
    TradingSession.objects.filter(pk=trading_session.pk).update(config={"on_stop": "flatten"})
    dialog(admin_page, "stop", trading_session)
    trading_session.refresh_from_db()
    assert (trading_session.status, trading_session.flattens) == ("stopping", True)
    dialog(admin_page, "stop", trading_session, keep="on", reason="nobody buys it")
    trading_session.refresh_from_db()
    assert (trading_session.flattens, trading_session.stop_reason) == (False, "nobody buys it")
    assert last_kind(cast.portfolio) == "session.stopping"


def test_what_is_not_possible_is_said(admin_page, cast, trading_session):
    answer = dialog(admin_page, "resume", trading_session)
    assert "this needs it to be paused" in admin_page.get(answer["HX-Redirect"]).content.decode()


def test_each_selected_session_is_carried_out_or_refused_by_itself(
    admin_page, cast, everything, trading_session
):
    pause_trading_session(session_id=trading_session.pk, actor=cast.alice)
    page = admin_page.post(
        reverse("admin:trading_sessions_tradingsession_changelist"),
        {"action": "pause_selected", "_selected_action": [trading_session.pk, everything.session.pk]},
        follow=True,
    )
    text = page.content.decode()
    assert (
        "1 trading session paused." in text
        and "Autumn: The session is paused; this needs it to be active" in text
    )
    assert set(TradingSession.objects.values_list("status", flat=True)) == {"paused"}


def test_limits_of_a_session_are_a_version_on_its_portfolios_stream(admin_page, cast, trading_session):
    dialog(admin_page, "tighten", trading_session, max_order_value="99.5")
    row = LimitSet.objects.get(scope="session")
    assert (row.scope_id, row.version, row.max_order_value) == (trading_session.pk, 1, row.max_order_value)
    assert last_kind(cast.portfolio) == "limits.set"
    opened = admin_page.get(
        reverse("admin:trading_sessions_tradingsession_tighten", args=[trading_session.pk])
    )
    assert 'value="99.5"' in opened.content.decode()


def test_with_four_eyes_one_person_only_tightens_them(admin_page, cast, trading_session):
    dialog(admin_page, "tighten", trading_session, max_order_value="100")
    set_four_eyes(portfolio_id=cast.portfolio.pk, enabled=True, actor=cast.alice)
    answer = dialog(admin_page, "tighten", trading_session, max_order_value="100000")
    assert "would be looser: max_order_value" in admin_page.get(answer["HX-Redirect"]).content.decode()
    dialog(admin_page, "tighten", trading_session, max_order_value="99")
    assert list(LimitSet.objects.filter(scope="session").values_list("max_order_value", flat=True)) == [
        99,
        100,
    ]
