"""A cooldown says how long a rule rests after it acted."""

from datetime import UTC, datetime, timedelta

import pytest

from rules.core.cooldown import Cooldown, check_cooldown, read_cooldown, resting_until
from rules.core.faults import FAULTS_MAX, Faults

TEN = datetime(2026, 3, 9, 10, 0, tzinfo=UTC)
ELEVEN = TEN + timedelta(hours=1)
A_MOMENT = timedelta(microseconds=1)
PER_SYMBOL = Cooldown(60, "symbol")
PER_RULE = Cooldown(60, "rule")


def faults(cooldown):
    found = Faults()
    check_cooldown(cooldown, found)
    return [(fault.path, fault.message, fault.suggestion) for fault in found.found]


@pytest.mark.parametrize(
    ("raw", "cooldown"),
    [
        (None, None),
        ({"minutes": 60}, PER_SYMBOL),  # a symbol's rest is its own unless one says otherwise
        ({"minutes": 60.0, "per": "symbol"}, PER_SYMBOL),
        ({"minutes": 60, "per": "rule"}, PER_RULE),
        ({"minutes": 1}, Cooldown(1, "symbol")),
        ({"minutes": 525_600}, Cooldown(525_600, "symbol")),  # a year
    ],
)
def test_what_is_accepted(raw, cooldown):
    assert faults(raw) == []
    assert read_cooldown(raw) == cooldown


@pytest.mark.parametrize(
    ("raw", "path", "reason", "cure"),
    [
        (60, "cooldown", "60 is not a cooldown", '"minutes"'),
        (False, "cooldown", "false is not a cooldown", '"minutes"'),
        ([], "cooldown", "a list is not a cooldown", '"minutes"'),
        ({}, "cooldown", '"minutes" is missing', 'Add "minutes"'),
        ({"minutes": 5, "hours": 1}, "cooldown", 'Unknown key "hours"', "minutes"),
        ({"minutes": 5, "рer": "rule"}, "cooldown", "Unknown key", 'Did you mean "per"? In it CYRILLIC'),
        ({"minutes": 0}, "cooldown.minutes", "0 is not", "1 to 525600"),
        ({"minutes": -5}, "cooldown.minutes", "-5 is not", "1 to 525600"),
        ({"minutes": 525_601}, "cooldown.minutes", "525601 is not", "1 to 525600"),
        ({"minutes": 1.5}, "cooldown.minutes", "1.5 is not", "whole number"),
        ({"minutes": "60"}, "cooldown.minutes", "not a number", "Did you mean 60?"),
        ({"minutes": True}, "cooldown.minutes", "true is not a number", "number"),
        ({"minutes": None}, "cooldown.minutes", "null is not a number", "number"),
        ({"minutes": float("inf")}, "cooldown.minutes", "finite", "finite"),
        ({"minutes": 5, "per": "symbols"}, "cooldown.per", '"symbols" is not known', 'Did you mean "symbol"?'),
        ({"minutes": 5, "per": None}, "cooldown.per", "null is not known", "rule, symbol"),
        ({"minutes": 5, "per": ["rule"]}, "cooldown.per", "a list is not known", "rule, symbol"),
    ],
)  # fmt: skip
def test_what_is_refused(raw, path, reason, cure):
    [(found_path, message, suggestion)] = faults(raw)
    assert found_path == path
    assert reason in message
    assert cure in suggestion


def test_every_fault_comes_at_once_and_the_answer_is_bounded():
    assert [path for path, _, _ in faults({"per": "x"})] == ["cooldown", "cooldown.per"]
    assert len(faults({f"key{number}": 1 for number in range(10**6)})) == FAULTS_MAX


def test_a_stored_cooldown_that_does_not_parse_is_not_carried_out():
    with pytest.raises(ValueError, match=r"cooldown\.minutes: 0 is not a number of minutes"):
        read_cooldown({"minutes": 0})


def test_a_rule_rests_from_its_act_until_the_last_moment():
    assert resting_until(PER_SYMBOL, {"AAPL": TEN}, "AAPL", as_of=TEN) == ELEVEN
    assert resting_until(PER_SYMBOL, {"AAPL": TEN}, "AAPL", as_of=ELEVEN - A_MOMENT) == ELEVEN
    assert resting_until(PER_SYMBOL, {"AAPL": TEN}, "AAPL", as_of=ELEVEN) is None


@pytest.mark.parametrize(
    ("cooldown", "acted_on", "asked_for", "rests"),
    [
        (None, ["AAPL"], "AAPL", False),  # a rule without a cooldown never rests
        (PER_SYMBOL, [], "AAPL", False),  # nor one that never acted
        (PER_SYMBOL, ["AAPL"], "AAPL", True),
        (PER_SYMBOL, ["AAPL"], "XOM", False),
        (PER_RULE, ["AAPL"], "XOM", True),
        (PER_RULE, ["AAPL"], None, True),
        # what fired for the portfolio as a whole rests as a whole
        (PER_SYMBOL, [None], None, True),
        (PER_SYMBOL, [None], "AAPL", True),
        (PER_SYMBOL, ["AAPL"], None, False),
    ],
)
def test_whom_an_act_lets_rest(cooldown, acted_on, asked_for, rests):
    acted = dict.fromkeys(acted_on, TEN)
    assert resting_until(cooldown, acted, asked_for, as_of=TEN) == (ELEVEN if rests else None)


def test_of_a_symbol_nothing_else_is_looked_at():
    """A rule may have acted on thousands of symbols, and each of them is asked for."""

    class Acted(dict):
        def __iter__(self):
            raise AssertionError("all that the rule ever acted on was looked through")

        keys = values = items = __iter__

    acted = Acted({"AAPL": TEN, "XOM": TEN})
    assert resting_until(PER_SYMBOL, acted, "AAPL", as_of=TEN) == ELEVEN
    assert resting_until(PER_SYMBOL, acted, "MSFT", as_of=TEN) is None


def test_the_last_act_counts():
    acted = {"AAPL": TEN, "XOM": TEN + timedelta(minutes=30), None: TEN - timedelta(days=1)}
    assert resting_until(PER_RULE, acted, "AAPL", as_of=TEN) == ELEVEN + timedelta(minutes=30)
    assert resting_until(PER_SYMBOL, acted, "AAPL", as_of=TEN) == ELEVEN
