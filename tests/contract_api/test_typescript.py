"""A TypeScript client is made of the committed schema, and a program that uses it compiles.

Needs node; where continuous integration says CI, its absence is a failure.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "clients" / "typescript"
DOCUMENT = ROOT / "docs" / "openapi.json"

pytestmark = pytest.mark.timeout(600)  # npm fetches its packages once


@pytest.fixture(scope="module")
def installed() -> Path:
    """The client's directory, with the packages of its lock file."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("CI is set and there is no node with npm: the TypeScript client cannot be compiled.")
        pytest.skip("no node with npm here")
    lock = (CLIENT / "package-lock.json").read_text(encoding="utf-8")
    mark = CLIENT / "node_modules" / ".installed"
    if not mark.exists() or mark.read_text(encoding="utf-8") != lock:
        done = _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", directory=CLIENT)
        assert done.returncode == 0, f"npm could not fetch what package-lock.json names:\n{done.stderr}"
        mark.write_text(lock, encoding="utf-8")
    return CLIENT


def _run(*command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def _compiled(installed: Path, document: str, work: Path) -> subprocess.CompletedProcess[str]:
    """Made and compiled beside the checkout, so that a run leaves nothing in it and two do not meet."""
    (work / "docs").mkdir(parents=True)
    (work / "docs" / "openapi.json").write_text(document, encoding="utf-8")
    copy = work / "clients" / "typescript"
    copy.mkdir(parents=True)
    shutil.copytree(installed / "src", copy / "src")
    for name in ("package.json", "tsconfig.json"):
        shutil.copy(installed / name, copy / name)
    (copy / "node_modules").symlink_to(installed / "node_modules")
    made = _run("npm", "run", "--silent", "generate", directory=copy)
    assert made.returncode == 0, made.stdout + made.stderr
    return _run("npm", "run", "--silent", "check", directory=copy)


def test_the_program_compiles_against_the_committed_schema(installed: Path, tmp_path: Path) -> None:
    done = _compiled(installed, DOCUMENT.read_text(encoding="utf-8"), tmp_path)
    assert done.returncode == 0, done.stdout


def test_a_renamed_field_is_found(installed: Path, tmp_path: Path) -> None:
    """What this test is for: an answer, a request and a parameter that the program knows by another name."""
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    schemas = document["components"]["schemas"]
    for schema, name in (("Trade", "symbol"), ("StartSession", "session_name")):
        schemas[schema]["properties"]["renamed"] = schemas[schema]["properties"].pop(name)
        schemas[schema]["required"] = [key for key in schemas[schema]["required"] if key != name]
    (header,) = [
        row for row in document["paths"]["/api/auto-trading/sessions/start"]["post"]["parameters"]
        if row["name"] == "Idempotency-Key"
    ]  # fmt: skip
    header["name"] = "Renamed-Key"
    schemas["Problem"]["properties"]["code"]["enum"].remove("unavailable")
    done = _compiled(installed, json.dumps(document), tmp_path)
    assert done.returncode != 0
    for name in ("symbol", "session_name", "Idempotency-Key", "unavailable"):
        assert name in done.stdout, done.stdout


def test_a_kind_of_event_that_the_program_does_not_know_is_found(installed: Path, tmp_path: Path) -> None:
    """Its switch over `kind` speaks of each, so that one that is new, and a payload that lacks something, are seen."""
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    schemas, name, ref = document["components"]["schemas"], "NewsEvent", "#/components/schemas/NewsEvent"
    schemas[name] = json.loads(json.dumps(schemas["TradeFilledEvent"]).replace("trade.filled", "trade.news"))
    schemas["Event"]["oneOf"].append({"$ref": ref})
    schemas["Event"]["discriminator"]["mapping"]["trade.news"] = ref
    del schemas["SessionStoppedPayload"]["properties"]["total_pnl"]
    done = _compiled(installed, json.dumps(document), tmp_path)
    assert done.returncode != 0
    assert "not assignable to parameter of type 'never'" in done.stdout, done.stdout
    assert "total_pnl" in done.stdout, done.stdout
