"""Rules that the language accepts, made by Hypothesis: conditions, actions, schedules, cooldowns, whole rules.

Every literal is legal and many are at an edge of what is legal. Beside this module: `bad_rules` spoils one
place of a good rule, `scenes` sets rules among facts that meet their thresholds exactly.
"""

from functools import cache
from typing import Any

from hypothesis import strategies as st

from journal.core.events import SEVERITIES
from rules.core.fields import CATALOGUE, WEEKDAYS, FieldKind, FieldSpec, FieldType
from rules.core.language import (
    LIST_OPERATORS,
    NESTING_MAX,
    NUMBER_MAX,
    TIMES_MAX,
    Operator,
    comparable_fields,
    suitable_operators,
)

Json = dict[str, Any]
RULE_TYPES = ("entry", "exit", "risk")
TIMES = ("00:00", "09:30", "12:00", "23:59")
FACTORS = (1, 1.02, -0.5, 0.1, 1 / 3, TIMES_MAX, -TIMES_MAX, 1e-6, 5e-324)


@cache
def _suited(names: frozenset[str]) -> dict[Operator, tuple[str, ...]]:
    """The operators that suit any of the fields, each with those that it suits."""
    suited = {
        operator: tuple(sorted(name for name in names if operator in suitable_operators(CATALOGUE[name])))
        for operator in Operator
    }
    return {operator: some for operator, some in suited.items() if some}


@cache
def numbers_of(spec: FieldSpec) -> tuple[float | int, ...]:
    """Legal literals of a numeric field: both bounds and a few inside, so that facts often meet them."""
    low = -NUMBER_MAX if spec.minimum is None else spec.minimum
    high = NUMBER_MAX if spec.maximum is None else spec.maximum
    if spec.type is FieldType.INTEGER:
        some: tuple[float | int, ...] = (low, 0, 1, 2.0, 10, high)
    else:
        some = (low, -5, -0.0, 0, 5e-324, 0.1 + 0.2, 0.5, 0.8, 1, 2.0, 30, high)
    return tuple(dict.fromkeys(number for number in some if low <= number <= high))


def can_be_true(spec: FieldSpec, operator: Operator, literal: Any) -> bool:
    ends: tuple[Any, ...] = (spec.minimum, spec.maximum)
    if spec.choices:
        ends = (spec.choices[0], spec.choices[-1])
    elif spec.type is FieldType.TIME_OF_DAY:
        ends = ("00:00", None)
    too_low = literal == ends[0] and operator in {Operator.LESS_THAN, Operator.CROSSES_BELOW}
    too_high = literal == ends[1] and operator in {Operator.GREATER_THAN, Operator.CROSSES_ABOVE}
    return not (too_low or too_high)


def _literals(spec: FieldSpec) -> st.SearchStrategy[Any]:
    if spec.choices:
        return st.sampled_from(spec.choices)
    if spec.type is FieldType.TIME_OF_DAY:
        return st.sampled_from(TIMES)
    numbers = numbers_of(spec)
    if spec.type is FieldType.INTEGER:
        return st.sampled_from(numbers)
    return st.sampled_from(numbers) | st.floats(min(numbers), max(numbers))


_LITERALS = {name: _literals(spec) for name, spec in CATALOGUE.items()}


@st.composite
def comparisons(draw: st.DrawFn, names: frozenset[str] = frozenset(CATALOGUE)) -> Json:
    """One comparison of these fields: operator first, so that the rare ones are not rare."""
    suited = _suited(names)
    operator = draw(st.sampled_from(tuple(suited)))
    spec = CATALOGUE[draw(st.sampled_from(suited[operator]))]
    literals = _LITERALS[spec.name]
    alike = [name for name in comparable_fields(spec, operator) if name in names]
    value: Any
    if operator is Operator.BETWEEN:
        value = sorted((draw(literals), draw(literals)), key=spec.choices.index if spec.choices else None)
    elif operator in LIST_OPERATORS:
        value = draw(st.lists(literals, min_size=1, max_size=4))
    elif bool(alike) and draw(st.booleans()):
        value = {"field": draw(st.sampled_from(alike))}
        if draw(st.booleans()):
            value["times"] = draw(st.sampled_from(FACTORS))
    else:
        value = draw(literals.filter(lambda literal: can_be_true(spec, operator, literal)))
    return {"field": spec.name, "operator": operator.value, "value": value}


