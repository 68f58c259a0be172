"""What must never become a rule is refused on every way in, with the place and the cure, and leaves no trace."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from rest_framework.response import Response

from journal.models import Entry
from rules.core.faults import FAULTS_MAX
from rules.models import RuleVersion, TradingRule
from tests.harness.trading import STOP_LOSS
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration

WAYS = ("create", "update", "validate")
SELL = '{"type": "sell", "sizing_method": "full_position"}'
DOWN = '{"field": "position_pnl_percentage", "operator": "less_than", "value": -5}'
# 400 as the body itself cannot be taken; or the rule in it is at fault, which "validate" is asked to tell.
BODY, RULE = "body", "rule"


@dataclass(frozen=True)
class Bad:
    """A body with one mistake: `path` and a word of reason or cure that the answer must have."""

    name: str
    body: str | bytes
    path: str
    word: str
    what: str = RULE


def rule(*, name: str = '"N"', condition: str = DOWN, conditions: str = "", beside: str = "") -> str:
    """A rule as text, so that it can be text that is no JSON. BESIDE makes room for the portfolio's id."""
    return (
        f'{{BESIDE{beside} "name": {name}, "rule_type": "exit", '
        f'"conditions": {conditions or f"[{condition}]"}, "actions": [{SELL}]}}'
    )


def compared(field: str, operator: str, value: str) -> str:
    return rule(condition=f'{{"field": "{field}", "operator": "{operator}", "value": {value}}}')


def valued(value: str) -> str:
    return compared("position_pnl_percentage", "less_than", value)


VALUE = "conditions[0].value"
FIELD = "conditions[0].field"
HUGE = "1" + "0" * 5_000

BAD = [
    # words
    Bad("unknown field", compared("positon_pnl", "less_than", "-5"), FIELD, "position_pnl_percentage"),
    Bad("unknown operator", compared("rsi", "below", "5"), "conditions[0].operator", "Use one of"),
    Bad("operator does not suit", compared("time_of_day", "equals", '"10:00"'), "conditions[0].operator", "between"),
    Bad("crossing without bars", compared("spread_bps", "crosses_above", "5"), "conditions[0].operator", "bars"),
    Bad("unknown key", rule(beside=' "unheard_of": 1,'), "", "unheard_of"),
    Bad("key of a prototype", rule(beside=' "__proto__": {},'), "", "__proto__"),
    Bad("Cyrillic letter", compared("рsi", "less_than", "5"), FIELD, '"rsi"'),
    Bad("ligature", compared("conﬁdence_score", "less_than", "0.5"), FIELD, "confidence_score"),
    Bad("full width", compared("ｒｓｉ", "less_than", "5"), FIELD, '"rsi"'),
    Bad("escaped look-alike", compared("\\u0440si", "less_than", "5"), FIELD, '"rsi"'),
    Bad("invisible space", compared("rsi\u200b", "less_than", "5"), FIELD, '"rsi"'),
    Bad("look-alike key", rule(beside=' "асtions": [],'), "", "actions"),
    # numbers
    Bad("number as text", valued('"-5"'), VALUE, "-5"),
    Bad("true as number", valued("true"), VALUE, "not a number"),
    Bad("null as number", valued("null"), VALUE, "not a number"),
    Bad("number that no fact reaches", compared("confidence_score", "greater_than", "80"), VALUE, "0.8"),
    Bad("number beyond what facts are", valued("-1" + "0" * 20), VALUE, "10^15"),
    Bad("NaN", valued("NaN"), VALUE, "not a JSON number", BODY),
    Bad("Infinity", valued("Infinity"), VALUE, "not a JSON number", BODY),
    Bad("-Infinity", valued("-Infinity"), VALUE, "not a JSON number", BODY),
    Bad("1e400", valued("1e400"), VALUE, "nearer to 0", BODY),
    Bad("10^5000", valued(HUGE), VALUE, "nearer to 0", BODY),
    Bad("-10^5000", valued("-" + HUGE), VALUE, "nearer to 0", BODY),
    Bad("10^5000 as priority", rule(beside=f' "priority": {HUGE},'), "priority", "nearer to 0", BODY),
    Bad("10^30 as priority", rule(beside=f' "priority": 1{"0" * 30},'), "priority", "nearer to 0"),
    Bad("hexadecimal", valued("0x10"), "", "delimiter", BODY),
    # shapes
    Bad("a key twice", rule(beside=' "name": "M",'), "name", "Keep one", BODY),
    Bad("a key twice deep inside", valued('[{"a": 1, "a": 2}]'), f"{VALUE}[0].a", "Keep one", BODY),
    Bad("nested too deep for a rule", rule(condition='{"not": ' * 8 + DOWN + "}" * 8),
        "conditions[0]" + ".not" * 8, "Flatten"),
    Bad("nested too deep for a body", rule(condition='{"not": ' * 64 + DOWN + "}" * 64), "", "Flatten", BODY),
    Bad("100,000 lists", rule(conditions="[" * 100_000 + "]" * 100_000), "", "Flatten", BODY),
    Bad("100,000 objects", rule(condition='{"not": ' * 100_000), "", "Flatten", BODY),
    Bad("8,000 conditions", rule(condition=", ".join([DOWN] * 8_000)), "conditions", "64"),
    Bad("many mistakes", rule(condition=", ".join(['{"x": 1}'] * 64)), "conditions[0]", "field"),
    Bad("an empty list", rule(conditions="[]"), "conditions", "at least one"),
    # texts
    Bad("lone surrogate in a text", rule(name='"\\ud800"'), "name", "surrogate", BODY),
    Bad("lone surrogate in a key", rule(beside=' "\\udfff": 1,'), "\N{REPLACEMENT CHARACTER}", "surrogate", BODY),
    Bad("null character", rule(name='"a\\u0000b"'), "name", "null character", BODY),
    Bad("control character", rule(name='"a\\u001bb"'), "name", "control"),
    Bad("long name", rule(name=f'"{"x" * 256}"'), "name", "255"),
    Bad("blank name", rule(name='" \\u3000 "'), "name", "empty"),
    Bad("invalid UTF-8", rule(name='"NAME"').encode().replace(b"NAME", b"\xff\xfe"), "", "UTF-8", BODY),
    Bad("overlong UTF-8", rule(name='"NAME"').encode().replace(b"NAME", b"\xc0\xaf"), "", "UTF-8", BODY),
    Bad("surrogate in UTF-8", rule(name='"NAME"').encode().replace(b"NAME", b"\xed\xa0\x80"), "", "UTF-8", BODY),
    Bad("UTF-16", rule().encode("utf-16"), "", "UTF-8", BODY),
    Bad("byte order mark", "\ufeff" + rule(), "", "BOM", BODY),
    Bad("half a body", rule()[:-10], "", "missing quote", BODY),
    Bad("two bodies", rule() + rule(), "", "Extra data", BODY),
    Bad("single quotes", rule().replace('"', "'"), "", "double quotes", BODY),
]  # fmt: skip


