"""Every page of every registered model is there, and its list costs the same however long it is."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.integration.admin.conftest import make_everything, make_user

pytestmark = pytest.mark.integration

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
BY_LABEL = {model._meta.label: model for model in MODELS}
OURS = [
    label
    for label in BY_LABEL
    if label.split(".")[0]
    in {"foundation", "journal", "market", "portfolios", "rules", "trading_sessions", "trading"}
]
MAY_BE_ADDED = {"portfolios.Portfolio", "portfolios.LimitSet", "rules.TradingRule", "trading_sessions.TradingSession",
                "trading.Halt"}  # fmt: skip
# A deletion is an archiving here, a revocation there.
MAY_BE_DELETED = {"rules.TradingRule"}


def url(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.mark.parametrize("label", BY_LABEL)
def test_list_and_row_are_shown(label, admin_page, everything):
    model = BY_LABEL[label]
    row = model._default_manager.order_by("-pk").first()
    if row is None:
        assert label == "django_celery_beat.SolarSchedule", "the samples have a row of everything else"
        return
    assert admin_page.get(url(model, "changelist")).status_code == 200
    assert admin_page.get(url(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize("label", OURS)
def test_lists_search(label, admin_page, everything):
    if admin.site._registry[BY_LABEL[label]].search_fields:
        for text in ("a", "12", "6f0a3ad2-8f1b-4b3e-9d0e-0b2f0a3ad28f", "%'\"\\"):
            page = admin_page.get(url(BY_LABEL[label], "changelist"), {"q": text})
            assert page.status_code == 200, f"{label}: {text}"


@pytest.mark.parametrize("label", OURS)
def test_a_list_costs_the_same_however_long_it_is(label, admin_page, dora):
    model = BY_LABEL[label]
    make_everything(dora)
    admin_page.get(url(model, "changelist"))  # content types and the like are cached from here on

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert admin_page.get(url(model, "changelist")).status_code == 200
        return len(captured)

    few = queries()
    for _ in range(3):
        make_everything(dora)
    assert queries() == few


@pytest.mark.parametrize("label", OURS)
def test_only_what_has_a_service_can_be_added(label, admin_page, everything):
    status = admin_page.get(url(BY_LABEL[label], "add")).status_code
    assert status == (200 if label in MAY_BE_ADDED else 403)


@pytest.mark.parametrize("label", OURS)
def test_nothing_is_deleted(label, admin_page, everything):
    model = BY_LABEL[label]
    row = model._default_manager.first()
    before = model._default_manager.count()
    page = admin_page.post(url(model, "delete", row.pk), {"post": "yes"})
    assert page.status_code == (302 if label in MAY_BE_DELETED else 403)
    admin_page.post(
        url(model, "changelist"), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    )
    assert model._default_manager.count() == before


@pytest.mark.parametrize(
    "label",
    ["portfolios.LedgerTransfer", "portfolios.Position", "portfolios.LimitSet", "journal.Entry", "trading.AutoTrade",
     "trading.Execution", "trading.Decision", "trading.Halt", "rules.RuleVersion", "trading_sessions.TradingSession"],
)  # fmt: skip
def test_books_orders_and_history_cannot_be_changed(label, admin_page, everything):
    model = BY_LABEL[label]
    row = model._default_manager.first()
    before = model._default_manager.filter(pk=row.pk).values().get()
    posted = {name: "1" for name in before} | {"_save": "Save"}
    assert admin_page.post(url(model, "change", row.pk), posted).status_code == 403
    assert model._default_manager.filter(pk=row.pk).values().get() == before


def test_front_page_and_sidebar(admin_page, everything):
    page = admin_page.get(reverse("admin:index"))
    text = page.content.decode()
    for label in ("trading.AutoTrade", "portfolios.LedgerTransfer", "market.Recommendation", "trading.Halt"):
        assert url(BY_LABEL[label], "changelist") in text
    assert "https://" not in text.replace("https://www.w3.org", ""), "no page loads anything from elsewhere"


def test_the_sidebar_shows_what_the_user_may_see(client, db):
    eve = make_user("eve", is_staff=True)
    client.force_login(eve)
    assert url(BY_LABEL["trading.AutoTrade"], "changelist") not in client.get(reverse("admin:index")).content.decode()


def test_those_who_are_not_staff_stay_outside(client, cast):
    client.force_login(cast.alice)
    page = client.get(url(BY_LABEL["trading.AutoTrade"], "changelist"))
    assert page.status_code == 302 and reverse("admin:login") in page["Location"]
