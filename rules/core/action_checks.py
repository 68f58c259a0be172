"""Checking actions: every word that a rule may not say, or may not say there, with a cure.

The language accepts more than every version carries out; what may be put in
force is asked elsewhere. Here stands only what makes sense.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from journal.core.events import SEVERITIES
from rules.core.actions import (
    ACTION_TYPES,
    ACTIONS_MAX,
    FIXED_SIZE_MAX,
    HALT_MODES,
    LIMIT_OFFSET_BPS_MAX,
    MESSAGE_CHARACTERS_MAX,
    METHODS_OF,
    ORDER_TYPES,
    REDUCE_UNITS,
    SIZE_UNITS,
    TAKE_PROFIT_PERCENTAGE_MAX,
    TRADE_TYPES,
    TYPES_OF,
    Side,
)
from rules.core.faults import Faults, check_choice, check_keys, check_text, did_you_mean, quoted, read_number
from rules.core.language import RuleType


@dataclass(frozen=True, slots=True)
class Bounds:
    """A range of numbers in a unit; an open end does not belong to it."""

    low: float
    high: float
    unit: str
    low_open: bool = True
    high_open: bool = False

    def allow(self, number: float) -> bool:
        above = number > self.low if self.low_open else number >= self.low
        below = number < self.high if self.high_open else number <= self.high
        return above and below

    def cure(self, number: float) -> str:
        """What to write instead of a number outside: a likely slip, or the range."""
        if self.allow(-number):
            return f"Did you mean {-number:.12g}?"
        if self.high <= 1 and self.allow(number / 100):
            return f"Did you mean {number / 100:.12g}?"
        low = f"above {self.low:.12g}" if self.low_open else f"from {self.low:.12g}"
        high = f"and below {self.high:.12g}" if self.high_open else f"up to {self.high:.12g}"
        return f"Use a value {low} {high}."


_PERCENT_OF_EQUITY = Bounds(0, 100, "percent of equity")
SIZES: Mapping[str, Bounds] = {
    "fixed": Bounds(0, FIXED_SIZE_MAX, "shares or cash"),
    "percentage": _PERCENT_OF_EQUITY,
    "kelly": Bounds(0, 1, "of full Kelly"),
    "volatility_target": _PERCENT_OF_EQUITY,
    "risk_per_trade": _PERCENT_OF_EQUITY,
}
# What a method cannot work without: the cap of a bet that it may size at will, the distance to the stop.
COMPANIONS: Mapping[str, str] = {
    "kelly": "max_position_size",
    "volatility_target": "max_position_size",
    "risk_per_trade": "stop_loss_percentage",
}
BUY_ONLY: Mapping[str, Bounds] = {
    "max_position_size": _PERCENT_OF_EQUITY,
    "stop_loss_percentage": Bounds(0, 100, "percent below the entry price", high_open=True),
    "take_profit_percentage": Bounds(0, TAKE_PROFIT_PERCENTAGE_MAX, "percent above the entry price"),
    "trailing_stop_percentage": Bounds(
        0, 100, "percent below the highest price since the entry", high_open=True
    ),
}
LIMIT_OFFSET = Bounds(-LIMIT_OFFSET_BPS_MAX, LIMIT_OFFSET_BPS_MAX, "basis points", low_open=False)
REDUCE: Mapping[str, Bounds] = {
    "percentage": Bounds(0, 100, "percent of the position"),
    "to_position_size": Bounds(0, 100, "percent of equity", high_open=True),
}

TRADE_KEYS = (
    "type", "sizing_method", "size_value", "size_unit", "order_type", "limit_offset_bps", *BUY_ONLY,
)  # fmt: skip


def check_actions(raw: object, rule_type: RuleType | None, faults: Faults, *, has_cooldown: bool) -> None:
    """Add a fault for everything in the list that makes no sense.

    `rule_type` is None when the rule's own type is wrong; which type may do what is
    then not checked.
    """
    if not isinstance(raw, list | tuple):
        faults.add("actions", f"{quoted(raw)} is not a list of actions.", "Write [ … ].")
        return
    if not 1 <= len(raw) <= ACTIONS_MAX:
        faults.add(
            "actions", f"A rule has 1 to {ACTIONS_MAX} actions, found {len(raw)}.", "Add or remove some."
        )
        return
    kinds: list[str] = []
    for index, action in enumerate(raw):
        path = f"actions[{index}]"
        kind = _read_kind(action, path, rule_type, faults)
        if kind is None:
            continue
        _refuse_second(kind, kinds, path, faults)
        kinds.append(kind)
        if kind == "alert":
            _check_alert(action, path, faults)
        elif kind == "reduce":
            _check_reduce(action, path, faults, has_cooldown=has_cooldown)
        elif kind == "block_entries":
            check_keys(action, path, known=("type",), required=(), faults=faults)
        elif kind == "halt":
            check_keys(action, path, known=("type", "mode"), required=(), faults=faults)
            check_choice(action.get("mode", "reduce_only"), f"{path}.mode", HALT_MODES, faults)
        else:
            _check_trade(action, "buy" if kind == "buy" else "sell", path, faults)
    _refuse_idle_cooldown(kinds, len(raw), faults, has_cooldown=has_cooldown)
    _refuse_sale_behind_halt(raw, kinds, faults)


def _refuse_idle_cooldown(kinds: Sequence[str], actions: int, faults: Faults, *, has_cooldown: bool) -> None:
    if has_cooldown and len(kinds) == actions and set(kinds) == {"block_entries"}:
        faults.add(
            "cooldown",
            'A rule that only has "block_entries" never acts, so it would never rest.',
            "Remove it; the block is over as soon as the rule is no longer true.",
        )


def _refuse_sale_behind_halt(actions: Sequence[object], kinds: Sequence[str], faults: Faults) -> None:
    """A halt of mode "halt" lets no order out: not even the sale that the same rule asks for."""
    if not {"sell", "reduce"}.intersection(kinds):
        return
    for index, action in enumerate(actions):
        if isinstance(action, Mapping) and action.get("type") == "halt" and action.get("mode") == "halt":
            faults.add(
                f"actions[{index}].mode",
                'A "halt" of mode "halt" would stop the sale that the same rule asks for.',
                'Use the mode "reduce_only".',
            )


def _read_kind(action: object, path: str, rule_type: RuleType | None, faults: Faults) -> str | None:
    """The action's type when it is one of the language, whether or not the rule may use it."""
    if not isinstance(action, Mapping):
        faults.add(path, f"{quoted(action)} is not an action.", 'Write {"type": …}.')
        return None
    if "type" not in action:
        faults.add(path, 'The key "type" is missing.', 'Add "type".')
        return None
    kind = action["type"]
    usable = TYPES_OF[rule_type] if rule_type else ACTION_TYPES
    if not isinstance(kind, str) or kind not in ACTION_TYPES:
        faults.add(f"{path}.type", f"Unknown action {quoted(kind)}.", did_you_mean(kind, usable))
        return None
    if kind not in usable:
        article = "A" if rule_type is RuleType.RISK else "An"
        able = " or ".join(f'"{other}"' for other, kinds in TYPES_OF.items() if kind in kinds)
        faults.add(
            f"{path}.type",
            f'{article} {rule_type} rule has no action "{kind}".',
            f"Use one of: {', '.join(usable)}; or the rule_type {able}.",
        )
    return kind


