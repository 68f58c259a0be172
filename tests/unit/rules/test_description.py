"""A rule is told in a sentence that whoever approves it can check without knowing JSON."""

import json

import pytest
from hypothesis import given, settings

from rules.core.description import describe
from rules.core.validation import check_rule
from rules.examples import EXAMPLES
from tests.harness.rules import rules

SELL_ALL = [{"type": "sell", "sizing_method": "full_position"}]
DOWN = {"field": "position_pnl_percentage", "operator": "less_than", "value": -5}
CALM = {"field": "rsi", "operator": "between", "value": [30, 60]}
LATE = {"field": "time_of_day", "operator": "greater_or_equal", "value": "15:00"}


def told(conditions, actions=None, rule_type="exit", **more):
    rule = {
        "name": "A rule",
        "rule_type": rule_type,
        "conditions": conditions,
        "actions": actions or SELL_ALL,
    }
    result = check_rule(rule | more)
    assert result.errors == ()
    return describe(result.rule)


ENTRY, STOP_LOSS = (json.loads(text) for text in EXAMPLES)


def test_the_specifications_entry_rule_is_told_as_people_would():
    assert describe(check_rule(ENTRY).rule) == (
        "When the AI says STRONG_BUY with confidence above 80 % and more than 10 % of the portfolio is cash, "
        "buy 5 % of equity, up to 10 % in one position."
    )


def test_the_specifications_stop_loss_is_told_as_people_would():
    assert describe(check_rule(STOP_LOSS).rule) == "When a position is down more than 5 %, sell all of it."


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({"not": DOWN}, "the result of a position is at least -5 %"),
        ({"not": {"not": DOWN}}, "a position is down more than 5 %"),
        ({"not": CALM}, "for a held symbol it is not true that the RSI is between 30 and 60"),
        ({"any": [DOWN, CALM]}, "either a position is down more than 5 % or the RSI is between 30 and 60"),
        ({"any": [{"all": [DOWN]}]}, "a position is down more than 5 %"),
        (
            {"any": [{"all": [DOWN, LATE]}, CALM]},
            "either (a position is down more than 5 % and it is 15:00 or later) or the RSI is between 30 and 60",
        ),
        (
            {"not": {"any": [CALM, LATE, DOWN]}},
            "it is not true that (the RSI is between 30 and 60, it is 15:00 or later or a position is down more "
            "than 5 %)",
        ),
    ],
    ids=json.dumps,
)
def test_groups_are_told_so_that_they_cannot_be_misread(node, words):
    assert told([node]).startswith(f"When {words}, sell all of ")


def test_several_conditions_must_all_hold():
    assert told([DOWN, {"any": [CALM, LATE]}]) == (
        "When a position is down more than 5 % and (the RSI is between 30 and 60 or it is 15:00 or later), "
        "sell all of it."
    )


def test_a_denial_beside_others_shows_how_far_it_goes():
    assert told([{"not": CALM}, LATE]).startswith(
        "When for a held symbol it is not true that (the RSI is between 30 and 60) and it is 15:00 or later, "
    )


SURE = {"field": "confidence_score", "operator": "greater_than", "value": 0.8}


@pytest.mark.parametrize(
    ("operator", "value", "words"),
    [
        ("equals", "BUY", "the AI says BUY with confidence above 80 %"),
        ("greater_or_equal", "BUY", "the AI says BUY or better with confidence above 80 %"),
        # "does not say SELL with confidence above 80 %" could be heard as "says SELL, but is less sure"
        ("not_equals", "SELL", "the AI does not say SELL and the AI's confidence is above 80 %"),
        ("in", ["BUY", "HOLD"], "the AI says HOLD or BUY and the AI's confidence is above 80 %"),
    ],
    ids=str,
)
def test_advice_and_confidence_are_one_clause_where_that_says_the_same(operator, value, words):
    advice = {"field": "ai_recommendation", "operator": operator, "value": value}
    assert told([advice, SURE]) == f"When for a held symbol {words}, sell all of it."
    assert told([SURE, advice], [BUY], "entry").startswith(
        "When the AI's confidence is above 80 % and the AI "
    )


LOSS = [{"field": "daily_pnl_percentage", "operator": "less_than", "value": -3}]
BUY = {"type": "buy", "sizing_method": "percentage", "size_value": 5}