def send(world: World, way: str, body: str | bytes) -> Response:
    beside = "" if way == "update" else f'"portfolio_id": "{world.desk.portfolio.id}",'
    raw = body.encode() if isinstance(body, str) else body
    raw = raw.replace(b"BESIDE", beside.encode())
    alice, path = world.as_("alice"), "/api/auto-trading/rules"
    if way == "update":
        return alice.put(f"{path}/{world.rule.id}", raw, content_type="application/json")
    return alice.post(path + ("/validate" if way == "validate" else ""), raw, content_type="application/json")


def stored() -> dict[str, Any]:
    """Everything that a rule leaves behind when it is stored or changed."""
    return {
        "rules": list(TradingRule.objects.order_by("id").values()),
        "versions": RuleVersion.objects.count(),
        "journal": Entry.objects.count(),
    }


def errors_of(answer: Response, way: str, what: str) -> list[dict[str, str]]:
    """The faults that the answer tells. To validate a bad rule is no bad request: it says what is wrong."""
    told = answer.json()
    if way == "validate" and what == RULE:
        assert (answer.status_code, told["valid"], told["rule"]) == (200, False, None)
    else:
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
        assert (told["status"], told["code"]) == (400, "parse_error" if what == BODY else "invalid_input")
        assert told["detail"]
    return list(told["errors"])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_body_is_refused_with_place_and_cure_and_leaves_no_trace(
    world: World, bad: Bad, way: str
) -> None:
    before = stored()
    answer = send(world, way, bad.body)
    errors = errors_of(answer, way, bad.what)
    assert 1 <= len(errors) <= FAULTS_MAX
    assert all(
        set(error) == {"path", "message", "suggestion"}
        and all(isinstance(text, str) for text in error.values())
        for error in errors
    )
    (first, *_) = [error for error in errors if error["path"] == bad.path] or pytest.fail(f"{errors}")
    assert bad.word in first["message"] + first["suggestion"]
    assert all(error["message"] and error["suggestion"] for error in errors)
    assert len(answer.content) < 20_000
    assert stored() == before


@pytest.mark.parametrize("way", WAYS)
def test_a_body_of_ten_megabytes_is_not_read(world: World, way: str) -> None:
    before = stored()
    answer = send(world, way, rule(name=f'"{"x" * 10_000_000}"'))
    assert (answer.status_code, answer["Content-Type"]) == (413, "application/problem+json")
    assert answer.json()["code"] == "too_large" and "Send less" in answer.json()["detail"]
    assert stored() == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("body", ["[]", '"rule"', "null", "5", "{}"])
def test_what_is_no_rule_at_all_is_refused(world: World, way: str, body: str) -> None:
    before = stored()
    answer = send(world, way, body)
    if way == "validate" and body == "{}":
        assert (answer.status_code, answer.json()["valid"]) == (200, False)
    else:
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert answer.json()["errors"] and all(error["message"] for error in answer.json()["errors"])
    assert stored() == before


def test_the_same_ways_take_a_good_rule(world: World) -> None:
    """A guard on the tests above: the template itself is no mistake, so it is the mistake that is refused."""
    for way, status in (("validate", 200), ("update", 200), ("create", 201)):
        before = stored()
        answer = send(world, way, rule())
        assert answer.status_code == status, answer.json()
        assert (stored() == before) is (way == "validate")
    assert send(world, "validate", json.dumps(STOP_LOSS)).json()["valid"] is True
