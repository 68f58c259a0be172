"""Examples of the API's answers, for its schema: recorded from the running API, never written by hand.

`docs/examples/<operationId>.json` holds {request, status, response} of one good call of each operation. The tests make
each of these calls, compare, and write what has changed when they are told to (`make contracts`).
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
_JSON = "application/json"


@cache
def recorded() -> dict[str, dict[str, Any]]:
    """By operation."""
    return {
        file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(EXAMPLES.glob("*.json"))
    }


def add_examples(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A hook of drf-spectacular's: what a view has examples of itself keeps them."""
    for operation in _operations(result):
        example = recorded().get(operation["operationId"])
        if example is None:
            continue
        if example["request"] is not None:
            _add(operation.get("requestBody", {}), example["request"])
        if example["response"] is not None:
            for status, body in operation["responses"].items():
                if status.startswith("2"):
                    _add(body, example["response"])
    return result


def _operations(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in schema["paths"].values():
        yield from methods.values()


def _add(body: dict[str, Any], value: Any) -> None:
    content = body.get("content", {}).get(_JSON)
    if content is not None:
        content.setdefault("examples", {"Recorded": {"value": value}})
