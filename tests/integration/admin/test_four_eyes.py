"""Four eyes in the admin: Dora may do everything there, but not approve what she proposed."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from portfolios.models import LimitSet, Portfolio
from portfolios.selectors import pending_permissions, permission_lists
from portfolios.services.limits import set_limits
from portfolios.services.permissions import set_instrument_permissions
from portfolios.services.portfolios import set_four_eyes
from rules.models import RuleVersion
from rules.services.rules import update_rule
from tests.integration.admin.conftest import RULE, make_instrument
from tests.integration.admin.test_rules import form_of

pytestmark = pytest.mark.integration
SENT = {"_form_submitted": "True"}
CHANGE = "admin:rules_tradingrule_change"


@pytest.fixture
def careful(cast, rule):
    return set_four_eyes(portfolio_id=cast.portfolio.pk, enabled=True, actor=cast.alice)


def decide(page, row, verb):
    """The messages that are shown after the dialog."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_{verb}"
    answer = page.post(reverse(name, args=[row.pk]), SENT)
    return page.get(answer["HX-Redirect"]).content.decode()


def test_a_change_in_the_form_waits_and_says_so(admin_page, careful, rule):
    changed = form_of(RULE | {"priority": 7}, expected_version="1")
    page = admin_page.post(reverse(CHANGE, args=[rule.pk]), changed, follow=True)
    assert "waits for another person" in page.content.decode()
    rule.refresh_from_db()
    assert (rule.version, rule.priority) == (1, 0)
    shown = admin_page.get(reverse(CHANGE, args=[rule.pk]))
    form = shown.context["adminform"].form
    assert (form["priority"].value(), form["expected_version"].value()) == (7, 2), "it begins with what waits"
    assert "Version 2</a> by dora" in shown.content.decode()


def test_nobody_approves_his_own_version_in_the_admin(admin_page, careful, rule, cast):
    admin_page.post(reverse(CHANGE, args=[rule.pk]), form_of(RULE, expected_version="1"))
    version = RuleVersion.objects.get(rule=rule, version=2)
    assert "another person" in decide(admin_page, version, "approve")
    version.refresh_from_db()
    assert version.approval == "waiting"
    assert "never takes effect" in decide(admin_page, version, "reject"), "but he may withdraw it"


def test_another_person_approves_a_rules_version(admin_page, careful, rule, cast):
    update_rule(rule_id=rule.pk, rule=RULE | {"priority": 3}, actor=cast.alice)
    version = RuleVersion.objects.get(rule=rule, version=2)
    address = reverse("admin:rules_ruleversion_approve", args=[version.pk])
    admin_page.get(address)
    version.refresh_from_db()
    assert version.approval == "waiting", "a link must not change anything"
    assert "Approved" in decide(admin_page, version, "approve")
    rule.refresh_from_db()
    assert (rule.version, rule.priority) == (2, 3)
    assert "approved already" in decide(admin_page, version, "reject")


def test_limits_wait_in_the_admin_too(admin_page, careful, cast):
    page = admin_page.post(
        reverse("admin:portfolios_limitset_add"),
        {"scope": "portfolio", "portfolio": careful.pk, "max_order_value": "2000"},
        follow=True,
    )
    assert "waits for another person" in page.content.decode()
    mine = LimitSet.objects.get(scope_id=careful.pk)
    assert "another person" in decide(admin_page, mine, "approve")
    hers = set_limits(
        scope="portfolio", scope_id=careful.pk, values={"max_order_value": Decimal(9)}, actor=cast.alice
    )
    assert "in force" in decide(admin_page, hers, "approve")
    hers.refresh_from_db()
    assert (hers.approval, hers.decided_by) == ("approved", cast.dora)
    assert "already" in decide(admin_page, hers, "reject")


def test_staff_with_every_permission_but_no_role_do_not_decide(client, careful, rule, cast):
    update_rule(rule_id=rule.pk, rule=RULE | {"priority": 3}, actor=cast.alice)
    cast.charlie.is_staff = True
    cast.charlie.save()
    cast.charlie.user_permissions.set(Permission.objects.all())
    client.force_login(cast.charlie)
    version = RuleVersion.objects.get(rule=rule, version=2)
    assert "not yours to see" in decide(client, version, "approve")
    version.refresh_from_db()
    assert version.approval == "waiting"


def test_four_eyes_are_asked_for_and_ended(admin_page, client, cast):
    address = reverse("admin:portfolios_portfolio_ask_for_four_eyes", args=[cast.portfolio.pk])
    admin_page.post(address, SENT)
    assert Portfolio.objects.get(pk=cast.portfolio.pk).four_eyes
    admin_page.post(reverse("admin:portfolios_portfolio_end_four_eyes", args=[cast.portfolio.pk]), SENT)
    assert not Portfolio.objects.get(pk=cast.portfolio.pk).four_eyes


def test_looser_lists_wait_in_the_admin_too(admin_page, careful, cast):
    make_instrument("AAA")
    lists = {"portfolio_id": careful.pk, "permitted": [], "restricted": {"AAA": "Compliance"}}
    set_instrument_permissions(**lists, actor=cast.alice)
    form = {"scope": "portfolio", "portfolio": careful.pk}
    page = admin_page.post(reverse("admin:portfolios_instrumentpermission_add"), form, follow=True)
    assert "waits for another person" in page.content.decode()
    mine = pending_permissions().get()
    assert "another person" in decide(admin_page, mine, "approve")
    assert "never take effect" in decide(admin_page, mine, "reject")
    hers = set_instrument_permissions(**(lists | {"restricted": {}}), actor=cast.alice)
    assert "in force" in decide(admin_page, hers, "approve")
    assert permission_lists(careful.pk) == {"permitted": [], "restricted": {}}
