"""A risk rule may pull the emergency stop. Only a risk officer lets go of it."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError

from foundation.errors import Forbidden
from journal.models import Alert, Entry
from rules.services.rules import update_rule
from tests.harness.people import person
from tests.harness.trading import STOP_LOSS, STRONG_BUY_ENTRY, Desk, Market
from tests.integration.trading.steps import decisions_of, outcomes_of, risk_officer, step_later
from trading.models import Halt
from trading.services import auto_trading
from trading.services.draining import drain_all
from trading.services.emergency_stop import arm, release

pytestmark = pytest.mark.integration
ENTRY = STRONG_BUY_ENTRY["name"]


def halting(
    *, field: str = "portfolio_equity", operator: str = "less_than", value: float = 99_900, **more: Any
) -> dict[str, Any]:
    """Stop when the portfolio has lost something."""
    action = {"type": "halt", **more}
    conditions = [{"field": field, "operator": operator, "value": value}]
    return {"name": "Breaker", "rule_type": "risk", "conditions": conditions, "actions": [action]}


@pytest.fixture
def losing(market: Market) -> Desk:
    """50 of AAA are held; the next price makes the breaker true, and advice to buy BBB arrives with it."""
    return desk_with(market, halting())


def desk_with(market: Market, *rules: dict[str, Any]) -> Desk:
    market.tick()
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, STOP_LOSS, *rules))
    market.advise("AAA")
    desk.step()
    market.advice.clear()
    market.advise("BBB")
    return desk


def test_the_stop_is_armed_once_and_holds_within_the_same_evaluation(losing: Desk) -> None:
    for _ in range(3):
        losing.step(AAA=97.0)
    halt = Halt.objects.get()
    assert (halt.scope, halt.scope_id, halt.mode) == ("portfolio", str(losing.portfolio.id), "reduce_only")
    assert (halt.armed_by, halt.armed_by_rule) == (None, losing.portfolio.trading_rules.get(name="Breaker"))
    assert halt.reason.startswith('The rule "Breaker": True for the portfolio: portfolio equity is')
    assert outcomes_of(losing, "Breaker") == [(None, "halted", 2)]
    assert losing.held("BBB") == 0
    refused = decisions_of(losing, ENTRY)[-1]
    assert (refused.outcome, refused.code, refused.repeated) == ("refused", "HALTED", 2)
    assert "Breaker" in refused.detail


def test_reduce_only_lets_the_stop_loss_sell(losing: Desk) -> None:
    losing.step(AAA=90.0)
    assert losing.held("AAA") == 0 and losing.held("BBB") == 0


def test_in_mode_halt_nothing_goes_out(market: Market) -> None:
    desk = desk_with(market, halting(mode="halt"))
    desk.step(AAA=90.0)
    halt = Halt.objects.get()
    assert (halt.scope, halt.scope_id, halt.mode) == ("portfolio", str(desk.portfolio.id), "halt")
    assert desk.held("AAA") == 50
    assert decisions_of(desk, STOP_LOSS["name"])[-1].code == "HALTED"


def test_the_arming_is_journalled_and_alerted_with_the_rules_name(losing: Desk) -> None:
    losing.step(AAA=97.0)
    drain_all()
    kinds = Entry.objects.filter(stream_id=losing.portfolio.id, kind__startswith="halt.")
    assert list(kinds.order_by("seq").values_list("kind", flat=True)) == ["halt.armed", "halt.drained"]
    armed = kinds.get(kind="halt.armed")
    assert str(losing.portfolio.trading_rules.get(name="Breaker").id) in armed.payload
    alert = Alert.objects.get(stream=losing.portfolio.id)
    assert alert.severity == "critical" and 'armed by a rule: The rule "Breaker"' in alert.message


def test_only_a_risk_officer_releases_it(losing: Desk) -> None:
    losing.step(AAA=97.0)
    halt = Halt.objects.get()
    with pytest.raises(Forbidden, match="risk_officer"):
        release(halt_id=halt.id, actor=losing.owner)
    with pytest.raises(Forbidden):
        release(halt_id=halt.id, actor=get_user_model().objects.create(username="charlie"))
    bob = risk_officer(losing)
    assert release(halt_id=halt.id, actor=bob).released_by == bob


def test_after_the_release_it_is_armed_anew_while_the_rule_is_true(losing: Desk) -> None:
    losing.step(AAA=97.0)
    release(halt_id=Halt.objects.get().id, actor=risk_officer(losing))
    losing.step()
    assert Halt.objects.count() == 2 and Halt.objects.filter(released_at=None).count() == 1
    assert outcomes_of(losing, "Breaker") == [(None, "halted", 0), (None, "halted", 0)]
    assert losing.held("BBB") == 0


def test_after_the_release_trading_goes_on_when_the_rule_is_no_longer_true(losing: Desk) -> None:
    losing.step(AAA=97.0)
    release(halt_id=Halt.objects.get().id, actor=risk_officer(losing))
    losing.step(AAA=101.0)
    assert Halt.objects.count() == 1
    assert losing.held("BBB") == 50


def test_a_cooldown_gives_the_risk_officer_time_after_the_release(market: Market) -> None:
    desk = desk_with(market, {**halting(), "cooldown": {"minutes": 60}})
    desk.step(AAA=97.0)
    release(halt_id=Halt.objects.get().id, actor=risk_officer(desk))
    desk.step()
    assert Halt.objects.count() == 1
    step_later(desk, minutes=59)
    assert Halt.objects.count() == 2


def test_a_rule_edited_to_stop_everything_arms_anew(losing: Desk) -> None:
    losing.step(AAA=97.0)
    breaker = losing.portfolio.trading_rules.get(name="Breaker")
    update_rule(rule_id=breaker.id, rule=halting(mode="halt"), actor=losing.owner)
    for _ in range(2):
        losing.step()
    assert sorted(Halt.objects.values_list("mode", flat=True)) == ["halt", "reduce_only"]


def test_a_persons_stop_does_not_stand_for_the_rules_own(losing: Desk) -> None:
    arm(
        scope="portfolio", scope_id=str(losing.portfolio.id), mode="reduce_only", reason="a test", actor=losing.owner
    )  # fmt: skip
    losing.step(AAA=97.0)
    assert Halt.objects.filter(armed_by_rule__name="Breaker", released_at=None).count() == 1


def test_a_rule_that_is_true_for_two_symbols_arms_one_stop(market: Market) -> None:
    market.tick()
    breaker = halting(field="position_pnl_percentage", value=-2)
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, breaker))
    for symbol in ("AAA", "BBB"):
        market.advise(symbol)
    desk.step()
    desk.step(AAA=97.0, BBB=97.0)
    assert Halt.objects.count() == 1
    assert outcomes_of(desk, "Breaker") == [("AAA", "halted", 0), ("BBB", "halted", 0)]


def test_a_stop_belongs_to_its_portfolio(market: Market) -> None:
    desk = desk_with(market, halting())
    other = Desk.open(market, owner="dora")
    desk.step(AAA=97.0)
    assert desk.held("BBB") == 0 and other.held("BBB") == 50


def test_an_evaluation_that_is_undone_leaves_no_stop(losing: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(auto_trading, "record_run", broken)
    losing.market.tick(AAA=97.0)
    losing.evaluate()
    assert not Halt.objects.exists()
    assert not Entry.objects.filter(kind="halt.armed").exists()


def test_the_database_knows_one_stop_of_a_rule_and_scope(losing: Desk) -> None:
    losing.step(AAA=97.0)
    halt = Halt.objects.get()
    with pytest.raises(IntegrityError, match="halt_of_a_rule_in_force_once"):
        arm(
            scope=halt.scope, scope_id=halt.scope_id, mode=halt.mode, reason="twice", actor=None,
            rule_id=halt.armed_by_rule_id,
        )  # fmt: skip


def test_a_stop_is_armed_by_a_person_or_a_rule(losing: Desk) -> None:
    losing.step(AAA=97.0)
    with pytest.raises(IntegrityError, match="halt_armed_by_one"):
        Halt.objects.update(armed_by=losing.owner)


def test_the_api_names_the_rule(losing: Desk, client: Any) -> None:
    losing.step(AAA=97.0)
    answer = client.get("/api/emergency-stop", headers=person(losing.owner.username).headers)
    (row,) = answer.json()["results"]
    assert row["armed_by"] is None
    assert row["armed_by_rule_id"] == str(losing.portfolio.trading_rules.get(name="Breaker").id)
