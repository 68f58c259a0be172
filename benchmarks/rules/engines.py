"""The specification's entry rule in other people's engines, and written out by hand.

Each is given the rules in its own form beforehand and is asked for many symbols in
its fastest way; what comes back is the same for all of them.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.peers import peer

Facts = dict[str, Any]
# For each symbol's facts, the places of the rules that are true.
Engine = Callable[[list[Facts]], list[list[int]]]

ZEN = ("zen-engine, compiled expressions", "zen-engine, one decision table")


def engines(thresholds: list[float], rules: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Engine]]:
    """Every engine by name; RuntimeError when they cannot be installed."""
    yield ZEN[0], _zen_expressions(thresholds)
    yield ZEN[1], _zen_table(thresholds)
    yield "rule-engine", _rule_engine(thresholds)
    yield "json-logic", _json_logic(rules)
    yield "business-rules", _business_rules(rules)
    yield "plain Python", _plain(thresholds)


def _one_by_one(rules: Iterable[Any], holds: Callable[[Any, Facts], Any]) -> Engine:
    kept = list(rules)
    return lambda facts: [[place for place, rule in enumerate(kept) if holds(rule, given)] for given in facts]


def _zen_expressions(thresholds: list[float]) -> Engine:
    zen = peer("zen")
    text = 'ai_recommendation == "STRONG_BUY" and confidence_score > {} and portfolio_cash_percentage > 10'
    compiled = [zen.compile_expression(text.format(threshold)) for threshold in thresholds]
    return _one_by_one(compiled, lambda rule, given: rule.evaluate(given))


def _zen_table(thresholds: list[float]) -> Engine:
    """All rules as rows of one table: what zen-engine does fastest, for it is asked once a symbol."""
    fields = ("ai_recommendation", "confidence_score", "portfolio_cash_percentage")
    content = {
        "hitPolicy": "collect",
        "inputs": [{"id": name, "name": name, "type": "expression", "field": name} for name in fields],
        "outputs": [{"id": "rule", "name": "rule", "type": "expression", "field": "rule"}],
        "rules": [
            {"_id": f"r{place}", **dict(zip(fields, ('"STRONG_BUY"', f"> {threshold}", "> 10"), strict=True))}
            | {"rule": str(place)}
            for place, threshold in enumerate(thresholds)
        ],
    }
    kinds = {"in": ("inputNode", None), "table": ("decisionTableNode", content), "out": ("outputNode", None)}
    graph = {
        "nodes": [
            {"id": name, "type": kind, "name": name, "position": {"x": 0, "y": 0}}
            | ({"content": inner} if inner else {})
            for name, (kind, inner) in kinds.items()
        ],
        "edges": [
            {"id": f"{source}-{target}", "sourceId": source, "targetId": target, "type": "edge"}
            for source, target in (("in", "table"), ("table", "out"))
        ],
    }
    decision = peer("zen").ZenEngine().create_decision(json.dumps(graph))
    return lambda facts: [
        [row["rule"] for row in decision.evaluate(given)["result"] or ()] for given in facts
    ]


def _rule_engine(thresholds: list[float]) -> Engine:
    made = peer("rule_engine").Rule
    text = 'ai_recommendation == "STRONG_BUY" and confidence_score > {} and portfolio_cash_percentage > 10'
    compiled = [made(text.format(threshold)) for threshold in thresholds]
    return _one_by_one(compiled, lambda rule, given: rule.matches(given))


def _json_logic(rules: Sequence[Mapping[str, Any]]) -> Engine:
    apply = peer("json_logic").jsonLogic
    signs = {"equals": "==", "greater_than": ">"}
    written = [
        {
            "and": [
                {signs[part["operator"]]: [{"var": part["field"]}, part["value"]]}
                for part in rule["conditions"]
            ]
        }
        for rule in rules
    ]
    return _one_by_one(written, apply)


def _business_rules(rules: Sequence[Mapping[str, Any]]) -> Engine:
    variables = peer("business_rules.variables")
    holds = peer("business_rules.engine").check_conditions_recursively
    names = {"equals": "equal_to", "greater_than": "greater_than"}
    written = [
        {
            "all": [
                {"name": part["field"], "operator": names[part["operator"]], "value": part["value"]}
                for part in rule["conditions"]
            ]
        }
        for rule in rules
    ]

    class Variables(variables.BaseVariables):  # type: ignore[name-defined]
        def __init__(self, given: Facts) -> None:
            self.given = given

        @variables.string_rule_variable
        def ai_recommendation(self) -> str:
            return str(self.given["ai_recommendation"])

        @variables.numeric_rule_variable
        def confidence_score(self) -> float:
            return float(self.given["confidence_score"])

        @variables.numeric_rule_variable
        def portfolio_cash_percentage(self) -> float:
            return float(self.given["portfolio_cash_percentage"])

    def ask(facts: list[Facts]) -> list[list[int]]:
        asked = [Variables(given) for given in facts]
        return [[place for place, rule in enumerate(written) if holds(rule, given)] for given in asked]

    return ask


def _plain(thresholds: list[float]) -> Engine:
    """The rule written out by hand: no engine at all."""
    return lambda facts: [
        [
            place
            for place, threshold in enumerate(thresholds)
            if given["ai_recommendation"] == "STRONG_BUY"
            and given["confidence_score"] > threshold
            and given["portfolio_cash_percentage"] > 10
        ]
        for given in facts
    ]
