"""A checker that cannot fail is a defect: each part of the books is corrupted once, and the check finds it."""

import contextlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from market.services.corporate_actions import NewCorporateAction, record
from portfolios.models import BrokerAccount, LedgerTransfer, Portfolio, Position
from portfolios.services.corporate_actions import apply_corporate_action
from portfolios.services.corrections import reverse_entry
from portfolios.services.portfolios import deposit
from tests.harness.databases import CommittedDatabase
from tests.harness.trading import Desk, Market
from trading.models import Execution
from trading.services.corrections import reverse_execution
from trading.services.verification import CHAINS, CHECKS, REPLAY, book_differences

pytestmark = pytest.mark.integration

OTHER = (
    "(SELECT id FROM portfolios_brokeraccount WHERE portfolio_id = '00000000-0000-0000-0000-000000000009')"
)
ANOTHER_ACCOUNT = (
    "INSERT INTO portfolios_portfolio (id, name, base_currency, cash, reserved_cash, realised_pnl, created_at) "
    "VALUES ('00000000-0000-0000-0000-000000000009', 'Another', 'USD', 0, 0, 0, now()); "
    "INSERT INTO portfolios_brokeraccount (id, portfolio_id, broker, is_live, account_number, fee_bps, fee_minimum, "
    "slippage_bps, created_at) "
    "VALUES (gen_random_uuid(), '00000000-0000-0000-0000-000000000009', 'paper', false, '', 0, 0, 0, now()); "
)
WITHOUT_CONSTRAINT = "ALTER TABLE {} DROP CONSTRAINT {}; "
CORRUPTIONS = {
    "cash = Σ ledger": "UPDATE portfolios_portfolio SET cash = cash + 0.01",
    "paid in = Σ ledger": "UPDATE portfolios_portfolio SET paid_in = paid_in - 0.01",
    "position = Σ ledger": "UPDATE ledger_transfers SET amount = amount + 1 WHERE instrument_id IS NOT NULL",
    "position = Σ executions and splits": "UPDATE portfolios_position SET quantity = quantity + 1",
    "filled = Σ executions": "UPDATE trading_execution SET quantity = quantity - 1",
    "one fill in the ledger for each execution": "DELETE FROM ledger_transfers WHERE kind = 'fill'",
    "cash of a fill = quantity × price": (
        "UPDATE ledger_transfers SET amount = amount + 0.00000001 WHERE kind = 'fill' AND instrument_id IS NULL"
    ),
    "fee in the ledger = fee of the execution": "DELETE FROM ledger_transfers WHERE kind = 'fee'",
    "fills and fees in the ledger belong to executions": "UPDATE ledger_transfers SET execution_id = 'unknown'",
    "trade fees = Σ executions": "UPDATE auto_trades SET fees = fees + 0.00000001",
    "trade profit = Σ executions": "UPDATE auto_trades SET realised_pnl = realised_pnl - 1",
    "executed price = mean of executions": (
        "UPDATE auto_trades SET executed_price = executed_price + 0.000001"
    ),
    "portfolio profit = Σ executions, splits and income": (
        "UPDATE portfolios_portfolio SET realised_pnl = realised_pnl + 1"
    ),
    "position profit = Σ executions and splits": "UPDATE portfolios_position SET realised_pnl = realised_pnl + 1",
    "cash is not negative": "UPDATE portfolios_portfolio SET cash = -0.01",
    "reserved cash = Σ reservations": "UPDATE portfolios_portfolio SET reserved_cash = reserved_cash + 1",
    "reserved quantity = Σ reservations": "UPDATE portfolios_position SET reserved_quantity = 1 WHERE quantity > 0",
    "reservations belong to open trades": (
        "INSERT INTO portfolios_reservation (owner_id, portfolio_id, instrument_id, cash, quantity, created_at) "
        "SELECT gen_random_uuid(), portfolio_id, instrument_id, 0, 0, now() FROM auto_trades"
    ),
    "open trades have reservations": (
        "UPDATE auto_trades SET status = 'accepted', filled_quantity = 0, executed_price = NULL"
    ),
    "session totals = Σ trades": "UPDATE trading_sessions SET total_pnl = total_pnl + 1",
    "a reversal mirrors what it reverses": (
        "UPDATE ledger_transfers SET amount = amount + 1 WHERE kind = 'reversal'"
    ),
    "an entry is reversed whole": (
        "DELETE FROM ledger_transfers WHERE id = (SELECT max(id) FROM ledger_transfers WHERE kind = 'reversal')"
    ),
    "executions know of their reversals": "UPDATE trading_execution SET reversed_at = NULL, reversal_pnl = 0",
    "dividends pay quantity × amount": "UPDATE ledger_transfers SET amount = amount + 0.01 WHERE kind = 'dividend'",
    "splits give new for old": "UPDATE ledger_transfers SET amount = amount + 0.00000001 WHERE kind = 'split'",
    "cash in lieu = fraction × price": (
        "UPDATE ledger_transfers SET amount = amount + 0.01 WHERE kind = 'cash_in_lieu' AND instrument_id IS NULL"
    ),
    "income and splits belong to corporate actions": (
        "UPDATE portfolios_corporateactionbooking SET entry_id = gen_random_uuid()"
    ),
    "corporate actions know of their reversals": (
        "UPDATE portfolios_corporateactionbooking SET reversed_at = now()"
    ),
    "entitlements are what was held": (
        "UPDATE portfolios_corporateactionbooking SET quantity = quantity + 1 WHERE reversed_at IS NULL"
    ),
    "nobody is left out of a corporate action": (
        "UPDATE portfolios_corporateactionsettlement SET finished_at = now(); "
        "DELETE FROM portfolios_corporateactionbooking"
    ),
    "an intent has one client order id": (
        WITHOUT_CONSTRAINT.format("auto_trades", "trade_client_order_id_once")
        + "UPDATE auto_trades SET client_order_id = 'the same'"
    ),
    "one trade per session, slot and instrument": (
        "DROP INDEX one_trade_per_session_slot_instrument; UPDATE auto_trades SET slot = 1, instrument_id = "
        "(SELECT min(instrument_id) FROM auto_trades)"
    ),
    "one evaluation per slice and slot": (
        WITHOUT_CONSTRAINT.format("trading_sessions_evaluationrun", "evaluation_run_once")
        + "UPDATE trading_sessions_evaluationrun SET slot = 1"
    ),
    "an execution is booked once": (
        WITHOUT_CONSTRAINT.format("trading_execution", "execution_once")
        + "UPDATE trading_execution SET execution_id = 'the same'"
    ),
    "the status of a trade is known and fits its fills": (
        WITHOUT_CONSTRAINT.format("auto_trades", "trade_status_known")
        + "UPDATE auto_trades SET status = 'lost'"
    ),
    "an execution is of its trade's account": (
        ANOTHER_ACCOUNT + "UPDATE trading_execution SET account_id = " + OTHER
    ),
    "a trade is of its portfolio's account": ANOTHER_ACCOUNT + "UPDATE auto_trades SET account_id = " + OTHER,
    "what works at a broker has the broker's id": (
        "UPDATE portfolios_brokeraccount SET broker = 'alpaca'; "
        "UPDATE auto_trades SET status = 'accepted', filled_quantity = 0, executed_price = NULL"
    ),
    "a broker's order is one trade's": "UPDATE auto_trades SET broker_order_id = 'the same'",
    "what is in doubt stays reserved": (
        "UPDATE auto_trades SET status = 'unknown', filled_quantity = 0, executed_price = NULL"
    ),
    "one entry in the ledger for each activity of a broker": (
        "INSERT INTO trading_brokeractivity (account_id, activity_id, kind, amount, entry_id) "
        "SELECT id, 'a fee', 'fee', -1, gen_random_uuid() FROM portfolios_brokeraccount LIMIT 1"
    ),
    "what a broker charges and pays is one of its activities": (
        "INSERT INTO ledger_transfers (entry_id, portfolio_id, kind, debit_account, credit_account, asset, amount, "
        "execution_id, memo) SELECT gen_random_uuid(), id, 'broker_fee', 'fees', 'cash', 'USD', 1, '', '' "
        "FROM portfolios_portfolio LIMIT 1"
    ),
    "an open break halts its account": (
        "INSERT INTO trading_reconciliationbreak (id, account_id, kind, key, ours, theirs, detail, explanation) "
        "SELECT gen_random_uuid(), id, 'cash', 'USD', '{}', '{}', 'more', '' FROM portfolios_brokeraccount"
    ),
}
# What the replay alone finds: what depends on the order of the entries. Statement -> what is named.
OF_THE_REPLAY = {
    "UPDATE portfolios_position SET average_cost = average_cost + 0.00000001": "AAA: average cost is",
    "UPDATE portfolios_position SET cost = cost + 0.00000001 WHERE quantity > 0": "AAA: cost is",
    "UPDATE portfolios_position SET opened_at = opened_at + interval '1 second'": "AAA: opening is",
    "UPDATE portfolios_position SET realised_pnl = realised_pnl + 1": "AAA: realised profit is",
    "DELETE FROM portfolios_positionmark; DELETE FROM portfolios_position": "quantity is 0, the entries say",
    "UPDATE trading_execution SET realised_pnl = 1 WHERE reversed_at IS NULL": "recorded as realising 1.",
    "UPDATE trading_execution SET reversal_pnl = 7 WHERE reversed_at IS NOT NULL": "recorded as realising 7.",
    "UPDATE portfolios_corporateactionbooking SET realised_pnl = 5": "recorded as realising 5.",
    "UPDATE ledger_transfers SET credit_account = 'income' WHERE kind = 'deposit'": "realised profit is",
    "UPDATE ledger_transfers SET credit_account = 'capital' WHERE kind = 'dividend'": "realised profit is",
    "DELETE FROM ledger_transfers WHERE kind = 'dividend'": "cash is",
    "DELETE FROM ledger_transfers WHERE kind = 'reversal'": "cash is",
    "UPDATE ledger_transfers SET instrument_id = NULL WHERE kind = 'split'": "AAA: quantity is",
}


