"""A decision's record as tables that people can read: its reasons, its size, its risk checks."""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from foundation.admin.presentation import shown_number

DEPTH_MAX = 32
_NUMERIC = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_TINY = Decimal("0.001")
_GROUPS = {"all": "all of", "any": "any of", "not": "not"}


def _value(value: Any) -> str:
    """A fact or threshold: a number, a word, a list of them, or those of the last two bars."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return " → ".join(_value(value.get(name)) for name in ("previous", "last"))
    if isinstance(value, list | tuple):
        return ", ".join(_value(item) for item in value)
    text = str(value)
    if _NUMERIC.fullmatch(text):  # exact numbers are stored as text
        number = Decimal(text)
        return shown_number(number if abs(number) < _TINY else round(number, 4))
    return text


def condition_rows(tree: Mapping[str, Any], depth: int = 0) -> Iterator[dict[str, Any]]:
    """The tree of an explanation, flat: one row for each group and comparison, with its depth."""
    if depth > DEPTH_MAX:
        return
    outcome = tree.get("outcome")
    group = next((name for name in _GROUPS if name in tree), None)
    if group is not None:
        yield {"depth": depth, "group": _GROUPS[group], "outcome": outcome}
        children = tree[group]
        for child in [children] if isinstance(children, Mapping) else children:
            yield from condition_rows(child, depth + 1)
        return
    other = tree.get("compared_with") or {}
    times = "" if other.get("times") in (None, 1) else f"{_value(other['times'])} × "
    yield {
        "depth": depth,
        "field": tree.get("field", "?"),
        "operator": str(tree.get("operator", "?")).replace("_", " "),
        "fact": _value(tree.get("fact")),
        "threshold": _value(tree.get("threshold")),
        "other": f"{times}{other['field']}" if other.get("field") else "",
        "outcome": outcome,
    }


def conditions_table(explanation: Mapping[str, Any]) -> SafeString:
    return _tree_table(explanation.get("conditions"), explanation.get("sentence", ""))


def schedule_table(explanation: Mapping[str, Any]) -> SafeString:
    """A schedule is told as conditions on the time; nothing where the rule has none."""
    return _tree_table(explanation.get("schedule"), "")


def _tree_table(tree: Any, sentence: str) -> SafeString:
    rows = list(condition_rows(tree)) if isinstance(tree, Mapping) else []
    return render_to_string("trading/conditions.html", {"rows": rows, "sentence": sentence})


def arithmetic_table(sizing: Mapping[str, Any]) -> SafeString:
    rows = [(name.replace("_", " "), _value(value)) for name, value in sizing.items()]
    return render_to_string("trading/arithmetic.html", {"rows": rows})


def checks_table(checks: Sequence[Mapping[str, Any]]) -> SafeString:
    rows = [
        {**check, "value": _value(check.get("value")), "limit": _value(check.get("limit"))}
        for check in checks
    ]
    return render_to_string("trading/checks.html", {"rows": rows})
