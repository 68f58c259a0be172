"""An order by hand is placed by adding a trade; what a control refuses is recorded and shown."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse, reverse_lazy

from foundation.models import RequiredCodeVersion
from portfolios.services.limits import set_limits
from portfolios.services.portfolios import deposit, set_member
from tests.harness.trading import Market
from tests.integration.admin.conftest import make_user
from trading.models import AutoTrade, Decision

pytestmark = pytest.mark.integration
ADD = reverse_lazy("admin:trading_autotrade_add")


@pytest.fixture
def form(cast):
    """A good order in Alice's portfolio, at 100."""
    market = Market()
    market.tick()
    deposit(portfolio_id=cast.portfolio.pk, amount=Decimal(100_000), actor=cast.alice)
    instrument = market.instruments[0]
    return {
        "portfolio": cast.portfolio.pk, "instrument": instrument.pk, "trade_type": "buy", "quantity": "10",
        "order_type": "market", "time_in_force": "day",
    }  # fmt: skip


def test_a_superuser_acts_as_owner(admin_page, cast, form):
    page = admin_page.post(ADD, form, follow=True)
    trade = AutoTrade.objects.get()
    assert (trade.origin, trade.actor, trade.status) == ("manual", "user:dora", "pending")
    assert "was added successfully" in page.content.decode()
    shown = admin_page.get(reverse("admin:trading_autotrade_change", args=[trade.pk])).content.decode()
    assert "user:dora" in shown


def test_an_order_of_another_type_has_its_prices(admin_page, form):
    admin_page.post(ADD, form | {"order_type": "limit", "time_in_force": "gtc", "limit_price": "90"})
    trade = AutoTrade.objects.get()
    assert (trade.order_type, trade.time_in_force, trade.limit_price) == ("limit", "gtc", 90)
    shown = admin_page.get(reverse("admin:trading_autotrade_change", args=[trade.pk])).content.decode()
    assert "gtc" in shown


def test_a_refusal_stays_and_leads_to_its_decision(admin_page, cast, form):
    set_limits(
        scope="portfolio",
        scope_id=cast.portfolio.pk,
        values={"max_order_value": Decimal(999)},
        actor=cast.bob,
    )
    page = admin_page.post(ADD, form)
    decision = Decision.objects.get()
    assert (decision.outcome, decision.code) == ("refused", "MAX_ORDER_VALUE")
    assert page["Location"] == reverse("admin:trading_decision_change", args=[decision.pk])
    text = admin_page.get(page["Location"]).content.decode()
    assert "Refused: MAX_ORDER_VALUE: value=1000 limit=999" in text and "was added" not in text
    assert not AutoTrade.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"quantity": "0"}, "quantity", "above 0"),
        ({"quantity": "1.5"}, "quantity", "The nearest below is 1."),
        ({"quantity": "ten"}, "quantity", "number"),
        ({"portfolio": ""}, "portfolio", "required"),
        ({"order_type": "limit"}, "limit_price", "needs it"),
        ({"stop_price": "90"}, "stop_price", "Leave it out"),
        ({"trade_type": "short"}, "trade_type", "valid choice"),
    ],
)
def test_an_order_that_is_none_is_refused_at_the_field(fields, field, told, admin_page, form):
    page = admin_page.post(ADD, form | fields)
    assert page.status_code == 200
    errors = page.context["adminform"].form.errors
    assert list(errors) == [field] and told in errors[field][0]
    assert not Decision.objects.exists()


def test_what_cannot_be_done_now_is_told_in_the_form(admin_page, form):
    RequiredCodeVersion.objects.create(version="another")
    page = admin_page.post(ADD, form)
    assert "may not trade" in page.context["adminform"].form.non_field_errors()[0]


def staff(*permissions):
    eve = make_user("eve", is_staff=True)
    eve.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return eve


def test_staff_need_a_trading_role_in_the_portfolio(client, cast, form):
    eve = staff("add_autotrade", "view_autotrade", "view_portfolio", "view_instrument")
    client.force_login(eve)
    page = client.post(ADD, form)
    assert Decision.objects.get().code == "NOT_PERMITTED"
    assert page["Location"] == ADD, "she may not see decisions"
    set_member(portfolio=cast.portfolio, user=eve, role="trader", actor=cast.alice)
    client.post(ADD, form)
    assert AutoTrade.objects.get().actor == "user:eve"


def test_without_djangos_permission_nobody_places_orders(client, cast, form):
    client.force_login(staff("view_autotrade"))
    assert client.post(ADD, form).status_code == 403
    assert not Decision.objects.exists()