@contextlib.contextmanager
def corrupted(database: CommittedDatabase, statement: str) -> Iterator[None]:
    """The owner's doing, seen by Django's connection, and rolled back."""
    owner, settings = urlsplit(database.owner_url), connection.settings_dict
    before = {name: settings[name] for name in ("USER", "PASSWORD")}
    connection.close()
    settings.update(USER=unquote(owner.username or ""), PASSWORD=unquote(owner.password or ""))
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(statement)
            yield
            transaction.set_rollback(True)
    finally:
        connection.close()
        settings.update(before)


@pytest.fixture
def full(desk: Desk, market: Market) -> Desk:
    """Books with everything in them: fills, a dividend, a split with cash in lieu, a reversed fill and deposit."""
    market.advise("AAA")
    desk.step()
    market.advise("AAA", "HOLD", 0.5)
    market.advise("BBB")
    desk.step()
    facts: list[dict[str, Any]] = [
        {"kind": "dividend", "amount": Decimal("0.25")},
        {"kind": "split", "new_units": 3, "old_units": 4, "cash_in_lieu_price": Decimal("133.33")},
    ]
    for fact in facts:
        ex_at = market.as_of
        action, _ = record(
            NewCorporateAction(external_id=fact["kind"], symbol="AAA", ex_at=ex_at, **fact), actor=None
        )
        assert apply_corporate_action(action.id).booked == 1
        market.tick()
    deposit(portfolio_id=desk.portfolio.id, amount=Decimal(5), actor=None)
    mistake = LedgerTransfer.objects.filter(kind="deposit").latest("id")
    reverse_entry(portfolio_id=desk.portfolio.id, entry_id=mistake.entry_id, actor=None, reason="a mistake")
    bought = LedgerTransfer.objects.filter(kind="fill", asset="BBB").get()
    reverse_execution(
        portfolio_id=desk.portfolio.id, entry_id=bought.entry_id, actor=None, reason="busted by the exchange"
    )
    return desk


