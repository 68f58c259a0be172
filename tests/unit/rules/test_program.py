"""Which symbols a rule looks at, and what is evaluated only once."""

import numpy as np
import pytest

from rules.core import evaluation
from rules.core.conditions import InvalidConditionsError
from rules.core.facts import MarketFacts, PortfolioFacts
from rules.core.program import RuleSource, TooManyTriggered, compile_program

SYMBOLS = ("AAPL", "MSFT", "XOM")
MARKET = MarketFacts(SYMBOLS, {"price": np.array([10.0, 20.0, np.nan])}, {})
CHEAP = {"field": "price", "operator": "less_than", "value": 15}
PRICED = {"field": "price", "operator": "greater_than", "value": 0}
RICH = {"field": "portfolio_cash_percentage", "operator": "greater_than", "value": 10}
DOWN = {"field": "drawdown_percentage", "operator": "greater_than", "value": 10}
LOSING = {"field": "position_pnl_percentage", "operator": "less_than", "value": -5}


def portfolio(*, cash=50.0, drawdown=0.0, held=None, universe=None, sectors=None):
    return PortfolioFacts(
        {"portfolio_cash_percentage": cash, "drawdown_percentage": drawdown},
        held or {},
        universe,
        sectors or {},
    )


def symbols(conditions, owner, *, rule_type="entry", trades=True, market=MARKET):
    program = compile_program([RuleSource("r", "alice", rule_type, conditions, trades)])
    return [symbol for _, symbol, _ in program.evaluate(market, {"alice": owner})]


def test_an_entry_rule_looks_at_every_symbol():
    assert symbols([PRICED], portfolio()) == ["AAPL", "MSFT"]


def test_an_entry_rule_stays_within_the_universe():
    assert symbols([PRICED], portfolio(universe=frozenset({"MSFT", "XOM", "NONE"}))) == ["MSFT"]
    assert symbols([RICH], portfolio(universe=frozenset({"XOM"}))) == ["XOM"]
    assert symbols([PRICED], portfolio(universe=frozenset())) == []


@pytest.mark.parametrize("rule_type", ["exit", "risk"])
def test_exit_and_risk_rules_look_at_held_symbols_only(rule_type):
    held = {"MSFT": {}, "XOM": {}}
    assert symbols([PRICED], portfolio(held=held), rule_type=rule_type) == ["MSFT"]
    assert symbols([PRICED], portfolio(), rule_type=rule_type) == []
    assert symbols([PRICED], portfolio(held=held, universe=frozenset({"AAPL"})), rule_type=rule_type) == []


def test_a_position_that_left_the_market_is_judged_on_its_own_facts():
    held = {"GONE": {"holding_days": 30.0}, "AAPL": {"holding_days": 1.0}}
    old = {"field": "holding_days", "operator": "greater_than", "value": 20}
    assert symbols([old], portfolio(held=held), rule_type="exit") == ["GONE"]
    assert symbols([old, PRICED], portfolio(held=held), rule_type="exit") == []


def test_the_facts_of_one_owner_do_not_reach_another():
    rules = [RuleSource("stop", owner, "exit", [LOSING]) for owner in ("alice", "bob")]
    owners = {
        "alice": portfolio(held={"AAPL": {"position_pnl_percentage": -6.0}}),
        "bob": portfolio(
            held={"AAPL": {"position_pnl_percentage": 2.0}, "XOM": {"position_pnl_percentage": -9.0}}
        ),
    }
    assert compile_program(rules).evaluate(MARKET, owners) == [
        ("stop", "AAPL", "alice"),
        ("stop", "XOM", "bob"),
    ]


