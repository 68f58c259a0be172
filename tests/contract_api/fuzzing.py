"""schemathesis against the real web process: requests made of the schema, answers held against it.

It is started as a program with a configuration that is written for the world at hand: with random ids it would only
ever see 404s, so each parameter of a path that `calls.py` knows a value of gets that value.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db import transaction

from tests.integration.api import calls
from tests.integration.api.conftest import World

# They would end the session that asks, or speak to a broker.
NOT_ASKED = ("login", "logout", "changePassword", "revokeOtherTokens", "connectBroker")
SEED = 20_260_117
# A status that the schema has, a body as it says, no defect. What is valid is for the language of rules to judge, and
# 503 is no defect where a schema has it.
CHECKS = {
    "not_a_server_error": {"enabled": True, "expected-statuses": ["2xx", "3xx", "4xx", 503]},
    "status_code_conformance": {"enabled": True},
    "content_type_conformance": {"enabled": True},
    "response_schema_conformance": {"enabled": True},
    "response_headers_conformance": {"enabled": True},
    "unsupported_method": {"enabled": True},
    "ignored_auth": {"enabled": True},
    "positive_data_acceptance": {"enabled": False},
    "negative_data_rejection": {"enabled": False},
    "missing_required_header": {"enabled": False},
    "use_after_free": {"enabled": False},
    "ensure_resource_availability": {"enabled": False},
}


def furnish(world: World) -> None:
    """Let there be one of everything that a path may name."""
    for make in (calls._make_plan, calls._alert, calls._token, calls._service, calls._record_dividend,
                 calls._pulled, calls._protect, calls._disagree):  # fmt: skip
        with transaction.atomic():
            make(world)


def configuration(
    world: World, schema: dict[str, Any], *, token: str, examples: int, all_phases: bool
) -> str:
    """schemathesis.toml. JSON's texts, numbers, booleans and lists are TOML's, too."""
    lines = [
        f"seed = {SEED}",
        "continue-on-failure = true",
        f"headers = {{ Authorization = {json.dumps(f'Token {token}')} }}",
        "[generation]",
        f"max-examples = {examples}",
        "deterministic = true",
        "no-shrink = true",
        "[phases]",
        f"coverage.enabled = {json.dumps(all_phases)}",
        f"stateful.enabled = {json.dumps(all_phases)}",
        "[checks]",
        *(f"{name} = {_inline(check)}" for name, check in CHECKS.items()),
    ]
    for name in NOT_ASKED:
        lines += ["[[operations]]", f"include-operation-id = {json.dumps(name)}", "enabled = false"]
    for name, values in _values(world, schema):
        lines += [
            "[[operations]]",
            f"include-operation-id = {json.dumps(name)}",
            f"parameters = {_inline(values)}",
        ]
    return "\n".join(lines) + "\n"


def _inline(values: dict[str, Any]) -> str:
    return (
        "{ " + ", ".join(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in values.items()) + " }"
    )


def _values(world: World, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """By operation: what its path is to name."""
    ids = calls.ids_of(world)
    named = {
        (call.method, _bare(path)): path.split("/")
        for call in calls.CALLS
        for path in [f"/api/{call.path.split('?')[0]}"]
    }
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            ours = named.get((method, _bare(path)))
            if operation["operationId"] in NOT_ASKED or ours is None:
                continue
            parts = zip(path.split("/"), ours, strict=True)
            values = {
                f"path.{theirs[1:-1]}": str(ids[mine[1:-1]])
                for theirs, mine in parts
                if theirs.startswith("{") and ids[mine[1:-1]] is not None
            }
            if values:
                yield operation["operationId"], values


def _bare(path: str) -> str:
    return "/".join("*" if part.startswith("{") else part for part in path.split("/"))


def ask(base_url: str, *, configuration: str, directory: Path, seconds: int) -> tuple[int, str]:
    """schemathesis's exit code, and what it says."""
    file = directory / "schemathesis.toml"
    file.write_text(configuration, encoding="utf-8")
    program = Path(sys.executable).parent / "schemathesis"
    said = directory / "said.txt"
    with said.open("w") as out:
        done = subprocess.run(
            [str(program), "--config-file", str(file), "run", f"{base_url}/api/schema",
             "--url", base_url, "--workers", "2", "--no-color", *os.environ.get("FUZZ_ARGS", "").split()],
            cwd=directory, stdout=out, stderr=out, timeout=seconds, check=False,
        )  # fmt: skip
    return done.returncode, said.read_text(encoding="utf-8", errors="replace")