def _groups(child: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    group = st.lists(child, min_size=1, max_size=3)
    return st.one_of(
        group.map(lambda some: {"all": some}),
        group.map(lambda some: {"any": some}),
        child.map(lambda one: {"not": one}),
    )


def depth_of(node: Json) -> int:
    """How many levels a node has: 1 for a comparison."""
    children = node.get("all") or node.get("any") or ([node["not"]] if "not" in node else [])
    return 1 + max(map(depth_of, children), default=0)


@st.composite
def _wrapped(draw: st.DrawFn, inside: st.SearchStrategy[Json]) -> Json:
    """Now and then as deep as the language allows."""
    node = draw(inside)
    if draw(st.integers(0, 9)) == 9:
        for key in draw(st.lists(st.sampled_from(("all", "any", "not")), max_size=NESTING_MAX)):
            if depth_of(node) < NESTING_MAX:
                node = {key: node if key == "not" else [node]}
    return node


def _conditions(names: frozenset[str]) -> st.SearchStrategy[list[Json]]:
    nodes = _wrapped(st.recursive(comparisons(names), _groups, max_leaves=5))
    return st.lists(nodes, min_size=1, max_size=2)


conditions = _conditions(frozenset(CATALOGUE))
conditions_on_the_portfolio = _conditions(
    frozenset(name for name, spec in CATALOGUE.items() if spec.kind is FieldKind.PORTFOLIO)
)
# What of a symbol that is not held is known, beside what is not.
conditions_on_the_quantity = _conditions(
    frozenset({"position_quantity", "position_pnl_percentage", "volume", "portfolio_cash_percentage"})
)


_percents = st.sampled_from((5, 0.01, 12.5, 100))
_below_hundred = st.sampled_from((5, 0.01, 12.5, 99.99))
_SIZES: dict[str, Json] = {
    "fixed": {"size_value": st.sampled_from((0.001, 10, 10**9)), "size_unit": st.sampled_from(("shares", "cash"))},
    "percentage": {"size_value": _percents},
    "kelly": {"size_value": st.sampled_from((0.25, 1)), "max_position_size": _percents},
    "volatility_target": {"size_value": _percents, "max_position_size": _percents},
    "risk_per_trade": {"size_value": _percents, "stop_loss_percentage": _below_hundred},
    "full_position": {},
}  # fmt: skip
_BUY_BESIDE: Json = {
    "max_position_size": _percents,
    "stop_loss_percentage": _below_hundred,
    "take_profit_percentage": st.sampled_from((0.5, 50, 1000)),
    "trailing_stop_percentage": _below_hundred,
}
_ORDERS: st.SearchStrategy[Json] = st.one_of(
    st.just({}),
    st.just({"order_type": "market"}),
    st.fixed_dictionaries(
        {"order_type": st.just("limit"), "limit_offset_bps": st.sampled_from((-1000, -2.5, 0, 10, 1000))}
    ),
)


def _trades(side: str, methods: tuple[str, ...], beside: Json) -> st.SearchStrategy[Json]:
    sized = [
        st.fixed_dictionaries(
            {"type": st.just(side), "sizing_method": st.just(method), **_SIZES[method]},
            optional={key: values for key, values in beside.items() if key not in _SIZES[method]},
        )
        for method in methods
    ]
    return st.builds(lambda trade, order: {**trade, **order}, st.one_of(sized), _ORDERS)


buys = _trades(
    "buy", ("fixed", "percentage", "kelly", "volatility_target", "risk_per_trade"), _BUY_BESIDE
)  # fmt: skip
sells = _trades("sell", ("fixed", "percentage", "full_position"), {})
reductions = st.one_of(
    st.builds(lambda part: {"type": "reduce", "percentage": part}, _percents),
    st.builds(lambda part: {"type": "reduce", "to_position_size": part}, _below_hundred),
)
alerts = st.fixed_dictionaries(
    {"type": st.just("alert"), "message": st.sampled_from(("Look", "Verlust über 5 %", "急落", "x" * 500))},
    optional={"severity": st.sampled_from(SEVERITIES)},
)
halts = st.fixed_dictionaries(
    {"type": st.just("halt")},
    optional={"mode": st.sampled_from(("reduce_only", "halt"))},
)
_halts_beside_a_sale = halts.filter(lambda halt: halt.get("mode") != "halt")
_TRADES_OF = {"entry": buys, "exit": sells, "risk": sells | reductions}


@st.composite
def actions(draw: st.DrawFn, rule_type: str) -> list[Json]:
    """What a rule of this type may do, in any order: one trade, one block, one halt that lets it out, some alerts."""
    some = draw(st.lists(_TRADES_OF[rule_type], max_size=1))
    if rule_type == "risk":
        sells = bool(some)
        some += draw(st.lists(st.just({"type": "block_entries"}), max_size=1))
        some += draw(st.lists(_halts_beside_a_sale if sells else halts, max_size=1))
    some += draw(st.lists(alerts, min_size=0 if some else 1, max_size=2))
    return draw(st.permutations(some))


@st.composite
def schedules(draw: st.DrawFn) -> Json:
    """When a rule may fire, over midnight too; at least one key."""
    schedule: Json = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "weekdays": st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True),
                "from": st.sampled_from(TIMES),
                "to": st.sampled_from(TIMES),
                "minutes_after_open": st.sampled_from((0, 30, 1440)),
                "minutes_before_close": st.sampled_from((0, 15, 1440)),
            },
        )
    )
    if "from" in schedule and schedule["from"] == schedule.get("to"):
        del schedule["to"]
    return schedule or {"weekdays": [draw(st.sampled_from(WEEKDAYS))]}


cooldowns = st.fixed_dictionaries(
    {"minutes": st.sampled_from((1, 60, 525_600))},
    optional={"per": st.sampled_from(("symbol", "rule"))},
)
_names = st.sampled_from(("A rule", "Kaufen, wenn's läuft", "下落を買う", "x" * 255))
_priorities = st.sampled_from((0, 7, -1, 2**31 - 1, -(2**31 - 1)))


@st.composite
def rules(draw: st.DrawFn) -> Json:
    """A whole rule as somebody may write it."""
    rule_type = draw(st.sampled_from(RULE_TYPES))
    rule: Json = {
        "name": draw(_names),
        "conditions": draw(conditions),
        "actions": draw(actions(rule_type)),
    }
    for key in draw(st.sampled_from((("rule_type",), ("type",), ("rule_type", "type")))):
        rule[key] = rule_type
    if draw(st.booleans()):
        rule["priority"] = draw(_priorities)
    if draw(st.booleans()):
        rule["schedule"] = draw(st.none() | schedules())
    sells_a_part = any(action["type"] == "reduce" and "percentage" in action for action in rule["actions"])
    if sells_a_part:
        rule["cooldown"] = draw(cooldowns)
    elif rule["actions"] == [{"type": "block_entries"}]:
        rule.update(draw(st.sampled_from(({}, {"cooldown": None}))))
    elif draw(st.booleans()):
        rule["cooldown"] = draw(st.none() | cooldowns)
    return rule
