"""Every page of every registered model is there, and its list costs the same however long it is."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.integration.admin.conftest import make_everything, make_user

pytestmark = pytest.mark.integration

admin.autodiscover()  # else they are loaded with the URLs
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
BY_LABEL = {model._meta.label: model for model in MODELS}
OURS = [
    label
    for label in BY_LABEL
    if label.split(".")[0]
    in {"foundation", "journal", "market", "portfolios", "rules", "trading_sessions", "trading"}
]
MAY_BE_ADDED = {"portfolios.Portfolio", "portfolios.LimitSet", "rules.TradingRule", "trading_sessions.TradingSession",
                "trading_sessions.SessionPlan", "trading.Halt", "trading.AutoTrade", "portfolios.InstrumentPermission",
                "market.CorporateAction"}  # fmt: skip
# A deletion is an archiving here, a revocation there.
MAY_BE_DELETED = {"axes.AccessAttempt", "rules.TradingRule"}


def url(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def test_every_list_and_row_is_shown(admin_page, everything):
    empty, broken = [], {}
    for label, model in BY_LABEL.items():
        row = model._default_manager.order_by("-pk").first()
        if row is None:
            empty.append(label)
            continue
        for page in (url(model, "changelist"), url(model, "change", row.pk)):
            if (status := admin_page.get(page).status_code) != 200:
                broken[page] = status
    assert broken == {}
    assert empty == [], "the samples have a row of everything"


@pytest.mark.parametrize("text", ["a", "12", "6f0a3ad2-8f1b-4b3e-9d0e-0b2f0a3ad28f", "%'\"\\"])
def test_lists_search(text, admin_page, everything):
    searched = [label for label in OURS if admin.site._registry[BY_LABEL[label]].search_fields]
    found = {
        label: admin_page.get(url(BY_LABEL[label], "changelist"), {"q": text}).status_code
        for label in searched
    }
    assert set(found.values()) == {200}, found


def test_a_list_costs_the_same_however_long_it_is(admin_page, dora):
    def queries(label):
        with CaptureQueriesContext(connection) as captured:
            assert admin_page.get(url(BY_LABEL[label], "changelist")).status_code == 200
        return len(captured)

    make_everything(dora)
    warm = {label: queries(label) for label in OURS}  # content types and the like are cached from here on
    few = {label: queries(label) for label in OURS}
    for _ in range(3):
        make_everything(dora)
    many = {label: queries(label) for label in OURS}
    assert many == few
    assert max(warm.values()) < 20


def test_only_what_has_a_service_can_be_added(admin_page, everything):
    found = {label: admin_page.get(url(BY_LABEL[label], "add")).status_code for label in OURS}
    assert found == {label: 200 if label in MAY_BE_ADDED else 403 for label in OURS}


def test_nothing_is_deleted(admin_page, everything):
    answers, gone = {}, []
    for label in OURS:
        model = BY_LABEL[label]
        row, before = model._default_manager.first(), model._default_manager.count()
        answers[label] = admin_page.post(url(model, "delete", row.pk), {"post": "yes"}).status_code
        selected = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        admin_page.post(url(model, "changelist"), selected)
        if model._default_manager.count() != before:
            gone.append(label)
    assert answers == {label: 302 if label in MAY_BE_DELETED else 403 for label in OURS}
    assert gone == []


@pytest.mark.parametrize(
    "label",
    ["portfolios.LedgerTransfer", "portfolios.Position", "portfolios.LimitSet", "journal.Entry", "trading.AutoTrade",
     "trading.Execution", "trading.Decision", "trading.Halt", "rules.RuleVersion", "trading_sessions.TradingSession"],
)  # fmt: skip
def test_books_orders_and_history_cannot_be_changed(label, admin_page, everything):
    model = BY_LABEL[label]
    row = model._default_manager.first()
    before = model._default_manager.filter(pk=row.pk).values().get()
    posted = dict.fromkeys(before, "1") | {"_save": "Save"}
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
    assert (
        url(BY_LABEL["trading.AutoTrade"], "changelist")
        not in client.get(reverse("admin:index")).content.decode()
    )


def test_those_who_are_not_staff_stay_outside(client, cast):
    client.force_login(cast.alice)
    page = client.get(url(BY_LABEL["trading.AutoTrade"], "changelist"))
    assert page.status_code == 302 and reverse("admin:login") in page["Location"]
