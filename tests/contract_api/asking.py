"""Loaded by schemathesis's own process: who asks each operation, and what no generator would find.

It is no test's module and has no Django: what it knows stands in the file that FUZZ_KNOWLEDGE names, as
`fuzzing.knowledge` gives it.
"""

import itertools
import json
import os
import threading
from pathlib import Path
from typing import Any

import schemathesis

_KNOWN = json.loads(Path(os.environ["FUZZ_KNOWLEDGE"]).read_text(encoding="utf-8"))
_lock = threading.Lock()
_in_turn = {name: itertools.cycle(people) for name, people in _KNOWN["own"].items()}
_asked = {name: itertools.count() for name in _KNOWN["good"]}


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
    """Of three bodies one stays as it was made up, one is good but for a field of it, one is good."""
    name = _operation(context)
    if name not in _asked or not isinstance(case.body, dict):
        return
    good = dict(_KNOWN["good"][name])
    with _lock:
        turn = next(_asked[name])
        if "username" in good and name in _in_turn:
            good["username"], _ = next(_in_turn[name])
    if turn % 3 == 0:
        return
    made_up = sorted(case.body)
    if turn % 3 == 1 and made_up:
        field = made_up[turn // 3 % len(made_up)]
        good[field] = case.body[field]
    case.body = good
