"""The page docs/rule-language.md, made from the language itself.

    python -m rules.documentation > docs/rule-language.md

The words stand in `rule_language.template.md`; what can be computed from the
catalogue and the language's constants is put in here, so the page cannot lag
behind. A test holds the committed page equal to this.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template

from journal.core.events import SEVERITIES
from rules.core.action_checks import BUY_ONLY, COMPANIONS, LIMIT_OFFSET, REDUCE, SIZES, Bounds
from rules.core.actions import ACTION_TYPES, ACTIONS_MAX, MESSAGE_CHARACTERS_MAX, METHODS_OF, TYPES_OF
from rules.core.cooldown import COOLDOWN_MINUTES_MAX
from rules.core.description import describe
from rules.core.fields import CATALOGUE, FieldKind, FieldSpec, FieldType
from rules.core.language import (
    CHOICES_MAX,
    CONDITIONS_MAX,
    NESTING_MAX,
    TESTS_MAX,
    TIMES_MAX,
    Operator,
    RuleType,
    suitable_operators,
)
from rules.core.schedule import MINUTES_MAX
from rules.core.telling import Outcome, joined
from rules.core.validation import NAME_CHARACTERS_MAX, PRIORITY_MAX, check_rule

TEMPLATE = Path(__file__).parent / "rule_language.template.md"

_OPERATORS: Mapping[Operator, tuple[str, str]] = {
    Operator.EQUALS: ("the fact is the value", "one value"),
    Operator.NOT_EQUALS: ("the fact is not the value", "one value"),
    Operator.GREATER_THAN: ("above it", "one value"),
    Operator.GREATER_OR_EQUAL: ("above it, or equal", "one value"),
    Operator.LESS_THAN: ("below it", "one value"),
    Operator.LESS_OR_EQUAL: ("below it, or equal", "one value"),
    Operator.BETWEEN: ("both ends belong to it", "`[low, high]`"),
    Operator.IN: ("the fact is one of them", "a list"),
    Operator.NOT_IN: ("the fact is none of them", "a list"),
    Operator.CROSSES_ABOVE: ("at most the value at the bar before, above it at the last bar", "one value"),
    Operator.CROSSES_BELOW: ("at least the value at the bar before, below it at the last bar", "one value"),
    Operator.CHANGED_TO: ("not the value at the bar before, the value at the last bar", "one value"),
}
_LITERALS: Mapping[FieldType, str] = {
    FieldType.NUMBER: "a number: `0.8`",
    FieldType.INTEGER: "a whole number: `5`",
    FieldType.PERCENTAGE: "a number of percent: `5` is 5 %",
    FieldType.ORDERED_ENUM: 'a word: `"BUY"`; the words have an order',
    FieldType.TIME_OF_DAY: '`"HH:MM"`: no equality, for that would depend on who looks when',
    FieldType.WEEKDAY: '`"MONDAY"` to `"SUNDAY"`: no order, for weeks go round',
}
_SIZES: Mapping[str, str] = {
    "fixed": "`size_unit` is `shares` or `cash`",
    "percentage": "that part of equity",
    "kelly": "that fraction of the full Kelly bet",
    "volatility_target": "the annualised volatility that the position may add, as part of equity",
    "risk_per_trade": "the part of equity that the buy adds to the loss when the stop is hit",
    "full_position": "all that is held; no `size_value`",
}
_TRUTH: Mapping[Outcome, str] = {True: "true", False: "false", None: "unknown"}


def rule_language() -> str:
    """The whole page as Markdown."""
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        operators=_operators(),
        types=_types(),
        truth=_truth(),
        fields="\n\n".join(_fields(kind) for kind in FieldKind),
        matrix=_matrix(),
        sizes=_sizes(),
        trade_keys=_trade_keys(),
        reduce=_table(("key", "range"), ((f"`{key}`", _range(bounds)) for key, bounds in REDUCE.items())),
        ACTIONS_MAX=ACTIONS_MAX,
        CHOICES_MAX=CHOICES_MAX,
        CONDITIONS_MAX=CONDITIONS_MAX,
        COOLDOWN_MINUTES_MAX=COOLDOWN_MINUTES_MAX,
        MESSAGE_CHARACTERS_MAX=MESSAGE_CHARACTERS_MAX,
        MINUTES_MAX=MINUTES_MAX,
        NAME_CHARACTERS_MAX=NAME_CHARACTERS_MAX,
        NESTING_MAX=NESTING_MAX,
        PRIORITY_MAX=PRIORITY_MAX,
        SEVERITIES=", ".join(f"`{severity}`" for severity in SEVERITIES),
        TESTS_MAX=TESTS_MAX,
        TIMES_MAX=f"{TIMES_MAX:,}",
    )
    return re.sub(r"```json\n(.*?)```\n", _with_words, text, flags=re.DOTALL)


def _with_words(block: re.Match[str]) -> str:
    """A whole rule is followed by what it says."""
    rule = check_rule(json.loads(block[1])).rule
    return block[0] if rule is None else f"{block[0]}\nIn plain English: “{describe(rule)}”\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _operators() -> str:
    rows = ((f"`{operator}`", *_OPERATORS[operator]) for operator in Operator)
    return _table(("operator", "true when", "value"), rows)


def _types() -> str:
    rows = []
    for type_ in FieldType:
        specs = [spec for spec in CATALOGUE.values() if spec.type is type_]
        suitable = [
            operator for operator in Operator if any(operator in suitable_operators(spec) for spec in specs)
        ]
        rows.append((f"`{type_}`", _LITERALS[type_], ", ".join(f"`{operator}`" for operator in suitable)))
    return _table(("type", "value", "operators"), rows)


def _truth() -> str:
    outcomes: tuple[Outcome, ...] = (True, False, None)
    rows = (
        (
            _TRUTH[one],
            _TRUTH[other],
            _TRUTH[joined([one, other], decisive=False)],
            _TRUTH[joined([one, other], decisive=True)],
            _TRUTH[None if one is None else not one],
        )
        for one in outcomes
        for other in outcomes
    )
    return _table(("A", "B", "`all` of A, B", "`any` of A, B", "`not` A"), rows)


def _fields(kind: FieldKind) -> str:
    specs = [spec for spec in CATALOGUE.values() if spec.kind is kind]
    head = ("field", "type", "unit", "range", "meaning", "formula", "computed in", "reference")
    rows = (
        (
            f"`{spec.name}`",
            f"`{spec.type}`",
            spec.unit,
            _possible(spec),
            spec.meaning + (" Also kept for completed bars." if spec.completed_bars else ""),
            spec.formula,
            f"`{spec.source}`",
            spec.reference,
        )
        for spec in specs
    )
    return f"### {kind.capitalize()}\n\n{_table(head, rows)}"


def _possible(spec: FieldSpec) -> str:
    if spec.choices:
        return ", ".join(f"`{choice}`" for choice in spec.choices)
    if spec.type is FieldType.TIME_OF_DAY:
        return "`00:00` to `23:59`"
    low = "" if spec.minimum is None else f"{spec.minimum:g}"
    high = "" if spec.maximum is None else f"{spec.maximum:g}"
    return (
        f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}" if high else "any"
    )


def _matrix() -> str:
    rows = (
        (f"`{action}`", *("yes" if action in TYPES_OF[rule_type] else "" for rule_type in RuleType))
        for action in ACTION_TYPES
    )
    return _table(("action", *(f"`{rule_type}`" for rule_type in RuleType)), rows)


def _sizes() -> str:
    rows = []
    for method, meaning in _SIZES.items():
        sides = [side for side, methods in METHODS_OF.items() if method in methods]
        needs = (
            "`size_unit`" if method == "fixed" else f"`{COMPANIONS[method]}`" if method in COMPANIONS else ""
        )
        size = _range(SIZES[method]) if method in SIZES else ""
        rows.append((f"`{method}`", ", ".join(sides), size, needs, meaning))
    return _table(("`sizing_method`", "for", "`size_value`", "needs", "meaning"), rows)


def _trade_keys() -> str:
    rows = [(f"`{key}`", "buy", _range(bounds)) for key, bounds in BUY_ONLY.items()]
    rows.append(("`order_type`", "buy, sell", "`market` (if absent) or `limit`"))
    rows.append(
        ("`limit_offset_bps`", "buy, sell", f"{_range(LIMIT_OFFSET)}; with `limit` only, and needed there")
    )
    return _table(("key", "for", "range"), rows)


def _range(bounds: Bounds) -> str:
    low = f"above {bounds.low:,.12g}" if bounds.low_open else f"from {bounds.low:,.12g}"
    high = f"below {bounds.high:,.12g}" if bounds.high_open else f"up to {bounds.high:,.12g}"
    return f"{low}, {high} {bounds.unit}"


if __name__ == "__main__":
    sys.stdout.write(rule_language())
