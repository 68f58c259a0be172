"""The specified verbs on stored rules, and the programs that are compiled of them."""

from decimal import Decimal

import numpy as np
import pytest

from rules.core.actions import ActionRequest, AlertRequest, BlockRequest, HaltRequest
from rules.core.conflicts import Block, Candidate
from rules.core.facts import MarketFacts, PortfolioFacts
from rules.selectors import active_rule_versions, rules_in_force
from rules.services import programs
from rules.services.programs import compiled_program
from rules.services.rule_engine import (
    RuleContext,
    conflict_resolution,
    evaluate_conditions,
    evaluate_rule,
    execute_actions,
    prioritize_rules,
    validate_rule,
)
from rules.services.rules import create_rule, update_rule

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

MARKET = MarketFacts(
    symbols=("AAPL", "XOM"),
    values={
        "ai_recommendation": np.array([4.0, 2.0]),
        "confidence_score": np.array([0.9, np.nan]),
    },
    completed={},
)
FACTS = PortfolioFacts(
    values={"portfolio_cash_percentage": 40.0},
    positions={"XOM": {"position_pnl_percentage": -7.5}},
    universe=None,
)
AAPL, XOM, WHOLE = (RuleContext(MARKET, FACTS, symbol) for symbol in ("AAPL", "XOM", None))


@pytest.fixture
def buying(portfolio, entry, alice):
    return create_rule(portfolio_id=portfolio.id, rule=entry, actor=alice)


@pytest.fixture
def stopping(portfolio, stop_loss, alice):
    return create_rule(portfolio_id=portfolio.id, rule=stop_loss, actor=alice)


def test_evaluate_rule_tells_the_verdict_and_why(buying, stopping):
    told = evaluate_rule(buying, AAPL)
    assert told.outcome is True
    assert "confidence score is 0.9, above 0.8" in told.sentence
    assert evaluate_rule(buying, XOM).outcome is False
    assert evaluate_rule(stopping, XOM).outcome is True
    assert evaluate_rule(stopping, AAPL).outcome is False, "it is not held"


def test_evaluate_rule_takes_a_version_too(buying):
    assert evaluate_rule(buying.versions.get(), AAPL).outcome is True


def test_evaluate_conditions_is_three_valued(buying):
    assert evaluate_conditions(buying.conditions, AAPL) is True
    assert evaluate_conditions(buying.conditions[1:2], XOM) is None
    assert evaluate_conditions(buying.conditions[:1], XOM) is False


def test_execute_actions_asks_and_orders_nothing(buying, stopping):
    assert execute_actions(buying.actions, AAPL) == [
        ActionRequest("AAPL", "buy", "percentage", Decimal(5), None, Decimal(10), "market")
    ]
    selling = ActionRequest("XOM", "sell", "full_position", None, None, None, "market")
    assert execute_actions(stopping.actions, XOM) == [selling]
    assert execute_actions(stopping.actions, WHOLE) == [selling], "all that is held"


def test_execute_actions_asks_for_all_that_the_actions_say():
    actions = [
        {"type": "reduce", "to_position_size": 2.5},
        {"type": "block_entries"},
        {"type": "halt"},
        {"type": "alert", "message": "look", "severity": "warning"},
    ]
    reduction = ActionRequest("XOM", "sell", "reduce", Decimal("2.5"), "percentage_of_equity", None, "market")
    halt = HaltRequest("reduce_only")
    assert execute_actions(actions, XOM) == [
        reduction, BlockRequest("XOM"), halt, AlertRequest("XOM", "warning", "look")
    ]  # fmt: skip
    assert execute_actions(actions, WHOLE) == [
        reduction, BlockRequest(None), halt, AlertRequest(None, "warning", "look")
    ]  # fmt: skip


def test_evaluate_rule_keeps_to_the_schedule(buying, portfolio, entry, alice):
    clock = {**MARKET.values, "time_of_day": np.array([14 * 60.0, np.nan])}
    at_two = RuleContext(MarketFacts(MARKET.symbols, clock, completed={}), FACTS, "AAPL")
    entry["schedule"] = {"from": "15:00"}
    later = create_rule(portfolio_id=portfolio.id, rule=entry, actor=alice)
    assert evaluate_rule(buying, at_two).outcome is True
    told = evaluate_rule(later, at_two)
    assert told.outcome is False
    assert told.sentence == "Not true for AAPL: time of day is 14:00, not at least 15:00."
    assert evaluate_rule(later, AAPL).outcome is None, "without a clock it is unknown"


def test_for_the_portfolio_only_the_universe_is_sold(stopping):
    outside = PortfolioFacts(FACTS.values, FACTS.positions, frozenset({"AAPL"}))
    assert execute_actions(stopping.actions, RuleContext(MARKET, outside, None)) == []