@pytest.mark.parametrize(
    ("rule_type", "action", "words"),
    [
        ("entry", {**BUY, "sizing_method": "fixed", "size_unit": "cash", "size_value": 2500}, "buy for 2,500 in cash"),
        (
            "entry",
            {**BUY, "sizing_method": "kelly", "size_value": 0.25, "max_position_size": 10},
            "buy 25 % of the Kelly size, up to 10 % in one position",
        ),
        (
            "entry",
            {**BUY, "sizing_method": "volatility_target", "max_position_size": 10},
            "buy what adds 5 % of equity in volatility per year, up to 10 % in one position",
        ),
        (
            "entry",
            {**BUY, "sizing_method": "risk_per_trade", "stop_loss_percentage": 8, "take_profit_percentage": 20},
            "buy what loses 5 % of equity when the stop is hit, and sell it 8 % below or 20 % above the average "
            "entry price",
        ),
        (
            "entry",
            {**BUY, "stop_loss_percentage": 8, "trailing_stop_percentage": 5},
            "buy 5 % of equity, and sell it 8 % below the average entry price, or 5 % below its highest price since "
            "then",
        ),
        (
            "entry",
            {**BUY, "trailing_stop_percentage": 2.5},
            "buy 5 % of equity, and sell it 2.5 % below its highest price since then",
        ),
        (
            "entry",
            {**BUY, "order_type": "limit", "limit_offset_bps": 10},
            "buy 5 % of equity with a limit 10 basis points below the last price",
        ),
        (
            "exit",
            {**SELL_ALL[0], "order_type": "limit", "limit_offset_bps": 10},
            "sell all of each held position with a limit 10 basis points above the last price",
        ),
        ("exit", {**BUY, "type": "sell"}, "sell as much of each held position as 5 % of equity"),
        ("risk", SELL_ALL[0], "sell every position"),
        ("risk", {"type": "reduce", "percentage": 50}, "sell 50 % of every position"),
        ("risk", {"type": "reduce", "to_position_size": 10}, "reduce every position to 10 % of equity"),
        ("risk", {"type": "block_entries"}, "let no rule buy anything"),
        ("risk", {"type": "halt"}, "stop all buying of the portfolio until a risk officer releases it"),
        (
            "risk",
            {"type": "halt", "mode": "halt"},
            "stop all trading of the portfolio until a risk officer releases it",
        ),
        ("risk", {"type": "alert", "message": "A bad day", "severity": "warning"}, "send a warning: “A bad day”"),
    ],
    ids=lambda value: value.get("type") if isinstance(value, dict) else None,
)  # fmt: skip
def test_each_action_is_told(rule_type, action, words):
    needs_rest = action["type"] == "reduce"
    sentence = told(LOSS, [action], rule_type, cooldown={"minutes": 60} if needs_rest else None)
    rest = " It rests for 1 hour for each symbol that it sold." if needs_rest else ""
    assert sentence == f"When the portfolio is down more than 3 % today, {words}.{rest}"


def test_actions_follow_one_another():
    sentence = told(
        LOSS, [{"type": "block_entries"}, {"type": "halt"}, {"type": "alert", "message": "Stop"}], "risk"
    )
    assert sentence == (
        "When the portfolio is down more than 3 % today, let no rule buy anything, stop all buying of the portfolio "
        "until a risk officer releases it, and send an alert: “Stop”."
    )


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        ({"schedule": None, "cooldown": None}, ""),
        ({"schedule": {"weekdays": ["FRIDAY", "MONDAY"]}}, " It fires only on Monday or Friday."),
        ({"schedule": {"from": "22:00", "to": "04:00"}}, " It fires only between 22:00 and 04:00."),
        ({"schedule": {"from": "10:00"}}, " It fires only from 10:00 on."),
        (
            {"schedule": {"weekdays": ["MONDAY"], "from": "10:00", "to": "11:00"}},
            " It fires only on Monday between 10:00 and 11:00.",
        ),
        (
            {"schedule": {"to": "15:00", "minutes_after_open": 30, "minutes_before_close": 1}},
            " It fires only until 15:00, 30 minutes or more after the open and 1 minute or more before the close.",
        ),
        ({"schedule": {"minutes_after_open": 0}}, " It fires only while the exchange is open."),
        ({"cooldown": {"minutes": 90}}, " It rests for 90 minutes for that symbol after it acted."),
        (
            {"cooldown": {"minutes": 2880, "per": "rule"}},
            " It rests for 2 days for all symbols after it acted.",
        ),
        (
            {"schedule": {"from": "10:00"}, "cooldown": {"minutes": 60}},
            " It fires only from 10:00 on and rests for 1 hour for that symbol after it acted.",
        ),
    ],
    ids=str,
)
def test_schedule_and_cooldown_make_a_second_sentence(beside, words):
    assert told([DOWN], **beside) == "When a position is down more than 5 %, sell all of it." + words


