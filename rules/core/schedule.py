"""Schedules: when a rule may fire, on the clock of the symbol's exchange and in market time.

    {"weekdays": ["MONDAY", …], "from": "09:45", "to": "15:30",
     "minutes_after_open": 15, "minutes_before_close": 30}

Any of the keys, at least one; all that are there must hold. A schedule is nothing
but conditions on the time fields, so it is evaluated and explained like every
other condition: minutes from the open or to the close are unknown while the
exchange is closed, and a rule never fires on what it does not know. The weekday is
the day on which the rule fires, also in a window over midnight.
"""

from collections.abc import Mapping
from typing import Any

from rules.core.conditions import InvalidConditionsError
from rules.core.faults import Faults, check_keys, did_you_mean, quoted, read_whole_number
from rules.core.fields import WEEKDAYS
from rules.core.language import (
    AllOf,
    AnyOf,
    Choices,
    Comparison,
    Constant,
    Interval,
    Node,
    Operator,
    minutes_of,
)

MINUTES_MAX = 1440
SCHEDULE_KEYS = ("weekdays", "from", "to", "minutes_after_open", "minutes_before_close")
# Which fact each of the two distances in minutes bounds from below.
_MINUTES_OF = {"minutes_after_open": "minutes_since_open", "minutes_before_close": "minutes_to_close"}


def check_schedule(raw: object, faults: Faults) -> None:
    """Add a fault for everything in a schedule that is wrong; None is the schedule of always."""
    if raw is not None:
        _read(raw, faults)


def schedule_node(schedule: Mapping[str, Any] | None) -> AllOf | None:
    """A validated schedule as conditions on time fields; None for always.

    InvalidConditionsError names the first fault of one that was not validated.
    """
    if schedule is None:
        return None
    faults = Faults()
    nodes = _read(schedule, faults)
    if faults.found:
        first = faults.found[0]
        raise InvalidConditionsError(f"{first.path}: {first.message}")
    return AllOf(nodes)


def _read(raw: object, faults: Faults) -> tuple[Node, ...]:
    if not isinstance(raw, Mapping):
        faults.add("schedule", f"{quoted(raw)} is not a schedule.", 'Write {"from": "09:45", "to": "15:30"}.')
        return ()
    check_keys(raw, "schedule", known=SCHEDULE_KEYS, required=(), faults=faults)
    if not raw:
        faults.add(
            "schedule", "The schedule is empty.", "Remove it, or use: " + ", ".join(SCHEDULE_KEYS) + "."
        )
    nodes = [_weekdays(raw, faults), _window(raw, faults)]
    for key, field in _MINUTES_OF.items():
        if key in raw:
            minutes = read_whole_number(
                raw[key],
                f"schedule.{key}",
                minimum=0,
                maximum=MINUTES_MAX,
                what="a number of minutes",
                faults=faults,
            )
            nodes.append(None if minutes is None else _at_least(field, minutes))
    return tuple(node for node in nodes if node is not None)


def _weekdays(raw: Mapping[Any, Any], faults: Faults) -> Node | None:
    if "weekdays" not in raw:
        return None
    days, path = raw["weekdays"], "schedule.weekdays"
    if not isinstance(days, list | tuple) or not 1 <= len(days) <= len(WEEKDAYS):
        faults.add(path, "Weekdays are a list of 1 to 7 different days.", 'Write ["MONDAY", "TUESDAY"].')
        return None
    places: set[float] = set()
    for index, day in enumerate(days):
        if not isinstance(day, str) or day not in WEEKDAYS:
            faults.add(f"{path}[{index}]", f"{quoted(day)} is not a weekday.", did_you_mean(day, WEEKDAYS))
        elif WEEKDAYS.index(day) in places:
            faults.add(f"{path}[{index}]", f"{day} stands there twice.", "Remove one of the two.")
        else:
            places.add(float(WEEKDAYS.index(day)))
    return Comparison("weekday", Operator.IN, Choices(tuple(sorted(places))))


def _window(raw: Mapping[Any, Any], faults: Faults) -> Node | None:
    start, end = (_time(raw, key, faults) for key in ("from", "to"))
    if start is None and end is None:
        return None
    if end is None:
        assert start is not None
        return _at_least("time_of_day", start)
    until = Comparison("time_of_day", Operator.LESS_OR_EQUAL, Constant(end))
    if start is None:
        return until
    if start == end:
        faults.add(
            "schedule.to",
            '"from" and "to" are equal: that would be a window of one minute.',
            "Move one of them, or remove both to mean the whole day.",
        )
    if start > end:
        return AnyOf((_at_least("time_of_day", start), until))
    return Comparison("time_of_day", Operator.BETWEEN, Interval(start, end))


def _time(raw: Mapping[Any, Any], key: str, faults: Faults) -> float | None:
    if key not in raw:
        return None
    text = raw[key]
    minutes = minutes_of(text) if isinstance(text, str) else None
    if minutes is None:
        faults.add(f"schedule.{key}", f"{quoted(text)} is not a time of day.", 'Write "HH:MM", as "09:45".')
    return minutes


def _at_least(field: str, minutes: float) -> Comparison:
    return Comparison(field, Operator.GREATER_OR_EQUAL, Constant(float(minutes)))
