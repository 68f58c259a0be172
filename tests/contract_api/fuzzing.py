"""schemathesis against the real web process: requests made of the schema, answers held against it.

It is started as a program with a configuration that is written for the world at hand: with random ids it would only
ever see 404s, so each parameter of a path that `calls.py` knows a value of gets that value, and of three bodies one is
good and one is good but for a single field. No operation is left out: what ends the login that asks is asked by people
who were made for it (`asking.py`), and the broker that is connected is a double.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Count
from knox.models import get_token_model

from portfolios.services.portfolios import create_portfolio
from rules.services.rules import create_rule
from sessions.services.sessions import start_trading_session
from tests.harness.alpaca_wire import AlpacaWire
from tests.harness.trading import STOP_LOSS
from tests.integration.api import calls
from tests.integration.api.conftest import World

# They end logins, or begin them: asked each time by somebody else, who is there for nothing else.
REVOKES = "revokeOtherTokens"
BY_OTHERS = ("login", "logout", "changePassword", REVOKES)
ON_THE_IDLE_ONE = ("connectBroker", "disconnectBroker")
ABOUT_A_RULE = ("replayDecision",)
HOOKS = Path(__file__).with_name("asking.py")
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


def furnish(world: World) -> dict[str, str]:
    """Let there be one of everything that a path may name, and know the people's passwords.

    By operation: what it may end for good, so that the others go on with theirs.
    """
    calls._passwords(world)
    for make in (calls._make_plan, calls._alert, calls._token, calls._service_token, calls._locked_out,
                 calls._record_dividend, calls._pulled, calls._protect, calls._disagree):  # fmt: skip
        with transaction.atomic():
            make(world)
    alice = world.users["alice"]
    spare = create_portfolio(name="Spare", owner=alice)
    rule = create_rule(portfolio_id=spare.id, rule=STOP_LOSS, actor=alice)
    trading_session = start_trading_session(
        portfolio_id=spare.id, config={}, actor=alice, session_name="Spare"
    )
    return {"deleteTradingRule": str(rule.id), "stopTradingSession": str(trading_session.id)}


def knowledge(world: World, schema: dict[str, Any], *, token: str, number: int) -> dict[str, Any]:
    """What `asking.py` reads: whose token is sent, for each of BY_OTHERS so many who are used up, and good bodies."""
    users, tokens = get_user_model(), get_token_model()
    own: dict[str, list[tuple[str, str]]] = {}
    for name in BY_OTHERS:
        rows = [users(username=f"{name}-{each}", password=calls._password()) for each in range(number)]
        own[name] = [
            (user.get_username(), tokens.objects.create(user=user)[1])
            for user in users.objects.bulk_create(rows)
        ]
    for user in users.objects.filter(username__startswith=REVOKES):
        tokens.objects.create(user=user)  # another one, to be revoked
    good = {name: call.body(world) for name, _, call in _operations(schema)}
    good["armEmergencyStop"] |= {
        "scope_id": str(world.idle.id)
    }  # where trading stops for the rest of the run
    return {
        "token": token, "own": own,
        "good": {name: body for name, body in good.items() if isinstance(body, dict)},
    }  # fmt: skip


def carried_out(known: dict[str, Any]) -> set[str]:
    """Those of BY_OTHERS that were not only refused: it shows in what those who asked have now."""
    users = get_user_model().objects.annotate(tokens=Count("auth_token_set"))
    own = {name: users.filter(username__in=[each for each, _ in rows]) for name, rows in known["own"].items()}
    found = {
        "login": own["login"].filter(tokens__gt=1),
        "logout": own["logout"].filter(tokens=0),
        "changePassword": own["changePassword"].exclude(password=calls._password()),
        REVOKES: own[REVOKES].filter(tokens=1),
    }
    return {name for name, rows in found.items() if rows.exists()}


def surroundings(broker: AlpacaWire) -> dict[str, str]:
    """Of the web process: the double is its broker, and passwords may be wrong as often as they are asked for."""
    key = base64.b64encode(b"k" * 32).decode()
    return {
        "ALPACA_PAPER_URL": broker.url, "CREDENTIAL_KEYS": f"test:{key}",
        "LOGIN_FAILURES_PER_NAME": "1000", "LOGIN_FAILURES_PER_ADDRESS": "10000", "LOGIN_LOCKOUT_MINUTES": "1",
    }  # fmt: skip


def configuration(
    world: World, schema: dict[str, Any], *, spare: dict[str, str], examples: int, all_phases: bool
) -> str:
    """schemathesis.toml. JSON's texts, numbers, booleans and lists are TOML's, too."""
    lines = [
        f"seed = {SEED}",
        "continue-on-failure = true",
        f"hooks = {json.dumps(str(HOOKS))}",
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
    for name, values in _values(world, schema):
        if name in spare:
            values = {"path.id": spare[name]}
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
    usual = calls.ids_of(world)
    for name, path, call in _operations(schema):
        ids = usual | {"portfolio": world.idle.id} if name in ON_THE_IDLE_ONE else usual
        values = {
            f"path.{theirs[1:-1]}": str(ids[mine[1:-1]])
            for theirs, mine in zip(path.split("/"), _path(call).split("/"), strict=True)
            if theirs.startswith("{") and ids[mine[1:-1]] is not None
        }
        if name in ABOUT_A_RULE:
            values |= {"query.rule": str(world.rule.id), "query.symbol": "AAA"}
        if values:
            yield name, values


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, calls.Call]]:
    """Each by its name and path, with the good call of it."""
    known = {(call.method, _bare(_path(call))): call for call in calls.CALLS}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield operation["operationId"], path, known[method, _bare(path)]


def _path(call: calls.Call) -> str:
    return f"/api/{call.path.split('?')[0]}"


def _bare(path: str) -> str:
    return "/".join("*" if part.startswith("{") else part for part in path.split("/"))


def ask(
    base_url: str, *, configuration: str, knowledge: dict[str, Any], directory: Path, seconds: int
) -> tuple[int, str]:
    """schemathesis's exit code, and what it says."""
    file, known = directory / "schemathesis.toml", directory / "known.json"
    file.write_text(configuration, encoding="utf-8")
    known.write_text(json.dumps(knowledge, default=str), encoding="utf-8")
    said = directory / "said.txt"
    with said.open("w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "--config-file", str(file), "run", f"{base_url}/api/schema",
             "--url", base_url, "--workers", "2", "--no-color", *os.environ.get("FUZZ_ARGS", "").split()],
            cwd=directory, stdout=out, stderr=out, timeout=seconds, check=False,
            env=os.environ | {"FUZZ_KNOWLEDGE": str(known)},
        )  # fmt: skip
    return done.returncode, said.read_text(encoding="utf-8", errors="replace")
