"""docs/asyncapi.yaml is what the code says, whole in itself, and what docs/stream.md shows is as it says."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from jsonschema import Draft202012Validator

from autotrading_project.environment_files import BASE_DIR
from console.management.commands import write_contracts
from journal.asyncapi import asyncapi, asyncapi_yaml
from journal.stream.closing import MEANINGS, CloseCode
from tests.harness.contracts import asyncapi_document, faults_of_message
from tests.harness.event_kinds import declared_kinds

GUIDE = (BASE_DIR / "docs" / "stream.md").read_text()


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_file_is_what_the_code_says():
    assert asyncapi_document() == asyncapi(declared_kinds())
    assert (BASE_DIR / "docs" / "asyncapi.yaml").read_text() == asyncapi_yaml(declared_kinds())


def test_the_order_of_declarations_does_not_matter():
    assert asyncapi_yaml(reversed(declared_kinds())) == asyncapi_yaml(declared_kinds())


def test_every_reference_leads_somewhere():
    document = asyncapi_document()
    found = set(references(document))
    assert len(found) > 300
    for reference in found:
        node = document
        for name in reference.removeprefix("#/").split("/"):
            node = node[name]


def test_every_schema_is_valid_and_used():
    document = asyncapi_document()
    used = set(references(document))
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert f"#/components/schemas/{name}" in used


def test_every_kind_is_sent_and_every_close_code_told():
    document = asyncapi_document()
    channel = document["channels"]["events"]
    messages = document["components"]["messages"]
    sent = [reference["$ref"].rpartition("/")[2] for reference in document["operations"]["tell"]["messages"]]
    assert {messages[name]["name"] for name in sent} == {
        "stream.heartbeat", *(kind.name for kind in declared_kinds())
    }  # fmt: skip
    assert {row["code"] for row in channel["x-close-codes"]} == set(CloseCode) == MEANINGS.keys()


def test_the_check_of_lint_passes():
    """As `make lint` runs it: without any server."""
    environment = {
        **os.environ, "DATABASE_URL": "postgres://checks:checks@127.0.0.1:1/checks", "REDIS_URL": "redis://127.0.0.1:1/0",
    }  # fmt: skip
    check = [sys.executable, "manage.py", "write_contracts", "--check"]
    done = subprocess.run(check, cwd=BASE_DIR, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_a_difference_is_shown_refused_and_mended(tmp_path, monkeypatch, capsys):
    file = tmp_path / "one.yaml"
    file.write_text("a: 1\n")
    monkeypatch.setattr(write_contracts, "ROOT", tmp_path)
    monkeypatch.setattr(write_contracts, "CONTRACTS", {"one.yaml": lambda: "a: 2\n"})
    with pytest.raises(CommandError, match=r"one\.yaml: not what the code says"):
        call_command("write_contracts", "--check")
    assert "-a: 1\n+a: 2" in capsys.readouterr().out
    assert file.read_text() == "a: 1\n"
    call_command("write_contracts")
    assert file.read_text() == "a: 2\n"
    call_command("write_contracts", "--check")


def test_what_the_guide_shows_is_as_declared():
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)]
    assert {"trade.filled", "stream.heartbeat"} <= {message.get("kind") for message in shown}
    for message in shown:
        assert faults_of_message(message) == [], message


def test_the_guide_tells_every_close_code():
    rows = dict(re.findall(r"^\| (\d{4}) \| (.*?) \|$", GUIDE, re.MULTILINE))
    assert rows == {str(int(code)): meaning for code, meaning in MEANINGS.items()}