def test_an_entry_rule_may_ask_for_its_own_position():
    """Of a symbol that is not held the position's facts are unknown: an alternative may still decide."""
    held = {"AAPL": {"position_weight_percentage": 3.0}}
    light = {"field": "position_weight_percentage", "operator": "less_than", "value": 5}
    assert symbols([light], portfolio(held=held)) == ["AAPL"]
    assert symbols([{"any": [light, {"not": CHEAP}]}], portfolio(held=held)) == ["AAPL", "MSFT"]
    assert symbols([{"not": light}], portfolio(held=held)) == []


def quantity(operator, value):
    return {"field": "position_quantity", "operator": operator, "value": value}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (quantity("equals", 0), ["MSFT"]),
        (quantity("less_than", 100), ["AAPL", "MSFT"]),
        (quantity("less_or_equal", 0), ["MSFT"]),
        (quantity("not_equals", 50), ["MSFT"]),
        (quantity("between", [0, 10]), ["MSFT"]),
        (quantity("in", [0, 50]), ["AAPL", "MSFT"]),
        (quantity("not_in", [0]), ["AAPL"]),
        (quantity("greater_than", 0), ["AAPL"]),
        ({"not": quantity("greater_or_equal", 50)}, ["MSFT"]),
        (quantity("less_than", {"field": "volume", "times": 0.1}), ["MSFT"]),
        (
            {"field": "volume", "operator": "greater_than", "value": {"field": "position_quantity"}},
            ["AAPL", "MSFT"],
        ),
        ({"any": [quantity("equals", 0), CHEAP]}, ["AAPL", "MSFT"]),
        ({"any": [quantity("greater_than", 50), CHEAP]}, ["AAPL"]),
        ({"all": [quantity("equals", 0), LOSING]}, []),
    ],
    ids=str,
)
def test_none_are_held_of_what_is_not_held_and_nobody_knows_of_what_is_being_bought(condition, expected):
    owner = PortfolioFacts(
        {}, {"AAPL": {"position_quantity": 50.0}}, None, awaited=frozenset({"XOM", "SOLD LONG AGO"})
    )
    market = MarketFacts(SYMBOLS, {**MARKET.values, "volume": np.array([80.0, 80.0, 80.0])}, {})
    assert symbols([condition], owner, market=market) == expected


def test_a_portfolio_that_holds_nothing_buys_where_it_holds_none():
    assert symbols([quantity("equals", 0), PRICED], portfolio()) == ["AAPL", "MSFT"]
    assert symbols([quantity("equals", 0)], portfolio(universe=frozenset({"XOM"}))) == ["XOM"]


@pytest.mark.parametrize("rule_type", ["exit", "risk"])
def test_what_sells_stays_with_what_is_held_whatever_it_asks(rule_type):
    held = {"AAPL": {"position_quantity": 3.0}, "MSFT": {"position_quantity": 30.0}}
    assert symbols([quantity("less_than", 5)], portfolio(held=held), rule_type=rule_type) == ["AAPL"]
    assert symbols([quantity("equals", 0)], portfolio(held=held), rule_type=rule_type) == []


def test_a_symbol_that_is_held_without_a_known_quantity_is_not_one_of_which_none_is_held():
    assert symbols([quantity("less_than", 5)], portfolio(held={"AAPL": {}})) == ["MSFT", "XOM"]


def test_of_what_is_not_held_no_pair_is_looked_at(monkeypatch):
    """How many symbols there are makes no difference: they are told by words of bits, all alike."""
    names = tuple(f"S{number}" for number in range(1_100))
    market = MarketFacts(names, {"price": np.arange(1_100.0)}, {})
    held = {name: {"position_quantity": 9.0} for name in ("S1", "S700", "GONE")}
    owner = PortfolioFacts({}, held, None, awaited=frozenset({"S2", "S701"}))
    looked_at = []

    class Spied(evaluation.Pairs):
        def __init__(self, *args, owners, **more):
            looked_at.append(len(owners))
            super().__init__(*args, owners=owners, **more)

    monkeypatch.setattr(evaluation, "Pairs", Spied)
    told = symbols([quantity("less_than", 5), PRICED], owner, market=market)
    assert told == [name for name in names[1:] if name not in {"S1", "S700", "S2", "S701"}]
    assert sum(looked_at) == 2


