"""What staff do in the admin they need a role for: as docs/roles.md says, whatever Django's permissions let them open.

Each action is tried by staff who have every permission and are a member in one role, or none.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.db import transaction
from django.test import Client
from django.urls import reverse

from portfolios.models import InstrumentPermissionProposal, LimitSet, Member
from tests.harness.roles_table import MEMBERS, by_action
from tests.integration.admin.conftest import make_user
from trading.models import Halt

pytestmark = pytest.mark.integration
admin.autodiscover()

SENT = {"_form_submitted": "True"}
WORDS_OF_REFUSAL = (
    "This needs the role",
    "This is for",
    "not yours to see",
    "but not acknowledge it",
    "needs the role",
)
MONEY = {"amount": "5.00", "memo": ""}
REASON = {"reason": "a drill"}


@dataclass(frozen=True)
class Deed:
    """`page.name` of an action of the admin, and the row of the table that it is; `fields`: of its dialog."""

    page: str
    name: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page}.{self.name}"


DIALOGS = [
    Deed("portfolios_portfolio", "deposit_cash", "move_cash", MONEY),
    Deed("portfolios_portfolio", "withdraw_cash", "move_cash", MONEY),
    Deed("portfolios_portfolio", "ask_for_four_eyes", "set_four_eyes"),
    Deed("portfolios_portfolio", "end_four_eyes", "end_four_eyes"),
    Deed("portfolios_limitset", "approve", "approve"),
    Deed("portfolios_limitset", "reject", "reject"),
    Deed("portfolios_instrumentpermissionproposal", "approve", "approve"),
    Deed("portfolios_instrumentpermissionproposal", "reject", "reject"),
    Deed(
        "portfolios_brokeraccount",
        "connect_broker",
        "connect_broker",
        {"broker": "alpaca", "key_id": "PK00000000000000", "secret": "known-to-nobody-else"},
    ),
    Deed("portfolios_brokeraccount", "disconnect_broker", "connect_broker"),
    Deed("rules_tradingrule", "activate", "switch_rule"),
    Deed("rules_tradingrule", "deactivate", "switch_rule"),
    Deed("rules_ruleversion", "approve", "approve"),
    Deed("rules_ruleversion", "reject", "reject"),
    Deed("trading_sessions_tradingsession", "pause", "run_session", REASON),
    Deed("trading_sessions_tradingsession", "resume", "run_session"),
    Deed("trading_sessions_tradingsession", "stop", "run_session", REASON),
    Deed("trading_sessions_tradingsession", "tighten", "set_limits", {"max_order_value": "5"}),
    Deed("trading_autotrade", "cancel", "cancel_trade"),
    Deed("trading_autotrade", "settle", "settle_trade", {"state": "expired", "explanation": "by telephone"}),
    Deed("trading_halt", "let_go", "release_stop"),
    Deed("trading_protection", "remove", "protect"),
    Deed("trading_reconciliationbreak", "explain", "explain_break", {"explanation": "a transfer"}),
    Deed("journal_alert", "acknowledge", "acknowledge"),
    Deed("market_instrument", "tag", "keep_market", {"tags": "chips"}),
]
OF_THE_SELECTED = [
    Deed("rules_tradingrule", "archive_selected", "write_rule"),
    Deed("rules_tradingrule", "activate_selected", "switch_rule"),
    Deed("rules_tradingrule", "deactivate_selected", "switch_rule"),
    Deed("trading_sessions_tradingsession", "pause_selected", "run_session"),
    Deed("trading_sessions_tradingsession", "resume_selected", "run_session"),
    Deed("trading_sessions_tradingsession", "stop_selected", "run_session"),
    Deed("trading_sessions_sessionplan", "enable_selected", "run_session"),
    Deed("trading_sessions_sessionplan", "disable_selected", "run_session"),
    Deed("trading_autotrade", "cancel_selected", "cancel_trade"),
    Deed("trading_halt", "release_selected", "release_stop"),
    Deed("trading_protection", "remove_selected", "protect"),
    Deed("journal_alert", "acknowledge_selected", "acknowledge"),
]
# They open a form or another page (test_questions.py), or are for no row.
BESIDE = {
    "portfolios_portfolio.why", "rules_tradingrule.preview", "rules_tradingrule.why",
    "trading_sessions_tradingsession.why",
    "portfolios_portfolio.set_limits", "portfolios_limitset.new_version",
    "portfolios_instrumentpermission.edit_lists", "trading_halt.stop_everything",
}  # fmt: skip


@pytest.fixture
def people(everything: Any) -> dict[str, Any]:
    """Staff with every permission of Django: a member in each role, and one who is none."""
    permissions = list(Permission.objects.all())
    made = {}
    for column in (*MEMBERS, "staff"):
        made[column] = make_user(f"staff-{column}", is_staff=True)
        made[column].user_permissions.set(permissions)
        if column in MEMBERS:
            Member.objects.create(portfolio=everything.portfolio, user=made[column], role=column)
    return made


@contextlib.contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def row_of(page: str, everything: SimpleNamespace) -> Any:
    """The row of the samples' portfolio that the page has."""
    model = next(
        model for model in admin.site._registry if f"{model._meta.app_label}_{model._meta.model_name}" == page
    )
    rows: Any = model._default_manager.all()
    if page == "portfolios_portfolio":
        return everything.portfolio
    if page == "market_instrument":
        return everything.instrument
    if page == "portfolios_limitset":
        return LimitSet.objects.get(scope="portfolio", scope_id=everything.portfolio.pk)
    if page == "portfolios_instrumentpermissionproposal":
        return InstrumentPermissionProposal.objects.get(portfolio=everything.portfolio)
    if page == "rules_ruleversion":
        return rows.get(rule=everything.rule)
    if page == "trading_halt":
        return Halt.objects.get(scope="portfolio", scope_id=str(everything.portfolio.pk))
    if page == "trading_reconciliationbreak":
        return rows.get(account__portfolio=everything.portfolio)
    if page == "journal_alert":
        return rows.filter(stream_id=everything.portfolio.pk).first()
    return rows.get(portfolio=everything.portfolio)


