"""A rule in plain English, for those who approve it: one sentence, and a second for schedule and cooldown.

"When the AI says STRONG_BUY with confidence above 80 % and more than 10 % of the
portfolio is cash, buy 5 % of equity, up to 10 % in one position."

Everything that decides is told; the words for comparisons stand in `rules.core.phrases`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rules.core.actions import asks_for_trade, blocks_entries
from rules.core.conditions import parse_conditions
from rules.core.cooldown import PER_RULE
from rules.core.fields import CATALOGUE, FieldKind
from rules.core.language import AllOf, AnyOf, Comparison, Node, Not, Operator, fields_of
from rules.core.phrases import clause_of, listed, number_text, phrase_of
from rules.core.source import looks_everywhere
from rules.core.validation import check_rule

MESSAGE_CHARACTERS_SHOWN_MAX = 80

# "not above" is "at most", known or unknown; crossings have no opposite.
_OPPOSITE: Mapping[Operator, Operator] = {
    Operator.EQUALS: Operator.NOT_EQUALS,
    Operator.NOT_EQUALS: Operator.EQUALS,
    Operator.GREATER_THAN: Operator.LESS_OR_EQUAL,
    Operator.LESS_OR_EQUAL: Operator.GREATER_THAN,
    Operator.LESS_THAN: Operator.GREATER_OR_EQUAL,
    Operator.GREATER_OR_EQUAL: Operator.LESS_THAN,
    Operator.IN: Operator.NOT_IN,
    Operator.NOT_IN: Operator.IN,
}
_SPANS = ((1440, "day"), (60, "hour"), (1, "minute"))
_WITH_CONFIDENCE = frozenset({Operator.EQUALS, Operator.GREATER_OR_EQUAL, Operator.LESS_OR_EQUAL})
_CONFIDENCE = "the AI's confidence is "
# What a symbol itself has: "the RSI of a held symbol". Longest first, for one may begin with another.
_OF_SYMBOL = sorted(
    (phrase_of(name).noun for name, spec in CATALOGUE.items() if spec.kind is FieldKind.MARKET),
    key=len,
    reverse=True,
)
# A message stands in curly quotes; its own must not seem to end it.
_PLAIN_QUOTES = str.maketrans("“”„‟", '""""')


def describe(rule: Mapping[str, Any]) -> str:
    """What a validated rule says. A stored rule that this version cannot read is told as such."""
    if check_rule({**rule, "name": "Any"}).rule is None:
        return "This version does not understand this rule any more."
    conditions = parse_conditions(rule["conditions"])
    about_portfolio = _is_about_portfolio(conditions)
    whole = about_portfolio and (rule["rule_type"] == "risk" or not asks_for_trade(rule["actions"]))
    told, it = _told(conditions, nested=False), "the position"
    if whole:
        it = "every position"
    elif not _looks_everywhere(rule["rule_type"], rule["actions"]):
        told, it = (told, "each held position") if about_portfolio else (_of_held(told), "it")
    told = told.replace("the position", "a position", 1)
    actions = [_action(action, it=it, whole=whole) for action in rule["actions"]]
    sentence = f"When {told}, {_joined(actions)}."
    sells_each = whole and asks_for_trade(rule["actions"])
    rest = _cooldown(rule.get("cooldown"), whole=whole, sells_each=sells_each)
    when = _schedule(rule.get("schedule"))
    if when or rest:
        sentence += f" It {' and '.join(filter(None, (when, rest)))}."
    return sentence


def _is_about_portfolio(node: Node) -> bool:
    return all(CATALOGUE[name].kind is FieldKind.PORTFOLIO for name in fields_of(node))


def _looks_everywhere(rule_type: str, actions: Sequence[Mapping[str, Any]]) -> bool:
    return looks_everywhere(rule_type, trades=asks_for_trade(actions), blocks=blocks_entries(actions))


