"""The gate of the language: a rule is stored only when it says something that can be carried out.

Every mistake comes back at once with its JSON path, the reason and a suggestion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypedDict

from rules.core.action_checks import check_actions
from rules.core.conditions import read_conditions
from rules.core.cooldown import check_cooldown
from rules.core.faults import Fault, Faults, check_keys, check_text, did_you_mean, quoted, read_whole_number
from rules.core.language import RULE_TYPES, RuleType
from rules.core.schedule import check_schedule

NAME_CHARACTERS_MAX = 255
PRIORITY_MAX = 2**31 - 1

_KEYS = ("name", "rule_type", "type", "priority", "conditions", "actions", "schedule", "cooldown")


class NormalizedRule(TypedDict):
    """A rule as it is stored: every key there, numbers as int or float, `type` gone."""

    name: str
    rule_type: str
    priority: int
    conditions: list[Any]
    actions: list[Any]
    schedule: dict[str, Any] | None
    cooldown: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """Either the normalised rule, or what is wrong with it (never both, never neither)."""

    rule: NormalizedRule | None
    errors: tuple[Fault, ...]

    def error_dicts(self) -> list[dict[str, str | None]]:
        """`errors` of a problem document."""
        return [fault.as_dict() for fault in self.errors]


def check_rule(raw: object) -> ValidationResult:
    """Validate a whole rule as it came in JSON; only the rule's own keys may be there."""
    faults = Faults()
    if not isinstance(raw, Mapping):
        faults.add("", f"{quoted(raw)} is not a rule.", 'Write {"name": …, "rule_type": …, …}.')
        return ValidationResult(None, tuple(faults.found))
    check_keys(raw, "", known=_KEYS, required=("name", "conditions", "actions"), faults=faults)
    if "name" in raw:
        check_text(raw["name"], "name", characters_max=NAME_CHARACTERS_MAX, faults=faults)
    rule_type = _read_rule_type(raw, faults)
    priority = read_whole_number(
        raw.get("priority", 0),
        "priority",
        minimum=-PRIORITY_MAX,
        maximum=PRIORITY_MAX,
        what="a priority",
        faults=faults,
    )
    schedule, cooldown = raw.get("schedule"), raw.get("cooldown")
    check_schedule(schedule, faults)
    check_cooldown(cooldown, faults)
    if "conditions" in raw:
        read_conditions(raw["conditions"], faults)
    if "actions" in raw:
        check_actions(raw["actions"], rule_type, faults, has_cooldown=cooldown is not None)
    if faults.found or rule_type is None or priority is None:
        return ValidationResult(None, tuple(faults.found))
    rule = NormalizedRule(
        name=raw["name"],
        rule_type=rule_type.value,
        priority=priority,
        conditions=_plain(raw["conditions"]),
        actions=_plain(raw["actions"]),
        schedule=_plain(schedule),
        cooldown=_plain(cooldown),
    )
    return ValidationResult(rule, ())


def _read_rule_type(raw: Mapping[Any, Any], faults: Faults) -> RuleType | None:
    given = [key for key in ("rule_type", "type") if key in raw]
    if not given:
        faults.add("", 'The key "rule_type" is missing.', 'Add "rule_type": "entry", "exit" or "risk".')
        return None
    if len(given) == 2 and raw["rule_type"] != raw["type"]:
        faults.add("type", '"type" is an alias of "rule_type", and the two differ.', 'Keep only "rule_type".')
        return None
    value = raw[given[0]]
    rule_type = RULE_TYPES.get(value) if isinstance(value, str) else None
    if rule_type is None:
        faults.add(given[0], f"Unknown rule type {quoted(value)}.", did_you_mean(value, RULE_TYPES))
    return rule_type


def _plain(raw: Any) -> Any:
    """A copy of validated JSON in plain types, so that what is stored is what was checked."""
    if isinstance(raw, Mapping):
        return {key: _plain(value) for key, value in raw.items()}
    if isinstance(raw, list | tuple):
        return [_plain(item) for item in raw]
    if isinstance(raw, Decimal):
        return int(raw) if raw == int(raw) else float(raw)
    return raw
