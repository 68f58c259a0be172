"""A checker that cannot fail is a defect: each part of the books is corrupted once, and the check finds it."""

import pytest

from portfolios.models import BrokerAccount, LedgerTransfer
from tests.harness.databases import CommittedDatabase
from tests.harness.trading import Desk, Market
from trading.services.verification import CHECKS, book_differences

pytestmark = pytest.mark.integration

CORRUPTIONS = {
    "cash = Σ ledger": "UPDATE portfolios_portfolio SET cash = cash + 0.01",
    "position = Σ ledger": "UPDATE ledger_transfers SET amount = amount + 1 WHERE instrument_id IS NOT NULL",
    "position = Σ executions": "UPDATE portfolios_position SET quantity = quantity + 1",
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
    "portfolio profit = Σ executions": "UPDATE portfolios_portfolio SET realised_pnl = realised_pnl + 1",
    "position profit = Σ executions": "UPDATE portfolios_position SET realised_pnl = realised_pnl + 1",
    "cash is not negative": "UPDATE portfolios_portfolio SET cash = -0.01",
    "reserved cash = Σ reservations": "UPDATE portfolios_portfolio SET reserved_cash = reserved_cash + 1",
    "reserved quantity = Σ reservations": "UPDATE portfolios_position SET reserved_quantity = 1",
    "reservations belong to open trades": (
        "INSERT INTO portfolios_reservation (owner_id, portfolio_id, instrument_id, cash, quantity, created_at) "
        "SELECT gen_random_uuid(), portfolio_id, instrument_id, 0, 0, now() FROM auto_trades"
    ),
    "open trades have reservations": (
        "UPDATE auto_trades SET status = 'accepted', filled_quantity = 0, executed_price = NULL"
    ),
    "session totals = Σ trades": "UPDATE trading_sessions SET total_pnl = total_pnl + 1",
}


def test_every_check_has_its_corruption() -> None:
    assert set(CORRUPTIONS) == set(CHECKS)


@pytest.mark.parametrize("check", CORRUPTIONS)
def test_a_corruption_is_found_by_its_check(
    desk: Desk, market: Market, committed_db: CommittedDatabase, check: str
) -> None:
    market.advise("AAA")
    desk.step()
    assert book_differences() == []
    with committed_db.as_owner() as owner:
        owner.execute(CORRUPTIONS[check])
    assert any(line.startswith(f"{check}: ") for line in book_differences())


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
