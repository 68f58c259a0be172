"""Actions: what a rule asks for when it fires.

A rule has never heard of an order: it asks for a side and a size, or for an
alert, and somebody else sizes, checks and sends. What this version cannot carry
out is refused when the rule is written, never skipped when it fires.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from journal.core.events import SEVERITIES, Severity
from rules.core.faults import Faults, check_keys, check_text, did_you_mean, quoted, read_number
from rules.core.language import RuleType

ACTIONS_MAX = 8
MESSAGE_CHARACTERS_MAX = 500
FIXED_SIZE_MAX = 10**9
SIZE_UNITS = ("shares", "cash")

Side = Literal["buy", "sell"]

_SIDES_OF: Mapping[RuleType, Side] = {RuleType.ENTRY: "buy", RuleType.EXIT: "sell", RuleType.RISK: "sell"}
_METHODS_OF: Mapping[str, tuple[str, ...]] = {
    "buy": ("fixed", "percentage"),
    "sell": ("fixed", "percentage", "full_position"),
}
_TRADE_KEYS = ("type", "sizing_method", "size_value", "size_unit", "max_position_size", "order_type")
_ALERT_KEYS = ("type", "message", "severity")
# Words of the language that this version does not carry out yet.
_LATER_TYPES = frozenset({"block_entries", "reduce", "halt"})
_LATER_METHODS = frozenset({"kelly", "volatility_target", "risk_per_trade"})
_LATER_ORDER_TYPES = frozenset({"limit", "stop", "stop_limit"})
_LATER_KEYS = frozenset({"limit_offset_bps", "stop_loss_percentage", "take_profit_percentage"})
LATER = "is not available in this version"


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """A wish to trade one symbol.

    `size_value` is in shares or cash (`size_unit`) when the method is `fixed`, in
    percent of equity when it is `percentage`, and None for `full_position`.
    `max_position_size` is in percent of equity.
    """

    symbol: str
    side: Side
    sizing_method: str
    size_value: Decimal | None
    size_unit: str | None
    max_position_size: Decimal | None
    order_type: str


@dataclass(frozen=True, slots=True)
class AlertRequest:
    """A wish to tell people; `symbol` is None when the rule speaks of the whole portfolio."""

    symbol: str | None
    severity: Severity
    message: str


def asks_for_trade(actions: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any of the actions asks for a trade."""
    return any(action["type"] in _METHODS_OF for action in actions)


def requests_of(
    actions: Sequence[Mapping[str, Any]], *, symbol: str | None, held: Iterable[str]
) -> list[ActionRequest | AlertRequest]:
    """What validated actions ask for.

    `symbol` None stands for a rule that fired for the portfolio as a whole: it
    alerts once, and sells every symbol in `held`, in the order of their names.
    """
    targets = sorted(held) if symbol is None else [symbol]
    requests: list[ActionRequest | AlertRequest] = []
    for action in actions:
        if action["type"] == "alert":
            requests.append(AlertRequest(symbol, action.get("severity", "info"), action["message"]))
            continue
        requests.extend(
            ActionRequest(
                symbol=target,
                side=action["type"],
                sizing_method=action["sizing_method"],
                size_value=_decimal(action.get("size_value")),
                size_unit=action.get("size_unit"),
                max_position_size=_decimal(action.get("max_position_size")),
                order_type=action.get("order_type", "market"),
            )
            for target in targets
        )
    return requests


def check_actions(raw: object, rule_type: RuleType | None, faults: Faults) -> None:
    """Add a fault for everything in the list that would not be carried out.

    `rule_type` is None when the rule's own type is wrong; sides are then not checked.
    """
    if not isinstance(raw, list | tuple):
        faults.add("actions", f"{quoted(raw)} is not a list of actions.", "Write [ … ].")
        return
    if not 1 <= len(raw) <= ACTIONS_MAX:
        faults.add(
            "actions", f"A rule has 1 to {ACTIONS_MAX} actions, found {len(raw)}.", "Add or remove some."
        )
        return
    traded = 0
    for index, action in enumerate(raw):
        path = f"actions[{index}]"
        if not isinstance(action, Mapping):
            faults.add(path, f"{quoted(action)} is not an action.", 'Write {"type": …}.')
            continue
        kind = action.get("type")
        if kind == "alert":
            _check_alert(action, path, faults)
        elif kind in ("buy", "sell"):
            traded += 1
            _check_trade(action, kind, path, rule_type, faults)
            if traded == 2:
                faults.add(
                    path, "A rule makes at most one trade per symbol.", "Put the second in a rule of its own."
                )
        else:
            _refuse_type(action, path, rule_type, faults)