def test_every_check_has_its_corruption() -> None:
    assert set(CORRUPTIONS) == set(CHECKS)


def test_each_corruption_is_found_by_its_check(full: Desk, committed_db: CommittedDatabase) -> None:
    assert book_differences() == []
    missed = []
    for check, statement in CORRUPTIONS.items():
        with corrupted(committed_db, statement):
            if not any(line.startswith(f"{check}: ") for line in book_differences()):
                missed.append(check)
    assert missed == []
    assert book_differences() == []


def test_what_depends_on_the_order_of_the_entries_is_replayed(
    full: Desk, committed_db: CommittedDatabase
) -> None:
    missed = {}
    for statement, named in OF_THE_REPLAY.items():
        with corrupted(committed_db, statement):
            lines = [line for line in book_differences() if line.startswith(f"{REPLAY}: ")]
        if not any(named in line and str(full.portfolio.id) in line for line in lines):
            missed[statement] = lines
    assert missed == {}


def test_cash_that_moved_the_wrong_way_is_no_identity(full: Desk, committed_db: CommittedDatabase) -> None:
    turned = (
        "UPDATE ledger_transfers SET debit_account = credit_account, credit_account = debit_account "
        "WHERE kind = 'fill' AND instrument_id IS NULL"
    )
    with corrupted(committed_db, turned):
        assert any("too much" in line for line in book_differences())


