"""Portfolios, members, money and limits: every change is a service's, and is journalled."""

from decimal import Decimal

import pytest
from django.urls import reverse, reverse_lazy

from journal.core.events import PLATFORM_STREAM
from journal.models import Entry
from portfolios.models import BrokerAccount, InstrumentPermission, LedgerTransfer, LimitSet, Member, Portfolio
from portfolios.selectors import permission_lists
from portfolios.services.limits import set_limits
from tests.integration.admin.conftest import make_instrument

pytestmark = pytest.mark.integration
SENT = {"_form_submitted": "True"}
NO_MEMBERS = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}


def last_kind(stream):
    return Entry.objects.filter(stream_id=stream).order_by("-seq").values_list("kind", flat=True)[0]


def change_url(portfolio):
    return reverse("admin:portfolios_portfolio_change", args=[portfolio.pk])


def test_a_new_portfolio_has_an_owner_and_a_paper_account(admin_page, cast):
    page = admin_page.post(
        reverse("admin:portfolios_portfolio_add"),
        {"name": "Income", "base_currency": "usd", "owner": cast.alice.pk},
    )
    portfolio = Portfolio.objects.get(name="Income")
    assert page.status_code == 302
    assert portfolio.base_currency == "USD"
    assert Member.objects.get(portfolio=portfolio).user == cast.alice
    assert not BrokerAccount.objects.get(portfolio=portfolio).is_live
    assert last_kind(portfolio.pk) == "portfolio.created"


def test_members_are_let_in_and_change_their_role(admin_page, cast):
    first, second = Member.objects.filter(portfolio=cast.portfolio).order_by("user__username")
    form = {
        "memberships-TOTAL_FORMS": "3", "memberships-INITIAL_FORMS": "2",
        "memberships-0-id": first.pk, "memberships-0-portfolio": cast.portfolio.pk, "memberships-0-role": "owner",
        "memberships-1-id": second.pk, "memberships-1-portfolio": cast.portfolio.pk, "memberships-1-role": "viewer",
        "memberships-2-portfolio": cast.portfolio.pk, "memberships-2-user": cast.charlie.pk,
        "memberships-2-role": "trader",
    }  # fmt: skip
    assert admin_page.post(change_url(cast.portfolio), form).status_code == 302
    roles = dict(Member.objects.filter(portfolio=cast.portfolio).values_list("user__username", "role"))
    assert roles == {"alice": "owner", "bob": "viewer", "charlie": "trader"}
    set_twice = Entry.objects.filter(
        stream_id=cast.portfolio.pk, kind="member.set", payload__contains='"dora"'
    )
    assert set_twice.count() == 2, "only what changed is written"


def test_a_member_is_removed_but_never_the_last_owner(admin_page, cast):
    owner, other = Member.objects.filter(portfolio=cast.portfolio).order_by("user__username")
    form = {
        "memberships-TOTAL_FORMS": "2", "memberships-INITIAL_FORMS": "2",
        "memberships-0-id": owner.pk, "memberships-0-portfolio": cast.portfolio.pk, "memberships-0-role": owner.role,
        "memberships-1-id": other.pk, "memberships-1-portfolio": cast.portfolio.pk, "memberships-1-role": other.role,
    }  # fmt: skip
    refused = admin_page.post(change_url(cast.portfolio), form | {"memberships-0-DELETE": "on"})
    assert refused.status_code == 200 and "last owner" in refused.content.decode()
    assert (
        admin_page.post(change_url(cast.portfolio), form | {"memberships-1-DELETE": "on"}).status_code == 302
    )
    assert list(Member.objects.filter(portfolio=cast.portfolio)) == [owner]
    assert last_kind(cast.portfolio.pk) == "member.removed"


def test_a_portfolio_itself_cannot_be_edited(admin_page, cast):
    admin_page.post(change_url(cast.portfolio), NO_MEMBERS | {"name": "Mine", "cash": "1000000"})
    cast.portfolio.refresh_from_db()
    assert (cast.portfolio.name, cast.portfolio.cash) == ("Growth", 0)


def test_money_moves_through_the_ledger(admin_page, cast):
    for verb, amount in (("deposit_cash", "1000.50"), ("withdraw_cash", "200")):
        address = reverse(f"admin:portfolios_portfolio_{verb}", args=[cast.portfolio.pk])
        assert "Amount" in admin_page.get(address).content.decode()
        answer = admin_page.post(address, SENT | {"amount": amount, "memo": "by hand"})
        assert answer["HX-Redirect"] == change_url(cast.portfolio)
    cast.portfolio.refresh_from_db()
    assert cast.portfolio.cash == Decimal("800.5")
    assert LedgerTransfer.objects.filter(portfolio=cast.portfolio, memo="by hand").count() == 2
    assert last_kind(cast.portfolio.pk) == "cash.withdrawn"


