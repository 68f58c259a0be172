"""Trades are cancelled, halts armed and released, alerts acknowledged; decisions are explained."""

import html
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from journal.core.events import AlertSpec, Event
from journal.models import Alert, Entry
from journal.services.journal import append
from rules.models import TradingRule
from tests.integration.admin.conftest import (
    MARKET_TIME,
    make_decision,
    make_instrument,
    make_trade,
    make_user,
)
from trading.models import AutoTrade, Halt, Protection, RuleAct
from trading.services.breakers import trip
from trading.services.breaks import record_break
from trading.services.emergency_stop import arm

pytestmark = pytest.mark.integration
SENT = {"_form_submitted": "True"}


def last_kind(portfolio):
    return Entry.objects.filter(stream_id=portfolio.pk).order_by("-seq").values_list("kind", flat=True)[0]


@pytest.fixture
def trade(trading_session, rule):
    return make_trade(make_decision(trading_session, rule, make_instrument("TEST")))


def test_a_decision_is_told_condition_by_condition(admin_page, trade):
    page = admin_page.get(reverse("admin:trading_decision_change", args=[trade.decision_id]))
    text = " ".join(html.unescape(page.content.decode()).split())
    assert "True for AAPL: rsi is 71, above 60." in text
    assert "<code>rsi</code> greater than" in text and ">71.25<" in text
    assert "9 → 11" in text and "1.02 × sma_50" in text  # the last two bars, another field
    assert "? unknown" in text and "✓ true" in text
    assert "MAX_ORDER_VALUE" in text and "✗ refused" in text
    assert reverse("admin:trading_autotrade_change", args=[trade.pk]) in text


def test_a_decision_names_the_rule_that_it_lost_against(admin_page, trading_session, rule):
    beaten_by = {"rule_id": str(rule.pk), "rule_name": "Stop <b>loss</b>", "version": 3, "reason": "priority"}
    earlier = {"rule_version_id": "17", "reason": "rule_type"}  # before rules were named in it
    decisions = [
        make_decision(trading_session, rule, None, outcome="outranked", outranked_by=beaten)
        for beaten in (beaten_by, earlier)
    ]
    first, second = (
        admin_page.get(reverse("admin:trading_decision_change", args=[row.pk])).content.decode()
        for row in decisions
    )
    rule_page = reverse("admin:rules_tradingrule_change", args=[rule.pk])
    assert f'href="{rule_page}">Stop &lt;b&gt;loss&lt;/b&gt;</a>, version 3: priority' in first
    assert '"rule_version_id": "17"' in html.unescape(second)


def test_a_decision_that_lasts_is_not_lost_behind_newer_ones(admin_page, trading_session, rule):
    lasting = make_decision(trading_session, rule, None, outcome="blocking", last_slot=9)
    newer = make_decision(trading_session, rule, None, slot=8, last_slot=8)
    page = admin_page.get(reverse("admin:trading_decision_changelist"))
    assert [row.pk for row in page.context["cl"].result_list] == [lasting.pk, newer.pk]


def test_a_rest_is_shown_until_its_end(admin_page, rule):
    act = RuleAct.objects.create(rule=rule, instrument=make_instrument("TEST"), acted_at=MARKET_TIME)
    TradingRule.objects.filter(pk=rule.pk).update(cooldown={"minutes": 90})
    for page in ("changelist", "change"):
        args = [act.pk] if page == "change" else []
        text = admin_page.get(reverse(f"admin:trading_ruleact_{page}", args=args)).content.decode()
        assert "2004-01-05 21:00:00" in text and "2004-01-05 22:30:00" in text
    TradingRule.objects.filter(pk=rule.pk).update(cooldown=None)
    text = admin_page.get(reverse("admin:trading_ruleact_changelist")).content.decode()
    assert "2004-01-05 21:00:00" in text and "22:30" not in text