def test_sector_exposure_is_known_for_every_symbol_with_a_sector():
    technology = {"sector_exposure_percentage": 25.0}
    exposures = {"AAPL": technology, "MSFT": technology, "GONE": {"sector_exposure_percentage": 0.0}}
    room = {"field": "sector_exposure_percentage", "operator": "less_than", "value": 30}
    none = {"field": "sector_exposure_percentage", "operator": "equals", "value": 0}
    assert symbols([room], portfolio(sectors=exposures)) == ["AAPL", "MSFT"]
    assert symbols([none], portfolio(held={"GONE": {}}, sectors=exposures), rule_type="exit") == ["GONE"]


def test_a_rule_about_the_portfolio_fires_once_when_it_guards_or_only_alerts():
    owner = portfolio(drawdown=12.0, held={"AAPL": {}, "MSFT": {}})
    assert symbols([DOWN], owner, rule_type="risk") == [None]
    assert symbols([DOWN], owner, rule_type="entry", trades=False) == [None]
    assert symbols([DOWN], owner, rule_type="exit") == ["AAPL", "MSFT"]
    assert symbols([DOWN], portfolio(drawdown=9.0), rule_type="risk") == []
    assert symbols([DOWN], portfolio(drawdown=np.nan), rule_type="risk") == []


def test_a_rule_about_the_portfolio_needs_no_position_to_alert():
    assert symbols([DOWN], portfolio(drawdown=12.0), rule_type="risk", trades=False) == [None]


def test_a_rule_without_the_facts_of_its_owner_is_silent():
    program = compile_program([RuleSource("r", "charlie", "entry", [PRICED])])
    assert program.evaluate(MARKET, {"alice": portfolio()}) == []


def test_conditions_of_two_kinds_meet():
    """A market fact and a portfolio fact in one alternative are told for each owner and symbol."""
    either = {"any": [CHEAP, RICH]}
    assert symbols([either], portfolio(cash=5.0)) == ["AAPL"]
    assert symbols([either], portfolio(cash=50.0)) == ["AAPL", "MSFT", "XOM"]


def test_verdicts_come_in_the_order_of_rules_then_symbols():
    rules = [RuleSource(key, "alice", "entry", [PRICED]) for key in ("b", "a")]
    told = compile_program(rules).evaluate(MARKET, {"alice": portfolio()})
    assert [(key, symbol) for key, symbol, _ in told] == [
        ("b", "AAPL"),
        ("b", "MSFT"),
        ("a", "AAPL"),
        ("a", "MSFT"),
    ]


def test_equal_conditions_of_many_rules_are_one_row():
    rules = [RuleSource(number, f"owner {number}", "entry", [CHEAP, RICH]) for number in range(100)]
    assert compile_program(rules).row_count == 1
    either = RuleSource("either", "alice", "entry", [{"any": [PRICED, CHEAP]}, RICH])
    same = RuleSource("same", "bob", "entry", [{"not": {"all": [{"not": CHEAP}, {"not": PRICED}]}}])
    assert compile_program([either, same]).row_count == 3, "two comparisons, and one alternative of them"


def test_one_program_serves_any_number_of_evaluations():
    program = compile_program([RuleSource("r", "alice", "entry", [CHEAP])])
    dearer = MarketFacts(SYMBOLS, {"price": np.array([10.0, 11.0, 12.0])}, {})
    first = program.evaluate(MARKET, {"alice": portfolio()})
    assert len(program.evaluate(dearer, {"alice": portfolio()})) == 3
    assert program.evaluate(MARKET, {"alice": portfolio()}) == first