def _refuse_second(kind: str, before: Sequence[str], path: str, faults: Faults) -> None:
    if kind in TRADE_TYPES and any(other in TRADE_TYPES for other in before):
        cure = "Put the second in a rule of its own."
        faults.add(path, "A rule makes at most one trade per symbol.", cure)
    elif kind in ("block_entries", "halt") and kind in before:
        faults.add(path, f'A rule has at most one "{kind}".', "Remove one of them.")


def _check_alert(action: Mapping[str, Any], path: str, faults: Faults) -> None:
    check_keys(action, path, known=("type", "message", "severity"), required=("message",), faults=faults)
    if "message" in action:
        check_text(action["message"], f"{path}.message", characters_max=MESSAGE_CHARACTERS_MAX, faults=faults)
    check_choice(action.get("severity", "info"), f"{path}.severity", SEVERITIES, faults)


def _check_reduce(action: Mapping[str, Any], path: str, faults: Faults, *, has_cooldown: bool) -> None:
    check_keys(action, path, known=("type", *REDUCE_UNITS), required=(), faults=faults)
    given = [key for key in REDUCE_UNITS if key in action]
    if len(given) != 1:
        faults.add(
            path,
            f'"reduce" has exactly one of "percentage" and "to_position_size", found {len(given)}.',
            "Keep one of them." if given else 'Add "to_position_size".',
        )
    for key in given:
        _check_number(action[key], f"{path}.{key}", REDUCE[key], faults)
    if "percentage" in action and not has_cooldown:
        faults.add(
            f"{path}.percentage",
            "Without a rest, each evaluation would sell that part of the rest again.",
            'Add a "cooldown" to the rule, as {"minutes": 1440}, or use "to_position_size".',
        )


