"""What acted in the same evaluation counts as well as what acted before it."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rules.models import RuleVersion
from trading.services.cooldowns import Cooldowns

RULE = uuid.UUID(int=1)
TEN = datetime(2026, 3, 9, 10, 0, tzinfo=UTC)
ELEVEN = TEN + timedelta(hours=1)
SELL = {"type": "sell", "sizing_method": "full_position"}
ALERT = {"type": "alert", "message": "look"}


def version(action: dict[str, Any] = SELL, **cooldown: Any) -> RuleVersion:
    return RuleVersion(rule_id=RULE, actions=[action], cooldown={"minutes": 60, **cooldown})


def now() -> Cooldowns:
    return Cooldowns(as_of=TEN, before={})


@pytest.mark.parametrize("action", [SELL, ALERT], ids=["sell", "alert"])
def test_per_rule_an_earlier_firing_of_the_same_evaluation_lets_it_rest(action: dict[str, Any]) -> None:
    cooldowns, per_rule = now(), version(action, per="rule")
    cooldowns.acted(per_rule, firing="AAA", target="AAA")
    assert cooldowns.resting_until(per_rule, firing="BBB", target="BBB") == ELEVEN
    assert cooldowns.resting_until(per_rule, firing="AAA", target="AAA") is None, "one firing is not held up"


def test_per_symbol_it_does_not() -> None:
    cooldowns, per_symbol = now(), version()
    cooldowns.acted(per_symbol, firing="AAA", target="AAA")
    assert cooldowns.resting_until(per_symbol, firing="BBB", target="BBB") is None


def test_the_symbols_of_one_firing_for_the_portfolio_do_not_hold_each_other_up() -> None:
    cooldowns, per_rule = now(), version(per="rule")
    cooldowns.acted(per_rule, firing=None, target="AAA")
    assert cooldowns.resting_until(per_rule, firing=None, target="BBB") is None


@pytest.mark.parametrize(
    ("rule", "acted_on", "target", "rests"),
    [
        (version(), "AAA", "AAA", True),
        (version(), "AAA", "BBB", False),
        (version(per="rule"), "AAA", "BBB", True),
        (version(), "AAA", None, True),  # it sold something for the portfolio: its stop rests
        (version(ALERT), "AAA", None, False),
        (version(ALERT), None, None, True),
        (version(), None, "AAA", True),
    ],
)
def test_what_acted_before_the_evaluation(
    rule: RuleVersion, acted_on: str | None, target: str | None, rests: bool
) -> None:
    cooldowns = Cooldowns(as_of=TEN, before={RULE: {acted_on: TEN}})
    assert cooldowns.resting_until(rule, firing=target, target=target) == (ELEVEN if rests else None)


def test_a_rule_without_cooldown_is_not_remembered() -> None:
    cooldowns, rule = now(), version()
    rule.cooldown = None
    cooldowns.acted(rule, firing="AAA", target="AAA")
    assert cooldowns.now == {}
    assert cooldowns.resting_until(rule, firing="AAA", target="AAA") is None
