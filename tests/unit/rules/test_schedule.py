"""A schedule says when a rule may fire, on the clock of the symbol's exchange."""

from datetime import UTC, datetime

import numpy as np
import pytest

from rules.core.clock import time_facts
from rules.core.conditions import InvalidConditionsError, parse_conditions
from rules.core.explanation import explain
from rules.core.facts import MarketFacts, PortfolioFacts
from rules.core.faults import FAULTS_MAX, Faults
from rules.core.fields import WEEKDAYS
from rules.core.schedule import check_schedule, schedule_node

ALICE = PortfolioFacts({}, {}, None)
UNKNOWN = np.nan
MANY = 10**6


def holds(schedule, *, day="MONDAY", clock="12:00", since_open=UNKNOWN, to_close=UNKNOWN):
    hours, minutes, seconds = [*map(int, clock.split(":")), 0][:3]
    now = {
        "weekday": WEEKDAYS.index(day),
        "time_of_day": hours * 60 + minutes + seconds / 60,
        "minutes_since_open": since_open,
        "minutes_to_close": to_close,
    }
    market = MarketFacts(("AAPL",), {field: np.array([float(fact)]) for field, fact in now.items()}, {})
    return explain(schedule_node(schedule), market=market, portfolio=ALICE, symbol="AAPL").outcome


def faults(schedule):
    found = Faults()
    check_schedule(schedule, found)
    return [(fault.path, fault.message, fault.suggestion) for fault in found.found]


def test_without_a_schedule_a_rule_may_always_fire():
    assert faults(None) == []
    assert schedule_node(None) is None


def test_a_schedule_is_nothing_but_conditions_on_time_fields():
    schedule = {
        "weekdays": ["FRIDAY", "MONDAY"],
        "from": "09:45",
        "to": "15:30",
        "minutes_after_open": 15,
        "minutes_before_close": 30.0,
    }
    assert schedule_node(schedule) == parse_conditions(
        [
            {"field": "weekday", "operator": "in", "value": ["MONDAY", "FRIDAY"]},
            {"field": "time_of_day", "operator": "between", "value": ["09:45", "15:30"]},
            {"field": "minutes_since_open", "operator": "greater_or_equal", "value": 15},
            {"field": "minutes_to_close", "operator": "greater_or_equal", "value": 30},
        ]
    )


@pytest.mark.parametrize(
    ("schedule", "now", "may_fire"),
    [
        ({"weekdays": ["MONDAY", "FRIDAY"]}, {"day": "FRIDAY"}, True),
        ({"weekdays": ["MONDAY", "FRIDAY"]}, {"day": "TUESDAY"}, False),
        ({"from": "09:45", "to": "15:30"}, {"clock": "09:44:59"}, False),
        ({"from": "09:45", "to": "15:30"}, {"clock": "09:45"}, True),
        ({"from": "09:45", "to": "15:30"}, {"clock": "15:30"}, True),
        ({"from": "09:45", "to": "15:30"}, {"clock": "15:30:01"}, False),
        ({"from": "09:45"}, {"clock": "23:59:59"}, True),
        ({"from": "09:45"}, {"clock": "09:00"}, False),
        ({"to": "15:30"}, {"clock": "00:00"}, True),
        ({"to": "15:30"}, {"clock": "16:00"}, False),
        # later than: over midnight
        ({"from": "22:00", "to": "02:00"}, {"clock": "21:59"}, False),
        ({"from": "22:00", "to": "02:00"}, {"clock": "22:00"}, True),
        ({"from": "22:00", "to": "02:00"}, {"clock": "00:00"}, True),
        ({"from": "22:00", "to": "02:00"}, {"clock": "02:00"}, True),
        ({"from": "22:00", "to": "02:00"}, {"clock": "12:00"}, False),
        # the weekday is the day on which it fires, so Friday's window ends at midnight
        ({"weekdays": ["FRIDAY"], "from": "22:00", "to": "02:00"}, {"day": "FRIDAY", "clock": "23:00"}, True),
        ({"weekdays": ["FRIDAY"], "from": "22:00", "to": "02:00"}, {"day": "SATURDAY", "clock": "01:00"}, False),
        ({"minutes_after_open": 15}, {"since_open": 14.9}, False),
        ({"minutes_after_open": 15}, {"since_open": 15}, True),
        ({"minutes_before_close": 30}, {"to_close": 30}, True),
        ({"minutes_before_close": 30}, {"to_close": 29.9}, False),
        # while the exchange is closed the minutes are unknown, and what is unknown never fires
        ({"minutes_after_open": 0}, {"since_open": 0}, True),
        ({"minutes_after_open": 0}, {"since_open": UNKNOWN}, None),
        # all keys must hold
        ({"from": "09:45", "minutes_before_close": 30}, {"clock": "10:00", "to_close": 5}, False),
        ({"from": "09:45", "minutes_before_close": 30}, {"clock": "09:00", "to_close": UNKNOWN}, False),
    ],
)  # fmt: skip
def test_when_a_rule_may_fire(schedule, now, may_fire):
    assert faults(schedule) == []
    assert holds(schedule, **now) is may_fire