def test_what_a_rule_says_cannot_become_markup(admin_page, trading_session, rule):
    tree = {
        "field": "<script>x</script>",
        "operator": "equals",
        "fact": "<b>",
        "threshold": 1,
        "outcome": True,
    }
    explanation = {"sentence": "<i>", "conditions": {"all": [tree], "outcome": True}}
    decision = make_decision(trading_session, rule, None, explanation=explanation, sizing={"<u>": "<u>"})
    text = admin_page.get(reverse("admin:trading_decision_change", args=[decision.pk])).content.decode()
    for markup in ("<script>x", "<b>", "<i>", "<u>"):
        assert markup not in text


def test_a_pending_trade_is_cancelled_by_the_service(admin_page, cast, trade):
    page = admin_page.post(
        reverse("admin:trading_autotrade_changelist"),
        {"action": "cancel_selected", "_selected_action": [trade.pk]},
        follow=True,
    )
    trade.refresh_from_db()
    assert (trade.status, trade.status_reason) == ("cancelled", "by dora")
    assert "1 auto trade cancelled." in page.content.decode()
    assert last_kind(cast.portfolio) == "trade.cancelled"


def test_of_a_trade_on_its_way_the_cancel_is_remembered(admin_page, cast, trading_session, rule):
    decision = make_decision(trading_session, rule, make_instrument("TEST"))
    trade = make_trade(decision, status="submitting")
    place = reverse("admin:trading_autotrade_cancel", args=[trade.pk])
    answer = admin_page.post(place, SENT)
    assert "asked for at its broker" in admin_page.get(answer["HX-Redirect"]).content.decode()
    trade.refresh_from_db()
    assert trade.status == "submitting" and trade.cancel_requested_at is not None
    answer = admin_page.post(place, SENT)
    assert "asked for already" in admin_page.get(answer["HX-Redirect"]).content.decode()


@pytest.mark.parametrize("scope", ["portfolio", "session", "rule", "symbol", "account", "platform"])
def test_a_halt_is_armed_in_each_scope(scope, admin_page, cast, trade, django_capture_on_commit_callbacks):
    targets = {
        "portfolio": cast.portfolio, "session": trade.session, "rule": trade.rule, "symbol": trade.instrument,
        "account": trade.account,
    }  # fmt: skip
    form = {"scope": scope, "mode": "halt", "reason": "prices look wrong"}
    if scope in targets:
        form[scope] = targets[scope].pk
    with django_capture_on_commit_callbacks(execute=True):  # the journal is told after the commit
        assert admin_page.post(reverse("admin:trading_halt_add"), form).status_code == 302
    halt = Halt.objects.get()
    names = {"symbol": "TEST", "platform": ""}
    assert halt.scope_id == names.get(scope, str(getattr(targets.get(scope), "pk", "")))
    assert (halt.armed_by, halt.reason) == (cast.dora, "prices look wrong")
    assert Entry.objects.filter(kind="halt.armed").count() == 1


STOP = "admin:trading_halt_stop_everything"


def test_one_button_stops_everything(admin_page, cast, django_capture_on_commit_callbacks):
    page = admin_page.get(reverse("admin:trading_halt_changelist")).content.decode()
    assert "Stop all trading" in page and reverse(STOP) in page
    dialog = admin_page.get(reverse(STOP)).content.decode()
    assert "Somebody else must release it" in dialog and 'name="reason"' in dialog
    with django_capture_on_commit_callbacks(execute=True):
        answer = admin_page.post(reverse(STOP), SENT | {"reason": "smoke", "mode": "halt"})
    halt = Halt.objects.get()
    assert (halt.scope, halt.mode, halt.reason, halt.armed_by) == ("platform", "halt", "smoke", cast.dora)
    assert "Armed: halt on platform" in admin_page.get(answer["HX-Redirect"]).content.decode()
    assert Entry.objects.filter(kind="halt.armed").count() == 1