def _check_trade(action: Mapping[str, Any], side: Side, path: str, faults: Faults) -> None:
    check_keys(action, path, known=TRADE_KEYS, required=("sizing_method",), faults=faults)
    if "sizing_method" in action:
        _check_method(action, side, path, faults)
    for key, bounds in BUY_ONLY.items():
        if key in action and side == "sell":
            faults.add(f"{path}.{key}", f'A sell has no "{key}".', "Remove it.")
        elif key in action:
            _check_number(action[key], f"{path}.{key}", bounds, faults)
    order_type = action.get("order_type", "market")
    if not check_choice(order_type, f"{path}.order_type", ORDER_TYPES, faults):
        return
    offset_path = f"{path}.limit_offset_bps"
    if order_type == "market" and "limit_offset_bps" in action:
        cure = 'Remove it, or use the order_type "limit".'
        faults.add(offset_path, 'A "market" order has no "limit_offset_bps".', cure)
    elif order_type == "limit" and "limit_offset_bps" not in action:
        cure = 'Add "limit_offset_bps": 0 is the last price, positive is better than it.'
        faults.add(path, 'A "limit" order needs "limit_offset_bps".', cure)
    elif order_type == "limit":
        _check_number(action["limit_offset_bps"], offset_path, LIMIT_OFFSET, faults)


def _check_method(action: Mapping[str, Any], side: Side, path: str, faults: Faults) -> None:
    method, known = action["sizing_method"], METHODS_OF[side]
    if method in METHODS_OF["sell" if side == "buy" else "buy"] and method not in known:
        cure = "Use one of: " + ", ".join(known) + "."
        faults.add(f"{path}.sizing_method", f'"{method}" does not size a {side}.', cure)
        return
    if not check_choice(method, f"{path}.sizing_method", known, faults):
        return
    if method == "full_position":
        for key in ("size_value", "size_unit"):
            if key in action:
                message = f'"full_position" sells all there is and has no "{key}".'
                faults.add(f"{path}.{key}", message, "Remove it.")
        return
    if "size_value" in action:
        _check_number(action["size_value"], f"{path}.size_value", SIZES[method], faults)
    else:
        faults.add(path, f'"{method}" needs "size_value".', 'Add "size_value".')
    companion = COMPANIONS.get(method)
    if companion and companion not in action:
        faults.add(path, f'"{method}" needs "{companion}".', f'Add "{companion}".')
    _check_unit(action, method, path, faults)


def _check_unit(action: Mapping[str, Any], method: str, path: str, faults: Faults) -> None:
    if method == "fixed" and "size_unit" not in action:
        faults.add(path, '"fixed" needs "size_unit".', 'Add "size_unit": "shares" or "cash".')
    elif method == "fixed":
        check_choice(action["size_unit"], f"{path}.size_unit", SIZE_UNITS, faults)
    elif "size_unit" in action:
        faults.add(f"{path}.size_unit", f'"{method}" has no "size_unit".', "Remove it.")


def _check_number(raw: object, path: str, bounds: Bounds, faults: Faults) -> None:
    number = read_number(raw, path, faults)
    if number is not None and not bounds.allow(number):
        faults.add(path, f"{quoted(raw)} {bounds.unit} is not possible.", bounds.cure(number))