def test_an_edited_event_breaks_the_chain(full: Desk, committed_db: CommittedDatabase) -> None:
    edited = "UPDATE journal_entries SET payload = '{}' WHERE kind = 'dividend.booked'"
    with corrupted(committed_db, edited):
        (line,) = book_differences()
    assert line.startswith(f"{CHAINS}: stream {full.portfolio.id}")


def test_the_accounting_identity(full: Desk) -> None:
    """cash + Σ cost = paid in + realised profit, to the last place."""
    portfolio = Portfolio.objects.get(pk=full.portfolio.id)
    cost = sum(row.cost for row in Position.objects.filter(portfolio=portfolio))
    assert portfolio.cash + cost == 100_000 + portfolio.realised_pnl


def test_the_command_names_what_differs(full: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("verify_books")
    Position.objects.filter(quantity__gt=0).update(cost=1)
    with pytest.raises(CommandError, match="1 differences"):
        call_command("verify_books")
    told = capsys.readouterr().out
    assert "the books balance" in told and "AAA: cost is 1.00000000, the entries say" in told


def test_portfolios_beyond_one_chunk_are_verified(
    full: Desk, monkeypatch: pytest.MonkeyPatch, committed_db: CommittedDatabase
) -> None:
    monkeypatch.setattr("trading.services.replaying.CHUNK_PORTFOLIOS", 1)
    monkeypatch.setattr("trading.services.replaying.FETCH_ROWS", 1)
    others = [Desk.open(full.market, owner=f"owner-{number}") for number in range(2)]
    assert book_differences() == []
    with corrupted(committed_db, "UPDATE portfolios_portfolio SET realised_pnl = realised_pnl + 1"):
        lines = [line for line in book_differences() if line.startswith(REPLAY)]
    assert len(lines) == 1 + len(others)
    assert Execution.objects.filter(reversed_at__isnull=False).count() == 1


def test_a_fill_booked_on_the_wrong_side_is_found(
    desk: Desk, market: Market, committed_db: CommittedDatabase
) -> None:
    market.advise("AAA")
    desk.step()
    with committed_db.as_owner() as owner:
        owner.execute(
            "UPDATE ledger_transfers SET debit_account = credit_account, credit_account = debit_account "
            "WHERE kind = 'fill' AND instrument_id IS NULL"
        )
    assert any(line.startswith("cash of a fill = quantity × price: ") for line in book_differences())


def test_fills_without_a_fee_and_sells_are_right(desk: Desk, market: Market) -> None:
    BrokerAccount.objects.update(fee_bps=0, fee_minimum=0)
    market.advise("AAA")
    desk.step()
    desk.step(AAA=90)
    assert [trade.trade_type for trade in desk.trades()] == ["buy", "sell"]
    assert not LedgerTransfer.objects.filter(kind="fee").exists()
    assert book_differences() == []