@pytest.mark.parametrize("amount", ["0", "-5", "0.001", "NaN", "1e20", ""])
def test_an_amount_that_is_none_is_refused_in_the_dialog(amount, admin_page, cast):
    address = reverse("admin:portfolios_portfolio_deposit_cash", args=[cast.portfolio.pk])
    answer = admin_page.post(address, SENT | {"amount": amount})
    assert "HX-Redirect" not in answer
    assert not LedgerTransfer.objects.exists()


def test_more_than_the_free_cash_is_refused_with_the_reason(admin_page, cast):
    address = reverse("admin:portfolios_portfolio_withdraw_cash", args=[cast.portfolio.pk])
    answer = admin_page.post(address, SENT | {"amount": "5"})
    assert "more than the free cash" in admin_page.get(answer["HX-Redirect"]).content.decode()
    assert not LedgerTransfer.objects.exists()


def test_a_dialog_for_what_does_not_exist_is_404(admin_page, cast):
    for unknown in ("nonsense", "6f0a3ad2-8f1b-4b3e-9d0e-0b2f0a3ad28f"):
        address = reverse("admin:portfolios_portfolio_deposit_cash", args=[unknown])
        assert admin_page.post(address, SENT | {"amount": "5"}).status_code == 404


def test_limits_start_from_those_in_force_and_become_a_new_version(admin_page, cast):
    values = {"max_order_value": Decimal("2500.5"), "max_daily_trades": Decimal(7)}
    set_limits(scope="portfolio", scope_id=cast.portfolio.pk, values=values, actor=cast.alice)
    opened = admin_page.get(
        reverse("admin:portfolios_portfolio_set_limits", args=[cast.portfolio.pk]), follow=True
    )
    initial = opened.context["adminform"].form.initial
    assert (initial["max_order_value"], initial["max_daily_trades"]) == ("2500.5", "7")
    page = admin_page.post(
        reverse("admin:portfolios_limitset_add"),
        {"scope": "portfolio", "portfolio": cast.portfolio.pk, "max_order_value": "2000"},
    )
    assert page.status_code == 302
    newest = LimitSet.objects.filter(scope_id=cast.portfolio.pk).order_by("-version").first()
    assert (newest.version, newest.max_order_value, newest.max_daily_trades) == (2, 2000, None)
    assert newest.created_by == cast.dora
    assert last_kind(cast.portfolio.pk) == "limits.set"


def test_the_platforms_limits_are_journalled_on_the_platforms_stream(admin_page, cast):
    page = admin_page.post(
        reverse("admin:portfolios_limitset_add"), {"scope": "platform", "max_order_value": "5"}
    )
    assert page.status_code == 302
    assert last_kind(PLATFORM_STREAM) == "limits.set"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scope": "portfolio"}, "portfolio"),  # of which portfolio?
        ({"scope": "account"}, "account"),
        ({"scope": "instrument"}, "instrument"),
        ({"scope": "session"}, "scope"),  # set on the session's page
        ({"scope": "platform", "max_order_value": "-1"}, "max_order_value"),  # the service refuses it
        ({"scope": "platform", "max_order_value": "many"}, "max_order_value"),
    ],
)
def test_limits_that_are_none_are_refused_at_the_field(fields, field, admin_page, cast):
    before = LimitSet.objects.count()
    page = admin_page.post(reverse("admin:portfolios_limitset_add"), fields)
    assert page.status_code == 200
    assert list(page.context["adminform"].form.errors) == [field]
    assert LimitSet.objects.count() == before


def test_limits_that_name_two_things_are_refused(admin_page, cast):
    both = {"scope": "platform", "portfolio": cast.portfolio.pk, "max_order_value": "5"}
    page = admin_page.post(reverse("admin:portfolios_limitset_add"), both)
    (error,) = page.context["adminform"].form.errors["scope"]
    assert error == "The portfolio is chosen, too: take that scope, or clear it there first."
    assert LimitSet.objects.filter(max_order_value=5).count() == 0


@pytest.mark.parametrize("scope", ["account", "portfolio", "instrument"])
def test_limits_are_set_on_each_scope_and_opened_again_from_a_version(scope, admin_page, cast):
    instrument = make_instrument("TEST")
    target = {"account": cast.portfolio.broker_account, "portfolio": cast.portfolio, "instrument": instrument}
    form = {"scope": scope, scope: target[scope].pk, "max_order_value": "700"}
    assert admin_page.post(reverse("admin:portfolios_limitset_add"), form).status_code == 302
    row = LimitSet.objects.get(scope=scope)
    assert (row.version, row.max_order_value, row.created_by) == (1, 700, cast.dora)
    assert (row.instrument, row.scope_id) == (
        (instrument, None) if scope == "instrument" else (None, target[scope].pk)
    )
    assert last_kind(PLATFORM_STREAM if scope == "instrument" else cast.portfolio.pk) == "limits.set"
    listed = admin_page.get(reverse("admin:portfolios_limitset_changelist"), {"scope__exact": scope})
    assert ("TEST" if scope == "instrument" else "Growth") in listed.content.decode()
    opened = admin_page.get(reverse("admin:portfolios_limitset_new_version", args=[row.pk]), follow=True)
    initial = opened.context["adminform"].form.initial
    assert (initial["scope"], initial[scope], initial["max_order_value"]) == (scope, target[scope].pk, "700")


