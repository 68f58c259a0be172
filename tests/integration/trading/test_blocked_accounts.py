"""An account that its broker has blocked: people are told once, entries stop, sells go on, and its end is told."""

from decimal import Decimal
from typing import Any

import pytest

from journal.models import Alert
from tests.harness.at_simulator import KEY, AtSimulator
from tests.harness.working import place
from tests.integration.trading.steps import risk_officer
from trading.core.orders import MARKET_DAY
from trading.models import Halt
from trading.selectors import shown_halts
from trading.selectors.accounts import open_breaks_by_kind
from trading.services.breaks import explain_break
from trading.services.emergency_stop import release
from trading.services.manual import preview_trade
from trading.services.sending import send_due

pytestmark = pytest.mark.integration
WELL = {
    "trading_blocked": False,
    "account_blocked": False,
    "trade_suspended_by_user": False,
    "status": "ACTIVE",
}
KINDS = ("reconciliation.break", "reconciliation.break_ended")


def told() -> list[tuple[str, str, str]]:
    rows = Alert.objects.filter(kind__in=KINDS).order_by("created_at")
    return list(rows.values_list("kind", "severity", "message"))


def refusal(at: AtSimulator, side: str) -> str | None:
    desk = at.desk
    return preview_trade(
        portfolio_id=desk.portfolio.id, symbol="AAA", side=side, quantity=Decimal(1), actor=desk.owner
    ).code


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"trading_blocked": True}, "Alpaca has blocked trading in this account"),
        ({"account_blocked": True}, "Alpaca has blocked this account"),
        ({"trade_suspended_by_user": True}, "trading is suspended in the settings of this account"),
        ({"status": "ACCOUNT_CLOSED"}, "the account's status is ACCOUNT_CLOSED"),
    ],
)
def test_it_is_told_once_and_stops_entries_until_somebody_releases_them(
    at_simulator: AtSimulator, block: dict[str, Any], words: str
) -> None:
    at = at_simulator
    assert at.reconcile().failure == "" and refusal(at, "buy") is None
    at.simulator.change_account(KEY, **block)
    for _ in range(3):
        assert at.reconcile().failure == ""
    message = f"No entry is made: the broker takes no orders of this account: {words}"
    assert told() == [("reconciliation.break", "critical", message)]
    assert (at.breaks(), open_breaks_by_kind()) == ([("blocked", "orders")], {"blocked": 1})
    halt = Halt.objects.get(released_at=None)
    assert (halt.armed_by_breaker, halt.mode, halt.scope) == ("account_blocked", "reduce_only", "account")
    assert shown_halts(at.desk.owner).get().open_breaks == 1
    assert refusal(at, "buy") == "HALTED"
    at.simulator.change_account(KEY, **WELL)
    at.reconcile()
    at.reconcile()
    assert told()[1:] == [("reconciliation.break_ended", "info", f"Gone by itself: {words}")]
    release(halt_id=halt.id, actor=risk_officer(at.desk))
    at.reconcile()
    assert (at.breaks(), refusal(at, "buy")) == ([], None)


def test_what_is_held_may_still_be_sold(at_simulator: AtSimulator) -> None:
    """The broker rejects that, too, as long as it blocks; it is the first to know when it does not any more."""
    at = at_simulator
    buy = place(at.desk, MARKET_DAY)
    send_due()
    at.simulator.fill(buy.client_order_id, price=100)
    at.simulator.change_account(KEY, trading_blocked=True)
    at.reconcile()
    assert at.breaks() == [("blocked", "orders")]
    assert (refusal(at, "buy"), refusal(at, "sell")) == ("HALTED", None)


def test_one_that_is_explained_is_no_news_and_another_objection_is(at_simulator: AtSimulator) -> None:
    at = at_simulator
    at.simulator.change_account(KEY, trading_blocked=True)
    at.reconcile()
    (row,) = at.account.breaks.all()
    explain_break(break_id=row.pk, explanation="they check our address", actor=risk_officer(at.desk))
    at.reconcile()
    assert (at.breaks(), len(told())) == ([], 1)
    at.simulator.change_account(KEY, account_blocked=True)
    at.reconcile()
    assert (at.breaks(), len(told())) == ([("blocked", "orders")], 2)
