"""Loaded by schemathesis's own process: who asks each operation, and the words that no generator would find.

It is no test's module and has no Django: what it knows stands in the file that FUZZ_PEOPLE names,
{token, own: {operationId: [[username, token], …]}, password, with_password: [operationId, …]}.
"""

import itertools
import json
import os
import threading
from pathlib import Path
from typing import Any

import schemathesis

_KNOWN = json.loads(Path(os.environ["FUZZ_PEOPLE"]).read_text(encoding="utf-8"))
_lock = threading.Lock()
_in_turn = {name: itertools.cycle(people) for name, people in _KNOWN["own"].items()}
_asked = {name: itertools.count() for name in _KNOWN["with_password"]}


def _operation(context: Any) -> str:
    name: str = context.operation.definition.raw["operationId"]
    return name


@schemathesis.auth(refresh_interval=None)
class Asker:
    """One and the same; but for what ends the login that asks, each time somebody else."""

    def get(self, case: Any, context: Any) -> str:
        people = _in_turn.get(_operation(context))
        if people is None:
            return str(_KNOWN["token"])
        with _lock:
            _, token = next(people)
        return str(token)

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Token {data}"}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Every second body says the right password: behind it there is more to be asked."""
    name = _operation(context)
    if name not in _asked or not isinstance(case.body, dict) or "password" not in case.body:
        return
    with _lock:
        turn = next(_asked[name])
        if turn % 2:
            return
        case.body["password"] = _KNOWN["password"]
        if "username" in case.body:
            case.body["username"], _ = next(_in_turn[name])
