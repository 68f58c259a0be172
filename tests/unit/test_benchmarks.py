"""The benchmarks measure what they say: rules that people could store, of many kinds, on facts that change."""

import pytest

from benchmarks.__main__ import GROUPS, main
from benchmarks.risk.pure import assert_answered
from benchmarks.risk.requests import Batch, make_batch
from benchmarks.rules import upkeep
from benchmarks.rules.evaluating import time_evaluations
from benchmarks.rules.kept_programs import time_kept_programs
from benchmarks.rules.rule_set import comparisons_in, mixed_rules, sources_of, specified_entry
from benchmarks.rules.second_opinion import assert_explained
from benchmarks.rules.world import make_world
from rules.core.facts import PortfolioFacts
from rules.core.language import Operator
from rules.core.program import compile_program
from rules.core.validation import check_rule
from trading.core.controls import CONTROLS
from trading.core.risk import RefusalCode, assess

MIXED = mixed_rules(1, 2_000, owned_share=0.01)


def share(chosen):
    return len([rule for rule in MIXED if chosen(rule)]) / len(MIXED)


def test_every_part_that_is_measured_has_its_group():
    assert list(GROUPS) == [
        "start",
        "rules",
        "risk",
        "halt",
        "orders",
        "latency",
        "api",
        "feed",
        "sessions",
        "scale",
        "stream",
    ]


def test_an_unknown_group_is_refused_before_anything_is_measured(capsys):
    assert main(["rules,rulez"]) == 2
    assert "unknown group 'rulez'; known are" in capsys.readouterr().err


def test_every_rule_measured_could_be_stored():
    assert [
        check_rule(rule).errors for rule in [*MIXED, specified_entry(0.81234)] if check_rule(rule).errors
    ] == []


def test_the_mixed_set_is_mixed():
    comparisons = [part for rule in MIXED for part in comparisons_in(rule["conditions"])]
    assert len({part["field"] for part in comparisons}) >= 20
    assert {
        Operator.BETWEEN,
        Operator.IN,
        Operator.NOT_IN,
        Operator.CROSSES_ABOVE,
        Operator.CROSSES_BELOW,
    } <= {part["operator"] for part in comparisons}
    assert share(lambda rule: any("field" not in node for node in rule["conditions"])) >= 0.2
    assert share(lambda rule: "times" in str(rule["conditions"])) >= 0.1
    thresholds = [str(part) for part in comparisons if isinstance(part["value"], float)]
    assert len(set(thresholds)) > 0.95 * len(thresholds), "few thresholds are equal"


@pytest.mark.parametrize(
    ("rule_type", "least", "most"), [("entry", 0.6, 0.8), ("exit", 0.2, 0.3), ("risk", 0.03, 0.07)]
)
def test_the_mixed_set_has_every_type_in_its_share(rule_type, least, most):
    assert least <= share(lambda rule: rule["rule_type"] == rule_type) <= most


def test_a_tenth_of_the_mixed_set_has_one_of_a_few_schedules():
    schedules = [rule["schedule"] for rule in MIXED if "schedule" in rule]
    assert 0.08 <= len(schedules) / len(MIXED) <= 0.12
    assert 3 <= len({str(schedule) for schedule in schedules}) <= 4
    assert {str(source.schedule) for source in sources_of(MIXED, owners=8) if source.schedule} == {
        str(schedule) for schedule in schedules
    }


def test_rules_that_keep_others_from_buying_look_at_what_is_not_held():
    sources = [source for source in sources_of(MIXED, owners=8) if source.blocks]
    world = make_world(1, symbols=500, owners=8)
    triggered = compile_program(sources).evaluate(world.market, world.owners)
    assert any(symbol not in world.owners[owner].positions for _, symbol, owner in triggered)


def test_the_same_seed_makes_the_same_rules_and_facts():
    assert mixed_rules(1, 50) == mixed_rules(1, 50) != mixed_rules(2, 50)
    one, same, other = (make_world(seed, symbols=20, owners=3) for seed in (1, 1, 2))
    alice, *_ = one.owners
    assert one.owners[alice].positions == same.owners[alice].positions != other.owners[alice].positions
    assert one.market.values["price"].tolist() == same.market.values["price"].tolist()
    assert one.market.values["price"].tolist() != other.market.values["price"].tolist()


def test_answers_that_differ_from_the_explanation_stop_a_measurement():
    sources = sources_of(MIXED[:400], owners=8)
    world = make_world(1, symbols=60, owners=8, universes=True)
    triggered = compile_program(sources).evaluate(world.market, world.owners)
    assert triggered
    assert assert_explained(sources, triggered, world) >= 400 * 50
    with pytest.raises(AssertionError, match="program and explanation differ"):
        assert_explained(sources, triggered[1:], world)


def test_what_is_timed_is_what_a_worker_hands_in_and_what_is_compared():
    worlds = [make_world(seed, symbols=20, owners=3) for seed in (1, 2)]
    given = []

    class Noting:
        def evaluate(self, market, owners):
            given.append((market, owners))
            return [("rule", market.symbols[0], len(given))]

    assert time_evaluations(Noting(), worlds).told == [("rule", "S00000", 2)]
    assert given == [(world.market, world.owners) for world in worlds]
    assert all(isinstance(facts, PortfolioFacts) for _, owners in given for facts in owners.values())


def test_memory_counts_whatever_a_program_keeps_of_its_rules(monkeypatch):
    sources = sources_of(MIXED[:400], owners=8)
    written = [upkeep.written_as_json(source) for source in sources]

    class Hoarding:
        def __init__(self, given):
            self.given = given

        def evaluate(self, *facts):
            return []

    frugal = upkeep.memory(sources, written)
    monkeypatch.setattr(upkeep, "compile_program", Hoarding)
    assert upkeep.memory(sources, written).value > frugal.value + 500


def test_what_a_worker_pays_for_its_program_is_timed_without_a_database():
    assert min(time_kept_programs(MIXED[:50], owners=4, runs=3)) > 0


def test_the_orders_of_a_batch_earn_every_refusal_and_most_are_approved():
    batch = make_batch(1)
    assert len(batch.requests) == 1_000 and len({id(one.limits) for one in batch.requests}) >= 200
    assert set(batch.codes) == {None, *(code.value for code in RefusalCode)}
    assert 600 <= batch.approved <= 800


def test_each_control_refuses_an_order_of_a_batch():
    refusing = set()
    for request in make_batch(1).requests:
        passed = [finding.passed for finding in assess(request).findings]
        refusing |= {passed.index(False)} if False in passed else set()
    assert refusing == set(range(len(CONTROLS)))


def test_controls_and_bare_comparisons_answer_what_a_batch_was_made_for():
    for seed in range(3):
        assert_answered(make_batch(seed))
    assert make_batch(1) == make_batch(1) != make_batch(2)


@pytest.mark.parametrize("wrong", [None, "MAX_LEVERAGE"])
def test_an_answer_that_differs_from_what_the_batch_was_made_for_stops_a_measurement(wrong):
    batch = make_batch(1)
    place = next(place for place, code in enumerate(batch.codes) if code not in (None, "MAX_LEVERAGE"))
    codes = [*batch.codes[:place], wrong, *batch.codes[place + 1 :]]
    with pytest.raises(AssertionError, match=f"request {place}"):
        assert_answered(Batch(batch.requests, codes))