def test_the_clock_is_that_of_the_symbols_exchange():
    as_of = datetime(2026, 3, 9, 14, 0, tzinfo=UTC)  # Monday 10:00 in New York, 23:00 in Tokyo
    closed = np.array([UNKNOWN, UNKNOWN])
    zones = ("America/New_York", "Asia/Tokyo")
    times = time_facts(as_of=as_of, timezones=zones, opens_at=closed, closes_at=closed)
    market = MarketFacts(("AAPL", "SONY"), times, {})
    morning = schedule_node({"weekdays": ["MONDAY"], "from": "09:45", "to": "12:00"})
    outcomes = [
        explain(morning, market=market, portfolio=ALICE, symbol=symbol).outcome for symbol in market.symbols
    ]
    assert outcomes == [True, False]


@pytest.mark.parametrize(
    ("schedule", "path", "reason", "cure"),
    [
        ([], "schedule", "a list is not a schedule", '"from"'),
        ("09:45-15:30", "schedule", "is not a schedule", '"from"'),
        (False, "schedule", "false is not a schedule", '"from"'),
        ({}, "schedule", "empty", "minutes_after_open"),
        ({"until": "15:30"}, "schedule", 'Unknown key "until"', "weekdays"),
        ({"weekday": ["MONDAY"]}, "schedule", 'Unknown key "weekday"', 'Did you mean "weekdays"?'),
        ({"frоm": "09:45"}, "schedule", "Unknown key", 'Did you mean "from"? In it CYRILLIC'),
        ({"weekdays": []}, "schedule.weekdays", "1 to 7", '["MONDAY"'),
        ({"weekdays": "MONDAY"}, "schedule.weekdays", "list", '["MONDAY"'),
        ({"weekdays": None}, "schedule.weekdays", "list", '["MONDAY"'),
        ({"weekdays": ["MONDAY"] * MANY}, "schedule.weekdays", "1 to 7", '["MONDAY"'),
        ({"weekdays": ["MONDAY", "MON"]}, "schedule.weekdays[1]", '"MON"', 'Did you mean "MONDAY"?'),
        ({"weekdays": [["MONDAY"]]}, "schedule.weekdays[0]", "a list", "FRIDAY"),
        ({"weekdays": ["MONDAY", "MONDAY"]}, "schedule.weekdays[1]", "twice", "Remove"),
        ({"from": "9:45"}, "schedule.from", '"9:45"', "HH:MM"),
        ({"from": "24:00"}, "schedule.from", '"24:00"', "HH:MM"),
        ({"to": 930}, "schedule.to", "930", "HH:MM"),
        ({"to": None}, "schedule.to", "null", "HH:MM"),
        ({"from": "09:45", "to": "09:45"}, "schedule.to", "one minute", "whole day"),
        ({"minutes_after_open": -1}, "schedule.minutes_after_open", "-1", "0 to 1440"),
        ({"minutes_after_open": 1441}, "schedule.minutes_after_open", "1441", "0 to 1440"),
        ({"minutes_before_close": 2.5}, "schedule.minutes_before_close", "2.5", "whole number"),
        ({"minutes_before_close": "30"}, "schedule.minutes_before_close", "not a number", "Did you mean 30?"),
        ({"minutes_before_close": True}, "schedule.minutes_before_close", "true is not a number", "number"),
        ({"minutes_after_open": float("nan")}, "schedule.minutes_after_open", "finite", "finite"),
        ({"minutes_after_open": 10**400}, "schedule.minutes_after_open", "beyond 10^15", "nearer to 0"),
    ],
)  # fmt: skip
def test_what_is_refused(schedule, path, reason, cure):
    [(found_path, message, suggestion)] = faults(schedule)
    assert found_path == path
    assert reason in message
    assert cure in suggestion


@pytest.mark.parametrize("minutes", [0, 1440])
def test_the_ends_of_the_minutes_are_possible(minutes):
    assert faults({"minutes_after_open": minutes, "minutes_before_close": minutes}) == []


def test_every_fault_comes_at_once():
    schedule = {"weekdays": ["MON"], "from": "9", "to": "25:00", "minutes_after_open": "x", "until": 1}
    assert {path for path, _, _ in faults(schedule)} == {
        "schedule", "schedule.weekdays[0]", "schedule.from", "schedule.to", "schedule.minutes_after_open",
    }  # fmt: skip


def test_the_answer_to_a_hostile_schedule_is_bounded():
    assert len(faults({f"key{number}": 1 for number in range(MANY)})) == FAULTS_MAX


def test_a_stored_schedule_that_does_not_parse_is_not_carried_out():
    with pytest.raises(InvalidConditionsError, match=r'schedule\.from: "9:45" is not a time of day'):
        schedule_node({"from": "9:45"})