@pytest.mark.parametrize(
    ("actions", "per", "words"),
    [
        (SELL_ALL, "symbol", "for each symbol that it sold"),
        (SELL_ALL, "rule", "for all symbols after it acted"),
        ([{"type": "halt"}], "symbol", "after it acted"),
        ([{"type": "halt"}], "rule", "after it acted"),
    ],
    ids=str,
)
def test_a_rule_about_the_portfolio_rests_for_what_it_sold_or_as_a_whole(actions, per, words):
    sentence = told(LOSS, actions, "risk", cooldown={"minutes": 60, "per": per})
    assert sentence.endswith(f" It rests for 1 hour {words}.")


def test_a_long_message_is_cut():
    sentence = told(LOSS, [{"type": "alert", "message": "x" * 500}], "risk")
    assert len(sentence) < 200 and sentence.endswith("x…”.")


def test_a_message_cannot_seem_to_end_and_go_on_as_the_rule():
    sentence = told(LOSS, [{"type": "alert", "message": "Careful”, and sell everything. “No"}], "risk")
    assert sentence.endswith('send an alert: “Careful", and sell everything. "No”.')


HOT = {"field": "rsi", "operator": "greater_than", "value": 80}
LOOK = {"type": "alert", "message": "Look"}
BLOCK = {"type": "block_entries"}


def test_a_rule_says_whether_it_looks_at_every_symbol_or_at_what_is_held():
    assert told([HOT], [LOOK], "entry") == "When the RSI is above 80, send an alert: “Look”."
    of_held = "When the RSI of a held symbol is above 80, "
    assert told([HOT], [LOOK], "exit") == of_held + "send an alert: “Look”."
    assert (
        told([HOT], [{"type": "reduce", "to_position_size": 5}], "risk")
        == of_held + "reduce it to 5 % of equity."
    )
    assert told([HOT], [BLOCK, {"type": "halt"}], "risk").startswith(
        "When the RSI is above 80, let no rule buy the symbol, and stop all buying"
    )
    assert told([HOT], [BLOCK, *SELL_ALL], "risk").startswith(of_held)
    assert told([LATE, HOT]) == (
        "When for a held symbol it is 15:00 or later and the RSI is above 80, sell all of it."
    )


def test_what_is_done_once_for_the_portfolio_reads_otherwise_than_what_is_done_for_each_position():
    when = "When the portfolio is down more than 3 % today, "
    assert told(LOSS, [BUY], "entry") == when + "buy 5 % of equity."
    assert told(LOSS, SELL_ALL, "exit") == when + "sell all of each held position."
    assert told(LOSS, SELL_ALL, "risk") == when + "sell every position."


UNDERSTOOD = {
    "rule_type": "exit",
    "conditions": [DOWN],
    "actions": SELL_ALL,
    "schedule": None,
    "cooldown": None,
}


@pytest.mark.parametrize(
    "changed",
    [
        {"conditions": [{"field": "gone", "operator": "equals", "value": 1}]},
        {"conditions": []},
        {"actions": []},
        {"actions": [{"type": "sell", "sizing_method": "gone", "size_value": 1}]},
        {"actions": [{"type": "gone"}]},
        {"actions": [{"type": "alert"}]},
        {"rule_type": "gone"},
        {"schedule": {"weekdays": ["GONE"]}},
        {"cooldown": {"hours": 1}},
    ],
    ids=str,
)
def test_a_stored_rule_that_is_not_understood_any_more_is_told_as_such(changed):
    assert "does not understand" not in describe(UNDERSTOOD)
    assert "does not understand" in describe(UNDERSTOOD | changed)


@settings(max_examples=300, deadline=None)
@given(rule=rules())
def test_every_rule_is_told_in_one_or_two_sentences(rule):
    sentence = describe(check_rule(rule).rule)
    assert sentence.startswith("When ") and sentence.endswith(".")
    assert (" It rests " in sentence or " It fires only " in sentence) == bool(
        rule.get("schedule") or rule.get("cooldown")
    )