def test_an_empty_market_and_no_rules():
    empty = MarketFacts((), {}, {})
    assert symbols([PRICED], portfolio(), market=empty) == []
    assert symbols([{"any": [CHEAP, RICH]}], portfolio(), market=empty) == []
    assert compile_program([]).evaluate(MARKET, {}) == []


def test_a_stored_rule_that_does_not_parse_is_named():
    with pytest.raises(InvalidConditionsError, match=r"rule 7: conditions\[0\]\.field: Unknown field"):
        compile_program([RuleSource(7, "alice", "entry", [{**CHEAP, "field": "prize"}])])


def ladder(count, owner="alice", rule_type="entry"):
    """Rules that differ in one threshold."""
    return [
        RuleSource(number, owner, rule_type, [{**PRICED, "value": number / 10}], True)
        for number in range(count)
    ]


def test_more_symbols_than_one_chunk_holds():
    """Symbols are evaluated 512 at a time; where a chunk ends makes no difference."""
    names = tuple(f"S{number}" for number in range(1_100))
    prices = np.random.default_rng(1).uniform(0, 40, len(names))
    prices[[3, 600]] = np.nan
    market = MarketFacts(names, {"price": prices}, {})
    held = {name: {"holding_days": 9.0} for name in ("S511", "S512", "S1099", "GONE")}
    old = {"field": "holding_days", "operator": "greater_than", "value": 5}
    rules = [
        *ladder(300),
        RuleSource("sell", "alice", "exit", [old, PRICED]),
        RuleSource("clear", "alice", "exit", [old]),
        RuleSource("guard", "alice", "risk", [DOWN]),
        RuleSource("hours", "alice", "risk", [DOWN], True, {"from": "09:30"}),
    ]
    market.values["time_of_day"] = np.where(np.arange(len(names)) < 700, 500.0, 600.0)
    told = compile_program(rules).evaluate(market, {"alice": portfolio(drawdown=12.0, held=held)})
    expected = [
        (number, name, "alice")
        for number in range(300)
        for name, price in zip(names, prices, strict=True)
        if price > number / 10
    ]
    expected += [("sell", name, "alice") for name in ("S511", "S512", "S1099")]
    expected += [("clear", name, "alice") for name in ("S511", "S512", "S1099", "GONE")]
    expected += [("guard", None, "alice"), ("hours", None, "alice")]
    assert told == expected


def test_a_schedule_silences_a_rule_outside_its_hours():
    market = MarketFacts(SYMBOLS, {**MARKET.values, "time_of_day": np.array([570.0, 700.0, 700.0])}, {})
    rule = RuleSource("r", "alice", "entry", [PRICED], True, {"to": "10:00"})
    assert compile_program([rule]).evaluate(market, {"alice": portfolio()}) == [("r", "AAPL", "alice")]


def test_a_changed_rule_is_compiled_alone():
    rules = ladder(1_000)
    program = compile_program(rules)
    dearer = RuleSource(7, "alice", "entry", [{**PRICED, "value": 15}])
    changed = program.refreshed(remove=[("alice", 7)], add=[dearer])
    assert (len(program), len(changed)) == (1_000, 1_000)
    assert (program.segment_count, changed.segment_count) == (1, 2)
    told = {symbol for key, symbol, _ in changed.evaluate(MARKET, {"alice": portfolio()}) if key == 7}
    assert told == {"MSFT"}
    before = {symbol for key, symbol, _ in program.evaluate(MARKET, {"alice": portfolio()}) if key == 7}
    assert before == {"AAPL", "MSFT"}, "the program before is still what it was"


def test_however_many_changes_there_are_only_a_few_segments():
    program = compile_program(ladder(500))
    for number in range(300):
        program = program.refreshed(remove=[("alice", number)], add=ladder(500)[number : number + 1])
        assert program.segment_count <= 7
    assert len(program) == 500
    assert program.refreshed(remove=[("alice", number) for number in range(500)]).segment_count == 0