def told(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def promised(action: str, column: str) -> bool:
    """They are staff, too, whatever else they are."""
    cells = by_action()[action].cells
    return "yes" in {cells[column], cells["staff"]}


def outcome(user: Any, send: Any) -> tuple[bool, list[str]]:
    """(whether he was let, what he was told)."""
    client = Client()
    client.force_login(user)
    with rolled_back():
        answer = send(client)
        texts = told(answer)
        assert answer.status_code in {200, 302} and texts, (answer.status_code, texts)
    return not any(words in text for text in texts for words in WORDS_OF_REFUSAL), texts


@pytest.mark.parametrize("deed", DIALOGS, ids=str)
def test_each_dialog_asks_for_the_role_that_is_written(
    deed: Deed, everything: Any, people: dict[str, Any], settings: Any
) -> None:
    settings.CREDENTIAL_KEYS = {}  # nobody gets as far as to speak to a broker
    row = row_of(deed.page, everything)
    place = reverse(f"admin:{deed.page}_{deed.name}", args=[row.pk])
    for column, user in people.items():
        let, texts = outcome(user, lambda client: client.post(place, SENT | deed.fields))
        assert let is promised(deed.action, column), (column, texts)


@pytest.mark.parametrize("deed", OF_THE_SELECTED, ids=str)
def test_each_list_action_asks_for_the_role_in_each_row(
    deed: Deed, everything: Any, people: dict[str, Any]
) -> None:
    row = row_of(deed.page, everything)
    place = reverse(f"admin:{deed.page}_changelist")
    chosen = {"action": deed.name, "_selected_action": [row.pk]}
    for column, user in people.items():
        let, texts = outcome(user, lambda client: client.post(place, chosen))
        assert let is promised(deed.action, column), (column, texts)


def test_every_action_of_the_admin_is_here() -> None:
    ours = {"journal", "market", "portfolios", "rules", "trading_sessions", "trading"}
    found = {
        f"{model._meta.app_label}_{model._meta.model_name}.{name}"
        for model, page in admin.site._registry.items()
        if model._meta.app_label in ours
        for name in [*page.actions, *page.actions_detail, *page.actions_list, *page.actions_row]
    }
    here = {str(deed) for deed in (*DIALOGS, *OF_THE_SELECTED)} | BESIDE
    assert found == here


FORMS = {
    # page -> (action, fields of a good form, of these rows)
    "trading_sessions_tradingsession_add": (
        "run_session",
        lambda it: {"portfolio": it.portfolio.pk, "session_name": "Autumn", "config": "{}"},
    ),
    "portfolios_limitset_add": (
        "set_limits",
        lambda it: {"scope": "portfolio", "portfolio": it.portfolio.pk, "max_order_value": "5"},
    ),
    "portfolios_instrumentpermission_add": (
        "set_permissions",
        lambda it: {"scope": "portfolio", "portfolio": it.portfolio.pk, "permitted": it.instrument.symbol},
    ),
    "trading_halt_add": (
        "stop",
        lambda it: {"scope": "portfolio", "portfolio": it.portfolio.pk, "mode": "halt", "reason": "a drill"},
    ),
    "trading_protection_change": ("protect", lambda it: {"stop_loss_percentage": "7"}),
    "portfolios_brokeraccount_change": (
        "set_paper_market",
        lambda it: {
            "fee_bps": "0", "fee_per_unit": "0.005", "fee_minimum": "1", "slippage_bps": "1.5",
            "price_impact_bps": "1000", "volume_limit_percentage": "10", "latency_ms": "250",
            "touch_fill_percentage": "50", "seed": "7",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("page", FORMS)
def test_each_form_asks_for_the_role_before_it_saves(
    page: str, everything: Any, people: dict[str, Any]
) -> None:
    action, fields = FORMS[page]
    args = [] if page.endswith("_add") else [row_of(page.removesuffix("_change"), everything).pk]
    for column, user in people.items():
        client = Client()
        client.force_login(user)
        with rolled_back():
            answer = client.post(reverse(f"admin:{page}", args=args), fields(everything))
        refused = answer.status_code == 200 and any(
            words in answer.content.decode() for words in WORDS_OF_REFUSAL
        )
        assert refused is not promised(action, column), (column, answer.status_code)


def test_the_platform_is_stopped_by_any_staff_who_may_open_the_page(people: dict[str, Any]) -> None:
    place = reverse("admin:trading_halt_stop_everything")
    for column, user in people.items():
        let, texts = outcome(user, lambda client: client.post(place, SENT | {"mode": "halt"} | REASON))
        assert let is promised("stop_platform", column), texts


def test_a_rule_is_archived_on_its_page_by_who_may_write_it(everything: Any, people: dict[str, Any]) -> None:
    place = reverse("admin:rules_tradingrule_delete", args=[everything.rule.pk])
    for column, user in people.items():
        client = Client()
        client.force_login(user)
        with rolled_back():
            status = client.post(place, {"post": "yes"}).status_code
        assert status == (302 if promised("write_rule", column) else 403), column


def test_members_are_changed_by_owners_and_superusers(
    everything: Any, people: dict[str, Any], dora: Any
) -> None:
    """A row that is there already is demoted: who may not, is told so."""
    member = Member.objects.get(portfolio=everything.portfolio, user=people["trader"])
    others = Member.objects.filter(portfolio=everything.portfolio).order_by("user__username")
    fields: dict[str, Any] = {
        "memberships-TOTAL_FORMS": others.count(), "memberships-INITIAL_FORMS": others.count(),
        "memberships-MIN_NUM_FORMS": 0, "memberships-MAX_NUM_FORMS": 1000,
    }  # fmt: skip
    for number, row in enumerate(others):
        role = "viewer" if row == member else row.role
        fields |= {f"memberships-{number}-id": row.pk, f"memberships-{number}-portfolio": row.portfolio_id,
                   f"memberships-{number}-user": row.user_id, f"memberships-{number}-role": role}  # fmt: skip
    for column, user in {**people, "superuser": dora}.items():
        client = Client()
        client.force_login(user)
        with rolled_back():
            client.post(reverse("admin:portfolios_portfolio_change", args=[everything.portfolio.pk]), fields)
            demoted = Member.objects.get(pk=member.pk).role == "viewer"
        assert demoted is (column == "superuser" or promised("manage_members", column)), column
