"""The examples in the schema are answers of this API: each is compared with a call, and the answer with the schema.

`make contracts` records anew what has another shape; values may differ from run to run.
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from foundation.api.examples import EXAMPLES
from tests.integration.api.calls import CALLS, Call
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration
ROWS_MAX = 2
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SECRETS = {"token", "ticket"}
_TOO_LONG = {"getRuleSchema"}  # a JSON schema of 150 kB: its example shows what is on top of it


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """Without a request's host, as it is committed."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.route)
def test_it_answers_as_the_schema_says_and_the_example_shows(
    world: World, call: Call, schema: dict[str, Any]
) -> None:
    body = call.body(world)
    answer = call.send(world, call.by)
    assert answer.status_code == call.status, answer.content
    path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", answer.resolver_match.route)  # type: ignore[attr-defined]
    operation = schema["paths"][path][call.method]
    described = operation["responses"][str(call.status)]
    response = json.loads(answer.content) if answer.content else None
    assert ("content" in described) == (response is not None)
    if response is not None:
        _valid(response, described["content"]["application/json"]["schema"], schema)
    if body is None and response is None:
        return
    if operation["operationId"] in _TOO_LONG:
        response = {key: value for key, value in response.items() if not isinstance(value, dict | list)}
    now = _presentable({"request": body, "status": call.status, "response": response})
    file = EXAMPLES / f"{operation['operationId']}.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    if os.environ.get("EXAMPLES") == "write" and set(_places(before)) != set(_places(now)):
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(now, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return
    assert set(_places(before)) == set(_places(now)), "the example is out of date: make contracts"


def test_each_operation_with_a_body_has_an_example(schema: dict[str, Any]) -> None:
    """Last, so that those that were only just recorded are there."""
    recorded = {file.stem for file in EXAMPLES.glob("*.json")}
    operations = {
        operation["operationId"]: operation for methods in schema["paths"].values() for operation in methods.values()
    }  # fmt: skip
    with_body = {
        name for name, operation in operations.items()
        if "204" not in operation["responses"] or "requestBody" in operation
    }  # fmt: skip
    assert recorded == with_body, "make contracts, and remove those of operations that are gone"


def _valid(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    """Every place that is not as the schema says, at once."""
    whole = {"allOf": [schema], "components": document["components"]}
    checker = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert [f"{error.json_path}: {error.message[:300]}" for error in checker.iter_errors(value)] == []


def _presentable(value: Any) -> Any:
    """Short, without secrets, and with ids that a reader can tell apart."""
    text = json.dumps(_shortened(value), default=str).replace(
        "http://testserver", "https://autotrading.example"
    )
    known: dict[str, str] = {}
    text = _UUID.sub(
        lambda found: known.setdefault(found[0], f"00000000-0000-4000-8000-{len(known) + 1:012d}"), text
    )
    return json.loads(text)


def _shortened(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _shortened(item, key) for key, item in value.items()}
    if isinstance(value, list):
        rows = value[:ROWS_MAX] if any(isinstance(item, dict) for item in value) else value
        return [_shortened(item) for item in rows]
    if name in _SECRETS and isinstance(value, str):
        return "0123456789abcdef"
    return value


def _places(value: Any, place: str = "$") -> Iterator[str]:
    """Where there is something: its names, not its values."""
    yield place
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _places(item, f"{place}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _places(item, f"{place}[]")