def _refuse_type(action: Mapping[str, Any], path: str, rule_type: RuleType | None, faults: Faults) -> None:
    kind = action.get("type")
    usable = ("alert", _SIDES_OF[rule_type]) if rule_type else ("alert", "buy", "sell")
    if "type" not in action:
        faults.add(path, 'The key "type" is missing.', 'Add "type".')
    elif isinstance(kind, str) and kind in _LATER_TYPES:
        faults.add(f"{path}.type", f'"{kind}" {LATER}.', "Use one of: " + ", ".join(usable) + ".")
    else:
        faults.add(f"{path}.type", f"Unknown action {quoted(kind)}.", did_you_mean(kind, usable))


def _check_alert(action: Mapping[str, Any], path: str, faults: Faults) -> None:
    if not check_keys(action, path, known=_ALERT_KEYS, required=("message",), faults=faults):
        return
    check_text(action["message"], f"{path}.message", characters_max=MESSAGE_CHARACTERS_MAX, faults=faults)
    _check_choice(action.get("severity", "info"), f"{path}.severity", SEVERITIES, faults)


def _check_trade(
    action: Mapping[str, Any], side: str, path: str, rule_type: RuleType | None, faults: Faults
) -> None:
    for key in sorted(_LATER_KEYS.intersection(action)):
        faults.add(f"{path}.{key}", f'"{key}" {LATER}.', "Remove it.")
    plain = {key: value for key, value in action.items() if key not in _LATER_KEYS}
    if not check_keys(plain, path, known=_TRADE_KEYS, required=("sizing_method",), faults=faults):
        return
    if rule_type is not None and _SIDES_OF[rule_type] != side:
        article = "An" if rule_type is not RuleType.RISK else "A"
        faults.add(
            f"{path}.type",
            f"{article} {rule_type} rule does not {side}.",
            f'Use "{_SIDES_OF[rule_type]}", or another rule_type.',
        )
    order_type = action.get("order_type", "market")
    _check_choice(order_type, f"{path}.order_type", ("market",), faults, later=_LATER_ORDER_TYPES)
    method = action["sizing_method"]
    if _check_choice(method, f"{path}.sizing_method", _METHODS_OF[side], faults, later=_LATER_METHODS):
        _check_size(action, method, path, faults)
    if "max_position_size" in action:
        if side == "sell":
            faults.add(f"{path}.max_position_size", "A sell is not bounded by a position size.", "Remove it.")
        else:
            _check_above_zero(
                action["max_position_size"], f"{path}.max_position_size", 100, "percent", faults
            )


def _check_size(action: Mapping[str, Any], method: str, path: str, faults: Faults) -> None:
    size_path, unit_path = f"{path}.size_value", f"{path}.size_unit"
    if method == "full_position":
        for key in ("size_value", "size_unit"):
            if key in action:
                faults.add(
                    f"{path}.{key}", f'"full_position" sells all there is; "{key}" is ignored.', "Remove it."
                )
        return
    if "size_value" not in action:
        faults.add(path, 'The key "size_value" is missing.', 'Add "size_value".')
    if method == "percentage":
        if "size_unit" in action:
            faults.add(unit_path, '"percentage" is always of equity; "size_unit" is ignored.', "Remove it.")
        if "size_value" in action:
            _check_above_zero(action["size_value"], size_path, 100, "percent of equity", faults)
        return
    if "size_unit" not in action:
        faults.add(path, '"fixed" needs "size_unit".', 'Add "size_unit": "shares" or "cash".')
    else:
        _check_choice(action["size_unit"], unit_path, SIZE_UNITS, faults)
    if "size_value" in action:
        _check_above_zero(action["size_value"], size_path, FIXED_SIZE_MAX, "shares or cash", faults)


def _check_above_zero(raw: object, path: str, maximum: int, unit: str, faults: Faults) -> None:
    number = read_number(raw, path, faults)
    if number is not None and not 0 < number <= maximum:
        cure = f"Use a value above 0, up to {maximum}."
        faults.add(path, f"{number:g} {unit} is not a possible size.", cure)


def _check_choice(
    raw: object, path: str, known: Sequence[str], faults: Faults, *, later: frozenset[str] = frozenset()
) -> bool:
    if isinstance(raw, str) and raw in known:
        return True
    if isinstance(raw, str) and raw in later:
        faults.add(path, f'"{raw}" {LATER}.', "Use one of: " + ", ".join(known) + ".")
    else:
        faults.add(path, f"{quoted(raw)} is not known here.", did_you_mean(raw, known))
    return False


def _decimal(number: float | int | None) -> Decimal | None:
    # Through the text: Decimal(0.1) would carry the float's binary tail into money.
    return None if number is None else Decimal(str(number))