@pytest.mark.parametrize(
    "form", [{"mode": "halt"}, {"reason": " ", "mode": "halt"}, {"reason": "x", "mode": "slow"}]
)
def test_the_button_asks_for_a_reason(admin_page, cast, form):
    assert "HX-Redirect" not in admin_page.post(reverse(STOP), SENT | form)
    assert not Halt.objects.exists()


def test_who_may_arm_nothing_has_no_button(client, cast):
    steffi = make_user("steffi", is_staff=True)
    steffi.user_permissions.set(Permission.objects.filter(codename__in=("view_halt", "change_halt")))
    client.force_login(steffi)
    assert "Stop all trading" not in client.get(reverse("admin:trading_halt_changelist")).content.decode()
    assert client.post(reverse(STOP), SENT | {"reason": "smoke", "mode": "halt"}).status_code == 403
    assert not Halt.objects.exists()


def test_a_breakers_stop_tells_its_numbers(admin_page, cast):
    halt = trip(
        breaker="daily_loss", scope="portfolio", scope_id=str(cast.portfolio.pk), episode="2010-03-01",
        reason="the loss is 12.5 %", numbers={"loss_percentage": Decimal("12.5"), "limit": Decimal(10)},
    )  # fmt: skip
    listed = admin_page.get(
        reverse("admin:trading_halt_changelist"), {"armed_by_breaker__exact": "daily_loss"}
    )
    assert [row.pk for row in listed.context["cl"].result_list] == [halt.pk]
    page = html.unescape(
        admin_page.get(reverse("admin:trading_halt_change", args=[halt.pk])).content.decode()
    )
    assert "daily_loss" in page and '"loss_percentage": "12.5"' in page and "2010-03-01" in page


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"scope": "rule", "reason": "x"}, "rule"), ({"scope": "platform", "reason": " "}, "reason")],
)
def test_a_halt_without_target_or_reason_is_refused(fields, field, admin_page, cast):
    page = admin_page.post(reverse("admin:trading_halt_add"), {"mode": "halt"} | fields)
    assert field in page.context["adminform"].form.errors
    assert not Halt.objects.exists()


def test_nobody_releases_his_own_halt(admin_page, cast):
    own = arm(scope="platform", reason="mine", actor=cast.dora)
    answer = admin_page.post(reverse("admin:trading_halt_let_go", args=[own.pk]), SENT)
    assert "another person" in admin_page.get(answer["HX-Redirect"]).content.decode()
    own.refresh_from_db()
    assert own.released_at is None


def test_anothers_halt_is_released(admin_page, cast):
    halt = arm(scope="portfolio", scope_id=str(cast.portfolio.pk), reason="his", actor=cast.bob)
    admin_page.post(
        reverse("admin:trading_halt_changelist"),
        {"action": "release_selected", "_selected_action": [halt.pk]},
    )
    halt.refresh_from_db()
    assert halt.released_by == cast.dora
    assert last_kind(cast.portfolio) == "halt.released"


def test_a_break_is_explained(admin_page, cast):
    row = record_break(
        account_id=cast.portfolio.broker_account.pk, kind="position", key="AAA", ours={"quantity": 1},
        theirs={"quantity": 2}, detail="one more there",
    )  # fmt: skip
    page = reverse("admin:trading_reconciliationbreak_change", args=[row.pk])
    assert "one more there" in admin_page.get(page).content.decode()
    explain = reverse("admin:trading_reconciliationbreak_explain", args=[row.pk])
    answer = admin_page.post(explain, SENT | {"explanation": "A transfer"})
    assert "The break is explained." in admin_page.get(answer["HX-Redirect"]).content.decode()
    row.refresh_from_db()
    assert (row.explained_by, row.explanation) == (cast.dora, "A transfer")
    assert last_kind(cast.portfolio) == "reconciliation.break_explained"
    answer = admin_page.post(explain, SENT | {"explanation": "Another"})
    assert "ended already" in admin_page.get(answer["HX-Redirect"]).content.decode()