def test_validate_rule(entry):
    assert validate_rule(entry).errors == ()
    assert validate_rule(entry | {"type": "entyr"}).errors[0].path == "type"


def test_prioritize_rules_puts_the_winners_first(buying, stopping, portfolio, entry, alice):
    urgent = create_rule(portfolio_id=portfolio.id, rule=entry | {"priority": 7}, actor=alice)
    later = create_rule(portfolio_id=portfolio.id, rule=entry, actor=alice)
    expected = [stopping, urgent, buying, later]
    assert prioritize_rules([later, buying, urgent, stopping]) == expected
    assert prioritize_rules(expected) == expected


def test_conflict_resolution_names_what_beat_a_loser(buying, stopping):
    buy, sell = (
        Candidate(str(rule.pk), rule.rule_type, rule.priority, rule.created_at, "XOM", side)
        for rule, side in ((buying, "buy"), (stopping, "sell"))
    )
    resolution = conflict_resolution([buy, sell])
    assert resolution.winners == (sell,)
    assert resolution.losses[0].beaten_by == sell


def test_conflict_resolution_heeds_blocks(buying, stopping):
    buy = Candidate(str(buying.pk), "entry", buying.priority, buying.created_at, "XOM", "buy")
    block = Block(str(stopping.pk), "risk", stopping.priority, stopping.created_at, None)
    resolution = conflict_resolution([buy], [block])
    assert resolution.winners == ()
    assert (resolution.losses[0].beaten_by, resolution.losses[0].reason) == (block, "blocked")


def test_stored_rules_compile_into_one_program(buying, stopping, portfolio):
    in_force = active_rule_versions([portfolio.id])
    program = compiled_program({version.pk: "session" for version in in_force}, name="slice")
    buying_version, stopping_version = (version.pk for version in in_force)
    assert program.evaluate(MARKET, {"session": FACTS}) == [
        (buying_version, "AAPL", "session"),
        (stopping_version, "XOM", "session"),
    ]


def test_a_program_is_kept_until_a_rule_changes(buying, stopping, portfolio, alice):
    def program(owner="session", name="slice", turned=1):
        versions = active_rule_versions([portfolio.id])[::turned]
        return compiled_program({version.pk: owner for version in versions}, name=name)

    first = program()
    assert program() is first
    assert program(turned=-1) is first, "the order of the rules names no other program"
    assert program(name="another slice") is not first
    assert program(owner="another session") is not first
    again = program()
    update_rule(rule_id=buying.id, rule=buying.content() | {"priority": 9}, actor=alice)
    assert program() is not again


def test_a_program_that_goes_on_from_an_earlier_one_says_the_same(
    buying, stopping, portfolio, entry, stop_loss, alice
):
    """A change of one rule among many is a refresh; the verdicts are those of a program made from scratch."""

    def verdicts(name):
        owners = {rule.version_id: "session" for rule in rules_in_force([portfolio.id])}
        return sorted(compiled_program(owners, name=name).evaluate(MARKET, {"session": FACTS}))

    for number in range(6):
        create_rule(portfolio_id=portfolio.id, rule=stop_loss | {"name": f"More {number}"}, actor=alice)
    before = verdicts("slice")
    entry["conditions"][1]["value"] = 0.95
    update_rule(rule_id=buying.id, rule=entry, actor=alice)
    after = verdicts("slice")
    assert after == verdicts("from scratch")
    assert [symbol for _, symbol, _ in before].count("AAPL") == 1
    assert [symbol for _, symbol, _ in after].count("AAPL") == 0


def test_only_what_is_new_is_read(
    buying, stopping, portfolio, alice, entry, stop_loss, django_assert_num_queries
):
    """What the rules say is not read again at every evaluation, which may be several times a second."""
    for number in range(4):
        create_rule(portfolio_id=portfolio.id, rule=stop_loss | {"name": f"More {number}"}, actor=alice)

    def program():
        owners = {rule.version_id: "session" for rule in rules_in_force([portfolio.id])}
        return compiled_program(owners, name="what is new")

    program()
    with django_assert_num_queries(1):
        program()
    entry["conditions"][1]["value"] = 0.95
    changed = update_rule(rule_id=buying.id, rule=entry, actor=alice)
    with django_assert_num_queries(2) as asked:
        program()
    pk = changed.versions.latest("version").pk
    assert f"'{{{pk}}}'" in asked.captured_queries[1]["sql"], "the new version alone"


def test_programs_kept_are_bounded(buying, monkeypatch):
    monkeypatch.setattr(programs, "RULES_KEPT_MAX", 2)
    version = buying.versions.get()

    def program(name):
        return compiled_program({version.pk: "session"}, name=name)

    kept = [program(name) for name in range(3)]
    assert len(programs._kept) == 2
    assert program(2) is kept[2]
    assert program(0) is not kept[0]
