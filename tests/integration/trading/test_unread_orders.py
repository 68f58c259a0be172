"""One order of ours that cannot be read stops neither the account nor its reconciliation; it only keeps it halted."""

import pytest

from foundation.errors import Conflict
from tests.harness.at_broker import ordered
from tests.harness.at_simulator import AtSimulator
from tests.integration.trading.at_brokers import clean, state
from tests.integration.trading.steps import risk_officer
from trading.models import AutoTrade, Halt, ReconciliationBreak
from trading.services.breaks import explain_break
from trading.services.emergency_stop import release
from trading.services.sending import send_due

pytestmark = pytest.mark.integration
UNREAD = "bad report: an order of ours cannot be read: its status is not known"


def sent(at: AtSimulator, *symbols: str) -> list[AutoTrade]:
    trades = []
    for symbol in symbols:
        trades.append(ordered(at.desk, symbol=symbol))
        send_due()  # one by one, so that it is known which is the first
    assert {state(trade) for trade in trades} == {"accepted"}
    return trades


def test_the_other_orders_are_booked_and_no_explanation_releases_the_halt(at_simulator: AtSimulator) -> None:
    simulator, bob = at_simulator.simulator, risk_officer(at_simulator.desk)
    odd, good = sent(at_simulator, "AAA", "BBB")
    simulator.fill(odd.client_order_id)
    simulator.fill(good.client_order_id)
    simulator.misbehave("new_status", endpoints=["orders"])
    done = at_simulator.reconcile()
    assert (done.failure, done.fills_booked, done.looked_at_orders) == (UNREAD, 1, True)
    assert (state(good), at_simulator.desk.held("BBB"), state(odd)) == ("filled", 10, "accepted")
    assert at_simulator.breaks() == [("bad_report", f"order {odd.client_order_id}")], (
        "what is held is not judged"
    )
    explain_break(
        break_id=ReconciliationBreak.objects.get().pk, explanation="Alpaca has a new one", actor=bob
    )
    halt = Halt.objects.get(released_at=None)
    with pytest.raises(Conflict) as refusal:
        release(halt_id=halt.pk, actor=bob)
    assert refusal.value.code == "broker_unreadable"
    simulator.behave()
    assert at_simulator.reconcile().failure == ""
    assert (state(odd), at_simulator.desk.held("AAA"), at_simulator.breaks()) == ("filled", 10, [])
    release(halt_id=halt.pk, actor=bob)
    assert clean()
