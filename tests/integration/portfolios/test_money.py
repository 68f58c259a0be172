"""Money in and out, people, and limits: written once, journalled, refused with a reason."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection, transaction

from foundation.errors import Conflict, Forbidden, InvalidInput, NotFound
from journal.core.events import PLATFORM_STREAM
from journal.models import Entry
from portfolios.core.access import Action
from portfolios.models import LedgerTransfer, LimitSet, Portfolio
from portfolios.selectors import (
    actionable_streams,
    effective_limits,
    role_of,
    visible_portfolio,
    visible_portfolios,
    visible_streams_of,
)
from portfolios.services.limits import PLATFORM_DEFAULTS, ensure_platform_limits, set_limits
from portfolios.services.portfolios import (
    create_portfolio,
    deposit,
    remove_member,
    set_member,
    withdraw,
)

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
D = Decimal


@pytest.fixture
def alice() -> Any:
    return get_user_model().objects.create(username="alice")


@pytest.fixture
def charlie() -> Any:
    return get_user_model().objects.create(username="charlie")


@pytest.fixture
def portfolio(alice: Any) -> Portfolio:
    made = create_portfolio(name="Savings", owner=alice)
    deposit(portfolio_id=made.id, amount=D("1000.50"), actor=alice)
    return made


def test_a_deposit_is_cash_against_capital(portfolio: Portfolio) -> None:
    portfolio.refresh_from_db()
    assert portfolio.cash == D("1000.50")
    transfer = LedgerTransfer.objects.get()
    assert (transfer.debit_account, transfer.credit_account, transfer.amount) == (
        "cash",
        "capital",
        D("1000.50"),
    )
    kinds = Entry.objects.filter(stream_id=portfolio.id).order_by("seq").values_list("kind", flat=True)
    assert list(kinds) == ["portfolio.created", "cash.deposited"]


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "NaN", "Infinity", "1000000000000"])
def test_an_amount_that_is_none_is_refused(portfolio: Portfolio, alice: Any, amount: str) -> None:
    with pytest.raises(InvalidInput, match="amount"):
        deposit(portfolio_id=portfolio.id, amount=D(amount), actor=alice)
    assert LedgerTransfer.objects.count() == 1


def test_no_more_is_paid_out_than_is_free(portfolio: Portfolio, alice: Any) -> None:
    with pytest.raises(Conflict, match="free cash"):
        withdraw(portfolio_id=portfolio.id, amount=D("1000.51"), actor=alice)
    withdraw(portfolio_id=portfolio.id, amount=D("1000.50"), actor=alice)
    portfolio.refresh_from_db()
    assert portfolio.cash == 0


def test_the_ledger_cannot_be_rewritten_even_by_raw_sql(portfolio: Portfolio) -> None:
    for statement in (
        "UPDATE ledger_transfers SET amount = 1",
        "DELETE FROM ledger_transfers",
        "TRUNCATE ledger_transfers",
        f"UPDATE ledger_transfers SET memo = 'x' WHERE portfolio_id = '{portfolio.id}'",
        f"DELETE FROM ledger_transfers WHERE portfolio_id = '{portfolio.id}'",
        "TRUNCATE ledger_transfers CASCADE",
        "TRUNCATE journal_entries, ledger_transfers",
        "INSERT INTO ledger_transfers SELECT * FROM ledger_transfers ON CONFLICT (id) DO UPDATE SET amount = 1",
        "MERGE INTO ledger_transfers t USING ledger_transfers s ON s.id = t.id WHEN MATCHED THEN DELETE",
        "WITH gone AS (DELETE FROM ledger_transfers RETURNING *) SELECT * FROM gone",
        "UPDATE journal_entries SET payload = '{}'",
        "DELETE FROM journal_entries",
    ):
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            connection.cursor().execute(statement)
    assert LedgerTransfer.objects.get().amount == D("1000.50")


def test_the_ledger_cannot_be_rewritten_by_a_model_either(portfolio: Portfolio) -> None:
    row = LedgerTransfer.objects.get()
    row.amount = D(1)
    for act in (row.save, row.delete, LedgerTransfer.objects.all().delete):
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            act()
    assert LedgerTransfer.objects.get().amount == D("1000.50")


def visible_streams(user: Any) -> list[Any]:
    return list(visible_streams_of([user])[user.pk])


def test_a_stranger_finds_nothing_and_a_viewer_may_not_trade(
    portfolio: Portfolio, alice: Any, charlie: Any
) -> None:
    assert not visible_portfolios(charlie).exists() and visible_streams(charlie) == []
    with pytest.raises(NotFound):
        visible_portfolio(charlie, portfolio.id)
    set_member(portfolio=portfolio, user=charlie, role="viewer", actor=alice)
    assert visible_streams(charlie) == [portfolio.id]
    assert role_of(charlie, portfolio.id) == "viewer"
    with pytest.raises(Forbidden, match="viewer"):
        visible_portfolio(charlie, portfolio.id, action=Action.MOVE_CASH)


def test_a_member_can_be_removed_but_not_the_last_owner(
    portfolio: Portfolio, alice: Any, charlie: Any
) -> None:
    with pytest.raises(Conflict, match="last owner"):
        remove_member(portfolio=portfolio, user=alice, actor=alice)
    with pytest.raises(Conflict, match="last owner"):
        set_member(portfolio=portfolio, user=alice, role="viewer", actor=alice)
    set_member(portfolio=portfolio, user=charlie, role="owner", actor=alice)
    remove_member(portfolio=portfolio, user=alice, actor=charlie)
    assert visible_streams(alice) == [] and visible_streams(charlie) == [portfolio.id]
    assert Entry.objects.filter(stream_id=portfolio.id).latest("seq").kind == "member.removed"
    with pytest.raises(NotFound):
        remove_member(portfolio=portfolio, user=alice, actor=charlie)


def test_an_inactive_user_sees_nothing(portfolio: Portfolio, alice: Any) -> None:
    alice.is_active = False
    assert not visible_portfolios(alice).exists() and visible_streams(alice) == []


def test_a_role_that_does_not_exist_is_refused(portfolio: Portfolio, charlie: Any) -> None:
    with pytest.raises(InvalidInput, match="role"):
        set_member(portfolio=portfolio, user=charlie, role="king", actor=None)


def test_limits_are_versions_and_the_tightest_holds(portfolio: Portfolio, alice: Any) -> None:
    first = set_limits(
        scope="portfolio", scope_id=portfolio.id, values={"max_order_value": D(500)}, actor=alice
    )
    second = set_limits(
        scope="portfolio", scope_id=portfolio.id, values={"max_order_value": D(700)}, actor=alice
    )
    assert (first.version, second.version) == (1, 2)
    found = effective_limits({portfolio.id: None})[portfolio.id]
    assert found.get("max_order_value") == 700
    assert found.get("max_daily_trades") == PLATFORM_DEFAULTS["max_daily_trades"]
    assert found.versions == "platform:1 portfolio:2"


def test_no_portfolio_exceeds_the_platform(portfolio: Portfolio, alice: Any) -> None:
    set_limits(scope="portfolio", scope_id=portfolio.id, values={"max_order_value": D(10**9)}, actor=alice)
    found = effective_limits({portfolio.id: None})[portfolio.id]
    assert found.get("max_order_value") == PLATFORM_DEFAULTS["max_order_value"]


def test_bad_limits_are_refused_by_name(portfolio: Portfolio, alice: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        set_limits(
            scope="portfolio", scope_id=portfolio.id, values={"max_order_valu": D(1), "max_daily_trades": D(-1)},
            actor=alice,
        )  # fmt: skip
    assert {row["path"] for row in caught.value.errors or []} == {"max_order_valu", "max_daily_trades"}
    assert not LimitSet.objects.filter(scope="portfolio").exists()


@pytest.mark.parametrize("value", ["999999999999.999999999", "1e-999999999", "1000000000000", "NaN"])
def test_a_limit_that_the_column_cannot_hold_is_refused(portfolio: Portfolio, alice: Any, value: str) -> None:
    with pytest.raises(InvalidInput, match="max_order_value"):
        set_limits(
            scope="portfolio", scope_id=portfolio.id, values={"max_order_value": D(value)}, actor=alice
        )
    assert not LimitSet.objects.filter(scope="portfolio").exists()


def test_more_cash_than_the_books_hold_is_refused(portfolio: Portfolio, alice: Any) -> None:
    with pytest.raises(Conflict, match="10\\^12"):
        deposit(portfolio_id=portfolio.id, amount=D("999999998999.50"), actor=alice)
    deposit(portfolio_id=portfolio.id, amount=D("999999998999.49"), actor=alice)
    portfolio.refresh_from_db()
    assert portfolio.cash == D("999999999999.99")


def test_who_looks_does_not_act(portfolio: Portfolio, alice: Any, charlie: Any) -> None:
    set_member(portfolio=portfolio, user=charlie, role="viewer", actor=alice)
    assert (actionable_streams(alice), actionable_streams(charlie)) == ([portfolio.id], [])
    for role in ("trader", "risk_officer"):
        set_member(portfolio=portfolio, user=charlie, role=role, actor=alice)
        assert actionable_streams(charlie) == [portfolio.id]
    staff = get_user_model().objects.create(username="steffi", is_staff=True)
    assert actionable_streams(staff) == [PLATFORM_STREAM]
    superuser = get_user_model().objects.create(username="dora", is_superuser=True)
    assert set(actionable_streams(superuser)) == {portfolio.id, PLATFORM_STREAM}
    superuser.is_active = False
    assert actionable_streams(superuser) == []


def test_the_platforms_limits_are_seeded_once() -> None:
    ensure_platform_limits()
    ensure_platform_limits()
    assert LimitSet.objects.filter(scope="platform").count() == 1