def test_rules_of_another_owner_with_the_same_key_stay():
    program = compile_program([*ladder(3), *ladder(3, owner="bob")])
    assert len(program.refreshed(remove=[("alice", 1), ("charlie", 2)])) == 5


def test_added_rules_replace_those_of_their_names():
    program = compile_program(ladder(3)).refreshed(add=ladder(1))
    assert len(program) == 3
    assert len(program.evaluate(MARKET, {"alice": portfolio()})) == 6


def test_a_program_that_lost_most_of_its_rules_lets_go_of_them():
    program = compile_program(ladder(1_000))
    for number in range(980):
        program = program.refreshed(remove=[("alice", number)])
    assert len(program) == 20
    assert program.row_count <= 2 * 20


def test_too_many_verdicts_of_one_owner_are_refused_before_they_are_listed():
    rules = [*ladder(100), *ladder(2, owner="bob")]
    owners = {"bob": portfolio(), "alice": portfolio()}
    told = compile_program(rules).evaluate(MARKET, owners, triggered_max=200)
    assert len(told) == 204
    with pytest.raises(TooManyTriggered, match="200 rules are true at once; at most 199") as caught:
        compile_program(rules).evaluate(MARKET, owners, triggered_max=199)
    assert caught.value.owner == "alice"
    held = {"AAPL": {"position_quantity": 1.0}, "MSFT": {"position_quantity": 1.0}}
    has = {"field": "position_quantity", "operator": "greater_than", "value": 0}
    for rule_type in ("entry", "exit"):
        rules = [RuleSource(number, "alice", rule_type, [has]) for number in range(3)]
        with pytest.raises(TooManyTriggered):
            compile_program(rules).evaluate(MARKET, {"alice": portfolio(held=held)}, triggered_max=5)
    rules = [RuleSource(number, "alice", "risk", [DOWN]) for number in range(3)]
    with pytest.raises(TooManyTriggered):
        compile_program(rules).evaluate(MARKET, {"alice": portfolio(drawdown=12.0)}, triggered_max=2)


def test_a_risk_rule_that_only_blocks_looks_at_what_might_be_bought():
    blocking = RuleSource("b", "alice", "risk", [CHEAP], trades=False, blocks=True)
    selling = RuleSource("s", "alice", "risk", [CHEAP], trades=True, blocks=True)
    told = compile_program([blocking, selling]).evaluate(MARKET, {"alice": portfolio()})
    assert told == [("b", "AAPL", "alice")]
    told = compile_program([blocking, selling]).evaluate(MARKET, {"alice": portfolio(held={"AAPL": {}})})
    assert told == [("b", "AAPL", "alice"), ("s", "AAPL", "alice")]


@pytest.mark.parametrize(
    "conditions",
    [
        [{"field": "confidence_score", "operator": "less_than", "value": 80}],
        [{"field": "open_positions", "operator": "greater_than", "value": 2.5}],
        [{"field": "price", "operator": "less_than", "value": {"field": "sma_50", "times": 1e9}}],
        [CHEAP] * 65,
        [{"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": CHEAP}}}}}}}}}],
        [{"field": ["price"], "operator": "less_than", "value": 15}],
        [{"field": "price", "operator": "less_than", "value": 10**400}],
        [],
    ],
    ids=["range", "whole", "factor", "count", "depth", "unhashable", "huge", "empty"],
)
def test_stored_conditions_that_validation_would_refuse_do_not_compile(conditions):
    """An older version of the language may have stored them: what cannot be explained is not evaluated either."""
    with pytest.raises(InvalidConditionsError, match="rule 7: conditions"):
        compile_program([RuleSource(7, "alice", "entry", conditions)])


def test_a_stored_schedule_that_does_not_parse_is_named():
    rule = RuleSource(7, "alice", "entry", [PRICED], True, {"from": "25:00"})
    with pytest.raises(InvalidConditionsError, match="rule 7: schedule"):
        compile_program([rule])
