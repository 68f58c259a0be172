"""What counts as an act, when it is taken back, and when it is written: from it on a rule rests."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from tests.harness.trading import Desk, Market
from tests.integration.trading.resting import alerting, buying, holding
from tests.integration.trading.steps import outcomes_of, risk_officer, step_later
from trading.models import Halt, RuleAct
from trading.services import auto_trading
from trading.services.draining import drain_all
from trading.services.emergency_stop import arm, release
from trading.services.order_management import cancel_trade

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(market: Market) -> Desk:
    market.tick()
    return Desk.open(market, rules=(buying(),))


def leaving(*others: dict[str, Any], **cooldown: Any) -> dict[str, Any]:
    """Fires for the portfolio as a whole."""
    losing = {"field": "portfolio_equity", "operator": "less_than", "value": 99_950}
    sell = {"type": "sell", "sizing_method": "full_position"}
    return {
        "name": "Leave", "rule_type": "risk", "conditions": [losing], "actions": [sell, *others],
        "cooldown": {"minutes": 60, **cooldown},
    }  # fmt: skip


def test_a_rule_for_the_portfolio_sells_everything_and_rests_for_what_it_sold(market: Market) -> None:
    """One firing, also per rule: its first sell does not hold up the others."""
    leave = leaving(per="rule")
    market.tick()
    desk = Desk.open(market, rules=({**buying(), "cooldown": {"minutes": 2}}, leave))
    for symbol in ("AAA", "BBB"):
        market.advise(symbol)
    desk.step()
    desk.step(AAA=90.0, BBB=90.0)
    assert desk.held("AAA") == desk.held("BBB") == 0
    desk.step()
    assert desk.held("AAA") == desk.held("BBB") == 10
    desk.step()
    assert desk.held("AAA") == desk.held("BBB") == 10
    assert outcomes_of(desk, "Leave") == [
        ("AAA", "traded", 0),
        ("BBB", "traded", 0),
        (None, "no_size", 0),  # nothing was held any more
        ("AAA", "resting", 0),
        ("BBB", "resting", 0),
    ]
    acts = RuleAct.objects.filter(rule__name="Leave").order_by("instrument__symbol")
    assert [act.instrument.symbol for act in acts if act.instrument] == ["AAA", "BBB"]


def test_a_rule_for_the_portfolio_tries_again_what_was_refused(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(buying(minutes=600), leaving()))
    for symbol in ("AAA", "BBB"):
        market.advise(symbol)
    desk.step()
    stop = arm(scope="symbol", scope_id="BBB", reason="a test", actor=None)
    desk.step(AAA=90.0, BBB=90.0)
    assert (desk.held("AAA"), desk.held("BBB")) == (0, 10)
    staff = get_user_model().objects.create(username="staff", is_staff=True)
    release(halt_id=stop.id, actor=staff)
    desk.step()
    assert desk.held("BBB") == 0
    assert outcomes_of(desk, "Leave") == [("AAA", "traded", 0), ("BBB", "refused", 0), ("BBB", "traded", 0)]


def test_a_stop_starts_no_rest_for_the_sell_of_the_same_rule(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(buying(minutes=600), leaving({"type": "halt"})))
    market.advise("AAA")
    desk.step()
    market.is_open = False
    desk.step(AAA=90.0)
    assert desk.held("AAA") == 10 and Halt.objects.count() == 1
    assert not RuleAct.objects.filter(rule__name="Leave").exists()
    market.is_open = True
    desk.step()
    assert desk.held("AAA") == 0


def test_a_sell_starts_a_rest_of_the_stop_of_the_same_rule(market: Market) -> None:
    """The risk officer who released it has the rest to look around."""
    market.tick()
    desk = Desk.open(market, rules=(buying(minutes=600), leaving({"type": "halt"})))
    market.advise("AAA")
    desk.step()
    desk.step(AAA=90.0)
    assert desk.held("AAA") == 0
    release(halt_id=Halt.objects.get().id, actor=risk_officer(desk))
    desk.step()
    assert Halt.objects.count() == 1
    step_later(desk, minutes=60)
    assert Halt.objects.count() == 2


# --- an act that comes to nothing after all -------------------------------------------------------------


def test_a_sell_that_is_cancelled_unfilled_leaves_no_rest(market: Market) -> None:
    desk = holding(market, alerting({"type": "sell", "sizing_method": "full_position"}))
    market.tick(AAA=90.0)
    desk.evaluate()
    assert RuleAct.objects.filter(rule__name="Tell").exists()
    cancel_trade(trade_id=desk.trades()[-1].id, actor=desk.owner)
    assert not RuleAct.objects.filter(rule__name="Tell").exists()
    assert RuleAct.objects.filter(rule__name="Buy ten").exists(), "what was filled was done"
    desk.step()
    assert desk.held("AAA") == 0


def test_a_stop_that_cancels_a_sell_leaves_no_rest(market: Market) -> None:
    desk = holding(market, alerting({"type": "sell", "sizing_method": "full_position"}))
    market.tick(AAA=90.0)
    desk.evaluate()
    arm(scope="portfolio", scope_id=str(desk.portfolio.id), reason="a test", actor=desk.owner)
    drain_all()
    assert desk.trades()[-1].status == "cancelled"
    assert not RuleAct.objects.filter(rule__name="Tell").exists()


def test_a_cancelled_trade_takes_back_only_its_own_act(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(buying(),))
    for symbol in ("AAA", "BBB"):
        market.advise(symbol)
    market.tick()
    desk.evaluate()
    first, second = desk.trades()
    cancel_trade(trade_id=first.id, actor=desk.owner)
    assert [act.instrument for act in RuleAct.objects.all()] == [second.instrument]
    RuleAct.objects.update(acted_at=market.as_of + timedelta(minutes=1))
    cancel_trade(trade_id=second.id, actor=desk.owner)
    assert RuleAct.objects.count() == 1, "the rule acted again since"


# --- written with its decisions ---------------------------------------------------------------------------


def test_an_evaluation_that_is_undone_leaves_no_act(
    desk: Desk, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(auto_trading, "record_run", broken)
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    assert desk.decisions() == [] and not RuleAct.objects.exists()


def test_an_act_is_written_by_the_time_its_evaluation_commits(
    desk: Desk, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a crash right after the commit loses no rest."""
    seen: list[tuple[str, str, bool, int]] = []

    def note(name: str, *, detail: str = "") -> None:
        seen.append((name, detail, connection.in_atomic_block, RuleAct.objects.count()))

    monkeypatch.setattr(auto_trading, "reach", note)
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    assert seen == [
        ("evaluation.after_claim", f"slice {desk.session.slice_id}", True, 0),
        ("evaluation.before_commit", "1 trades", True, 1),
        ("evaluation.after_commit", "1 trades", False, 1),
    ]