def _of_held(told: str) -> str:
    """The conditions with a word on whose they are: what is true of any other symbol does not count."""
    if "the position" in told:
        return told
    noun = next((noun for noun in _OF_SYMBOL if told.startswith(noun + " ")), None)
    return (
        f"for a held symbol {told}" if noun is None else f"{noun} of a held symbol{told.removeprefix(noun)}"
    )


# --- conditions -----------------------------------------------------------------------------------


def _told(node: Node, *, nested: bool) -> str:
    """The node in words. A group of several inside another one stands in parentheses."""
    if isinstance(node, Comparison):
        return clause_of(node)
    if isinstance(node, Not):
        return _denied(node.node, nested=nested)
    if len(node.nodes) == 1:
        return _told(node.nodes[0], nested=nested)
    parts = [_told(child, nested=True) for child in node.nodes]
    if isinstance(node, AllOf):
        text = listed(_with_confidence(node.nodes, parts), " and ")
    else:
        text = listed(parts, " or ")
        if not nested:
            return f"either {text}"
    return f"({text})" if nested else text


def _denied(node: Node, *, nested: bool) -> str:
    if isinstance(node, Not):
        return _told(node.node, nested=nested)
    if isinstance(node, Comparison) and node.operator in _OPPOSITE:
        return _told(replace(node, operator=_OPPOSITE[node.operator]), nested=nested)
    if isinstance(node, AllOf | AnyOf) and len(node.nodes) == 1:
        return _denied(node.nodes[0], nested=nested)
    told = _told(node, nested=True)
    # Beside others it must be seen how far the "not" goes.
    return f"it is not true that {f'({told})' if nested and not told.startswith('(') else told}"


def _with_confidence(nodes: Sequence[Node], parts: list[str]) -> list[str]:
    """ "the AI says BUY" and "the AI's confidence is above 80 %", one behind the other, are one clause."""
    joined: list[str] = []
    for place, part in enumerate(parts):
        if place > 0 and _is_advice(nodes[place - 1]) and part.startswith(_CONFIDENCE):
            joined[-1] += " with confidence " + part.removeprefix(_CONFIDENCE)
        else:
            joined.append(part)
    return joined


def _is_advice(node: Node) -> bool:
    """Only a plain "says": "does not say SELL with confidence above 80 %" would be something else."""
    return (
        isinstance(node, Comparison)
        and node.field == "ai_recommendation"
        and node.operator in _WITH_CONFIDENCE
    )


# --- actions --------------------------------------------------------------------------------------


def _action(action: Mapping[str, Any], *, it: str, whole: bool) -> str:
    match action["type"]:
        case "buy":
            return _bought(action)
        case "sell":
            return _sold(action, it) + _order(action)
        case "reduce" if "percentage" in action:
            return f"sell {number_text(action['percentage'])} % of {it}"
        case "reduce":
            return f"reduce {it} to {number_text(action['to_position_size'])} % of equity"
        case "block_entries":
            return "let no rule buy anything" if whole else "let no rule buy the symbol"
        case "halt":
            what = "all trading" if action.get("mode") == "halt" else "all buying"
            return f"stop {what} of the portfolio until a risk officer releases it"
    return _alerted(action)


def _bought(action: Mapping[str, Any]) -> str:
    size = number_text(action["size_value"])
    told = {
        "fixed": _shares(size) if action.get("size_unit") == "shares" else f"for {size} in cash",
        "percentage": f"{size} % of equity",
        "kelly": f"{number_text(action['size_value'] * 100)} % of the Kelly size",
        "volatility_target": f"what adds {size} % of equity in volatility per year",
        "risk_per_trade": f"what loses {size} % of equity when the stop is hit",
    }[action["sizing_method"]]
    text = f"buy {told}{_order(action)}"
    if "max_position_size" in action:
        text += f", up to {number_text(action['max_position_size'])} % in one position"
    return text + _protected(action)