def test_a_quarantined_trade_is_ended(admin_page, cast, trade):
    settle = reverse("admin:trading_autotrade_settle", args=[trade.pk])
    sent = SENT | {"state": "expired", "explanation": "It is not there"}
    answer = admin_page.post(settle, sent)
    assert "only a quarantined one" in admin_page.get(answer["HX-Redirect"]).content.decode()
    AutoTrade.objects.filter(pk=trade.pk).update(status="quarantined")
    answer = admin_page.post(settle, sent)
    assert "The trade has ended." in admin_page.get(answer["HX-Redirect"]).content.decode()
    trade.refresh_from_db()
    assert (trade.status, trade.status_reason) == ("expired", "dora: It is not there")


def test_alerts_are_acknowledged(admin_page, cast):
    alerts = (AlertSpec("critical", f"alert {number}") for number in (1, 2))
    append([Event(cast.portfolio.pk, "test.alerted", MARKET_TIME, {}, alert) for alert in alerts])
    first, second = Alert.objects.order_by("seq")
    admin_page.post(
        reverse("admin:journal_alert_changelist"),
        {"action": "acknowledge_selected", "_selected_action": [first.pk]},
    )
    admin_page.post(reverse("admin:journal_alert_acknowledge", args=[second.pk]), SENT)
    assert list(Alert.objects.values_list("acknowledged_by", flat=True)) == [cast.dora.pk] * 2


def test_staff_who_are_no_members_are_told_why_they_may_not_acknowledge(client, cast):
    steffi = make_user("steffi", is_staff=True)
    steffi.user_permissions.set(Permission.objects.filter(codename__in=("view_alert", "change_alert")))
    append([Event(cast.portfolio.pk, "test.alerted", MARKET_TIME, {}, AlertSpec("critical", "look"))])
    alert = Alert.objects.get()
    client.force_login(steffi)
    answer = client.post(reverse("admin:journal_alert_acknowledge", args=[alert.pk]), SENT)
    assert "but not acknowledge it" in client.get(answer["HX-Redirect"]).content.decode()
    alert.refresh_from_db()
    assert alert.acknowledged_at is None


def test_the_journal_of_one_portfolio(admin_page, cast, everything):
    page = admin_page.get(reverse("admin:journal_entry_changelist"), {"stream__id__exact": cast.portfolio.pk})
    streams = {entry.stream_id for entry in page.context["cl"].result_list}
    assert streams == {cast.portfolio.pk}


def test_a_snapshot_is_listed_without_its_payload(admin_page, everything):
    page = admin_page.get(reverse("admin:market_snapshot_changelist"))
    assert page.context["cl"].result_list[0].get_deferred_fields() == {"payload"}


def test_a_protection_is_set_anew_and_removed_by_the_services(admin_page, everything):
    row = Protection.objects.get()
    page = reverse("admin:trading_protection_change", args=[row.pk])
    refused = admin_page.post(page, {"stop_loss_percentage": "100"})
    assert "stop_loss_percentage" in refused.context["adminform"].form.errors
    assert admin_page.post(page, {"trailing_stop_percentage": "7.5"}).status_code == 302
    row.refresh_from_db()
    assert (row.stop_loss_percentage, row.trailing_stop_percentage) == (None, Decimal("7.5"))
    assert (row.actor, last_kind(row.portfolio)) == ("user:dora", "protection.set")
    answer = admin_page.post(reverse("admin:trading_protection_remove", args=[row.pk]), SENT)
    assert answer["HX-Redirect"] == reverse("admin:trading_protection_changelist")
    assert not Protection.objects.exists() and last_kind(row.portfolio) == "protection.removed"


def test_selected_protections_are_removed(admin_page, everything):
    row = Protection.objects.get()
    data = {"action": "remove_selected", "_selected_action": [row.pk]}
    page = admin_page.post(reverse("admin:trading_protection_changelist"), data, follow=True)
    assert "1 protection removed." in page.content.decode()
    assert not Protection.objects.exists()