def test_a_sessions_limits_are_set_on_its_page(admin_page, cast, trading_session):
    set_limits(
        scope="session", scope_id=trading_session.pk, values={"max_order_value": Decimal(5)}, actor=cast.alice,
        portfolio_id=cast.portfolio.pk,
    )  # fmt: skip
    row = LimitSet.objects.get(scope="session")
    answer = admin_page.get(reverse("admin:portfolios_limitset_new_version", args=[row.pk]))
    page = reverse("admin:trading_sessions_tradingsession_change", args=[trading_session.pk])
    assert answer["Location"] == page


@pytest.mark.parametrize(
    "address", ["instrument=x", "instrument=99999999999999999999", "account=7", "portfolio=x"]
)
def test_an_address_that_names_nothing_opens_the_platforms_limits(address, admin_page, cast):
    page = admin_page.get(f"{reverse('admin:portfolios_limitset_add')}?{address}")
    assert page.context["adminform"].form.initial["scope"] == "platform"


# --- instruments that may be bought ------------------------------------------------------------------

LISTS = reverse_lazy("admin:portfolios_instrumentpermission_add")


def test_the_lists_are_typed_as_text_and_opened_again(admin_page, cast):
    for symbol in ("AAA", "BBB", "CCC"):
        make_instrument(symbol)
    both = {"scope": "platform", "portfolio": cast.portfolio.pk, "permitted": "AAA"}
    assert list(admin_page.post(LISTS, both).context["adminform"].form.errors) == ["scope"]
    form = {
        "scope": "portfolio", "portfolio": cast.portfolio.pk, "permitted": "AAA,\n BBB",
        "restricted": "\nCCC: Compliance: see memo\n",
    }  # fmt: skip
    page = admin_page.post(LISTS, form)
    assert page["Location"] == reverse("admin:portfolios_instrumentpermission_changelist")
    assert permission_lists(cast.portfolio.pk) == {
        "permitted": ["AAA", "BBB"], "restricted": {"CCC": "Compliance: see memo"},
    }  # fmt: skip
    assert last_kind(cast.portfolio.pk) == "permissions.set"
    row = InstrumentPermission.objects.get(instrument__symbol="CCC")
    assert row.created_by == cast.dora
    shown = admin_page.get(reverse("admin:portfolios_instrumentpermission_change", args=[row.pk]))
    assert shown.status_code == 200
    opened = admin_page.get(
        reverse("admin:portfolios_instrumentpermission_edit_lists", args=[row.pk]), follow=True
    )
    initial = opened.context["adminform"].form.initial
    assert (initial["permitted"], initial["restricted"]) == ("AAA BBB", "CCC: Compliance: see memo")
    assert admin_page.post(LISTS, {"scope": "portfolio", "portfolio": cast.portfolio.pk}).status_code == 302
    assert permission_lists(cast.portfolio.pk) == {"permitted": [], "restricted": {}}


def test_the_platforms_lists_hold_everywhere(admin_page, cast):
    make_instrument("AAA")
    assert admin_page.post(LISTS, {"scope": "platform", "restricted": "AAA"}).status_code == 302
    assert permission_lists(None) == {"permitted": [], "restricted": {"AAA": ""}}
    assert last_kind(PLATFORM_STREAM) == "permissions.set"
    listed = admin_page.get(reverse("admin:portfolios_instrumentpermission_changelist"))
    assert "everything" in listed.content.decode()


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"scope": "portfolio"}, "portfolio", "Choose the portfolio"),
        ({"scope": "platform", "permitted": "AAA AAB"}, "permitted", "permitted[1]: There is no instrument"),
        ({"scope": "platform", "restricted": "AAB: why"}, "restricted", "Did you mean AAA?"),
        ({"scope": "platform", "restricted": "AAA: why\nAAA: again"}, "restricted", "stands twice"),
        ({"scope": "platform", "restricted": ": why"}, "restricted", "Write the symbol"),
        ({"scope": "platform", "permitted": "AAA", "restricted": "AAA"}, "permitted", "keep it in one"),
    ],
)
def test_lists_that_are_none_are_refused_at_the_field(fields, field, told, admin_page, cast):
    make_instrument("AAA")
    page = admin_page.post(LISTS, fields)
    assert page.status_code == 200
    errors = page.context["adminform"].form.errors
    assert list(errors) == [field] and told in errors[field][0]
    assert not InstrumentPermission.objects.exists()