def _protected(action: Mapping[str, Any]) -> str:
    """Where the position that was bought is sold again."""
    of_entry = [
        f"{number_text(action[key])} % {side}"
        for key, side in (("stop_loss_percentage", "below"), ("take_profit_percentage", "above"))
        if key in action
    ]
    ends = [f"{' or '.join(of_entry)} the average entry price"] if of_entry else []
    if "trailing_stop_percentage" in action:
        ends.append(f"{number_text(action['trailing_stop_percentage'])} % below its highest price since then")
    return f", and sell it {', or '.join(ends)}" if ends else ""


def _sold(action: Mapping[str, Any], it: str) -> str:
    if action["sizing_method"] == "full_position":
        return f"sell {it}" if it == "every position" else f"sell all of {it}"
    size = number_text(action["size_value"])
    if action["sizing_method"] == "percentage":
        return f"sell as much of {it} as {size} % of equity"
    if action["size_unit"] == "shares":
        return f"sell {_shares(size)} of {it}"
    return f"sell {it} for {size} in cash"


def _shares(size: str) -> str:
    return "1 share" if size == "1" else f"{size} shares"


def _order(action: Mapping[str, Any]) -> str:
    if action.get("order_type", "market") == "market":
        return ""
    offset = action["limit_offset_bps"]
    if offset == 0:
        return " with a limit at the last price"
    below = (offset > 0) is (action["type"] == "buy")  # better is below for a buy, above for a sell
    return f" with a limit {number_text(abs(offset))} basis points {'below' if below else 'above'} the last price"


def _alerted(action: Mapping[str, Any]) -> str:
    message = action["message"].translate(_PLAIN_QUOTES)
    if len(message) > MESSAGE_CHARACTERS_SHOWN_MAX:
        message = message[: MESSAGE_CHARACTERS_SHOWN_MAX - 1] + "…"
    severity = action.get("severity", "info")
    kind = {"info": "an alert", "warning": "a warning", "critical": "a critical alert"}[severity]
    return f"send {kind}: “{message}”"


def _joined(actions: Sequence[str]) -> str:
    """Actions of several parts are told apart by one more comma."""
    joint = ", and " if any("," in action or " until " in action for action in actions) else " and "
    return listed(actions, joint)


# --- schedule and cooldown ------------------------------------------------------------------------


def _schedule(schedule: Mapping[str, Any] | None) -> str:
    if not schedule:
        return ""
    days = sorted(schedule.get("weekdays", ()), key=CATALOGUE["weekday"].choices.index)
    on_days = "on " + listed([day.capitalize() for day in days], " or ") if days else ""
    parts = [" ".join(filter(None, (on_days, _window(schedule.get("from"), schedule.get("to")))))]
    for key, end in (("minutes_after_open", "after the open"), ("minutes_before_close", "before the close")):
        if key in schedule:
            minutes = schedule[key]
            parts.append(f"{_minutes(minutes)} or more {end}" if minutes else "while the exchange is open")
    return "fires only " + listed([part for part in parts if part], " and ")


def _window(start: str | None, end: str | None) -> str:
    if start and end:
        return f"between {start} and {end}"
    return f"from {start} on" if start else f"until {end}" if end else ""


def _cooldown(cooldown: Mapping[str, Any] | None, *, whole: bool, sells_each: bool) -> str:
    if not cooldown:
        return ""
    rests = f"rests for {_minutes(cooldown['minutes'])}"
    if cooldown.get("per") == PER_RULE:
        return f"{rests}{'' if whole and not sells_each else ' for all symbols'} after it acted"
    if sells_each:
        return f"{rests} for each symbol that it sold"
    return f"{rests}{'' if whole else ' for that symbol'} after it acted"


def _minutes(minutes: int) -> str:
    size, name = next(unit for unit in _SPANS if minutes % unit[0] == 0)
    return f"{number_text(minutes // size)} {name}{'' if minutes == size else 's'}"
