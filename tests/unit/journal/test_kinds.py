"""Every kind of event is declared once, with a payload that has a JSON Schema."""

import ast
import re
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator

from autotrading_project.environment_files import BASE_DIR
from journal.core.kinds import KINDS, EventKind, UnknownKind, kind_of, register
from journal.core.payloads import Schemas
from tests.harness.event_kinds import declared_kinds
from tests.harness.event_payloads import faults_in
from trading.core.order_states import OrderState

ROOMS = ("market", "portfolios", "rules", "sessions", "trading")
KIND = re.compile(r"[a-z_]+\.[a-z_]+")


class Colour(StrEnum):
    RED = "red"


class Leaf(TypedDict):
    day: date


class Tree(TypedDict):
    """What there is to hold."""

    id: UUID
    at: datetime
    amount: Annotated[Decimal | None, "of money"]
    colour: Colour
    side: Literal["buy", "sell"]
    leaves: list[Leaf]
    ages: dict[str, int]
    more: NotRequired[Any]
    is_tall: bool
    height: float


def test_a_type_becomes_a_schema():
    schemas = Schemas(refs="#/$defs/")
    assert schemas.of(Tree) == {"$ref": "#/$defs/TreePayload"}
    tree = schemas.by_name["TreePayload"]
    assert tree["description"] == "What there is to hold."
    assert tree["required"] == [name for name in tree["properties"] if name != "more"]
    found = tree["properties"]
    assert found["id"] == {"type": "string", "format": "uuid"}
    assert found["at"] == {"type": "string", "format": "date-time"}
    assert found["amount"] == {
        "anyOf": [{"$ref": "#/$defs/PlainDecimal"}, {"type": "null"}], "description": "of money",
    }  # fmt: skip
    assert (found["colour"]["enum"], found["side"]["enum"]) == (["red"], ["buy", "sell"])
    assert found["leaves"] == {"type": "array", "items": {"$ref": "#/$defs/LeafPayload"}}
    assert found["ages"] == {"type": "object", "additionalProperties": {"type": "integer"}}
    assert (found["more"], found["is_tall"], found["height"]) == ({}, {"type": "boolean"}, {"type": "number"})
    assert "additionalProperties" not in tree
    closed = Schemas(refs="#/$defs/", closed=True)
    closed.of(Tree)
    assert closed.by_name["LeafPayload"]["additionalProperties"] is False


def test_a_type_without_json_is_refused():
    for kind in (set, list[set], dict[int, str], object):
        with pytest.raises(TypeError, match="has no JSON Schema"):
            Schemas(refs="#/").of(kind)


def test_two_types_of_one_name_are_refused():
    schemas = Schemas(refs="#/")
    schemas.of(Leaf)
    with pytest.raises(TypeError, match="two types are called LeafPayload"):
        schemas.of(TypedDict("Leaf", {"other": int}))


def test_a_kind_is_declared_once(monkeypatch):
    monkeypatch.setattr("journal.core.kinds.KINDS", {})
    register(EventKind("leaf.fell", "A leaf fell", Leaf))
    with pytest.raises(ValueError, match=r"leaf\.fell is declared twice"):
        register(EventKind("leaf.fell", "Another", Tree))
    with pytest.raises(UnknownKind, match=r"'leaf\.grew': add it to the events\.py"):
        kind_of("leaf.grew")


def test_every_payload_has_a_valid_schema_and_every_kind_a_sentence():
    schemas = Schemas(refs="#/$defs/")
    for kind in declared_kinds():
        schemas.of(kind.payload)
        assert kind.summary[0].isupper() and not kind.summary.endswith("."), kind
    for schema in schemas.by_name.values():
        Draft202012Validator.check_schema(schema)


def test_every_state_of_a_trade_is_a_kind():
    assert {f"trade.{state}" for state in OrderState} <= KINDS.keys()


def test_every_kind_that_the_code_names_is_declared():
    """Refused only when it happens, a forgotten kind would roll back what it tells of."""
    nouns = {name.partition(".")[0] for name in KINDS} - {"test"}
    undeclared = []
    for room in ROOMS:
        for folder in ("services", "feed"):
            for file in (BASE_DIR / room / folder).rglob("*.py"):
                undeclared += [
                    f"{file.relative_to(BASE_DIR)}: {text}"
                    for text in _texts(file)
                    if KIND.fullmatch(text)
                    and text.partition(".")[0] in nouns
                    and text not in KINDS.keys() | LEASES
                ]
    assert undeclared == []


def _texts(file: Path) -> list[str]:
    """The texts of a module that could name a kind: it tells the journal something, and they are not given to what
    reaches a kill point or finds a module."""
    source = file.read_text()
    if not TELLS.search(source):
        return []
    tree = ast.parse(source)
    elsewhere = {
        id(argument)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", getattr(call.func, "attr", "")) in ELSEWHERE
        for argument in call.args
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in elsewhere
    ]


TELLS = re.compile(r"\b(journal\.core\.events|journal\.services\.journal|alert_once|trade_event|writing)\b")
ELSEWHERE = {"reach", "import_module"}
LEASES = {"market.feed", "market.training"}


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        ({}, "'reason' is a required property"),
        ({"reason": None}, "None is not of type 'string'"),
        ({"reason": "x", "colour": "red"}, "'colour' was unexpected"),
    ],
)
def test_a_payload_that_is_not_as_declared_is_found(payload, fault):
    assert faults_in("protection.failing", {"reason": "x"}) == []
    (found,) = faults_in("protection.failing", payload)
    assert fault in found


@pytest.mark.parametrize("amount", ["1E+2", "100.00", "1.", 100, "", "NaN"])
def test_money_is_plain_text(amount):
    payload = {
        "entry_id": "11111111-1111-1111-1111-111111111111", "currency": "USD", "cash": "-0.5", "actor": "alice",
    }  # fmt: skip
    assert faults_in("cash.deposited", payload | {"amount": "100"}) == []
    assert faults_in("cash.deposited", payload | {"amount": amount}) != []
    assert faults_in("cash.deposited", payload | {"amount": "1", "entry_id": "12"}) != []
