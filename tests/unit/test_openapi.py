"""The schema describes every operation, without a warning, and needs no server for it."""

import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from console.management.commands import write_contracts
from foundation.api.base import ApiView
from foundation.api.document import document as openapi
from journal.api import event_schemas
from journal.core.kinds import EventKind
from portfolios.core.access import Standing, is_of_portfolio, may
from tests.harness.event_kinds import declared_kinds


@pytest.fixture(scope="module", autouse=True)
def kinds() -> Iterator[dict[str, EventKind]]:
    """Those of the product; the tests of the journal declare some of their own."""
    declared = {kind.name: kind for kind in declared_kinds()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_schemas, "KINDS", declared)
        openapi.cache_clear()
        yield declared
    openapi.cache_clear()


@pytest.fixture(scope="module")
def document(kinds: dict[str, EventKind]) -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By "METHOD path"."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


@pytest.fixture(scope="module")
def idempotent() -> set[str]:
    """Those whose POST takes a key."""
    generator = SchemaGenerator()
    generator._initialise_endpoints()
    return {
        f"{method} {path}"
        for path, _, method, view in generator._get_paths_and_endpoints()
        if method == "POST" and isinstance(view, ApiView)
    }


def test_every_post_but_login_takes_a_key(
    operations: dict[str, dict[str, Any]], idempotent: set[str]
) -> None:
    """At login nobody is known yet whose key it would be."""
    posts = {name for name in operations if name.startswith("POST ")}
    assert posts - idempotent == {"POST /api/auth/login"}


def test_it_is_made_without_a_warning() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=io.StringIO())


def test_operation_ids_are_unique(operations: dict[str, dict[str, Any]]) -> None:
    names = [operation["operationId"] for operation in operations.values()]
    assert len(names) == len(set(names)) >= 40


def test_the_specifications_methods_are_operations(operations: dict[str, dict[str, Any]]) -> None:
    specified = {
        "createTradingRule", "getTradingRules", "updateTradingRule", "deleteTradingRule", "activateRule",
        "deactivateRule", "startTradingSession", "stopTradingSession", "getTradingSessions", "getSessionStatus",
        "getAutoTrades", "getTradeDetails", "cancelTrade",
    }  # fmt: skip
    assert specified <= {operation["operationId"] for operation in operations.values()}


def test_the_other_rooms_have_names_of_their_own(operations: dict[str, dict[str, Any]]) -> None:
    named = {name: operation["operationId"] for name, operation in operations.items()}
    assert named["GET /api/journal"] == "getEvents"
    assert named["GET /api/alerts"] == "getAlerts"
    assert named["POST /api/alerts/{alert_id}/acknowledge"] == "acknowledgeAlert"
    assert named["POST /api/stream/tickets"] == "createStreamTicket"
    assert (named["POST /api/auth/login"], named["POST /api/auth/logout"]) == ("login", "logout")
    assert not [name for name in named.values() if "_" in name]  # drf-spectacular's own names have one


@pytest.mark.parametrize(
    "name", ["GET /api/market/bars", "GET /api/market/snapshot", "GET /api/journal", "GET /api/alerts"]
)
def test_what_may_be_missing_is_told(operations: dict[str, dict[str, Any]], name: str) -> None:
    assert "404" in operations[name]["responses"]


def test_who_sends_a_body_is_told_how_it_may_be_refused(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        described = {"413", "415"} & operation["responses"].keys()
        assert described == ({"413", "415"} if "requestBody" in operation else set()), name


def test_each_operation_is_described_with_its_problems(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        assert operation["summary"] and operation["description"] and operation["tags"], name
        assert {"401", "405", "500", "503"} <= operation["responses"].keys(), name
        assert "406" not in operation["responses"], name
        assert ("429" in operation["responses"]) == (name != "POST /api/emergency-stop"), name
        assert "application/problem+json" in operation["responses"]["401"]["content"], name


def test_each_post_takes_an_idempotency_key(
    operations: dict[str, dict[str, Any]], idempotent: set[str]
) -> None:
    assert len(idempotent) >= 14
    for name, operation in operations.items():
        headers = [row["name"] for row in operation.get("parameters", ()) if row["in"] == "header"]
        assert ("Idempotency-Key" in headers) == (name in idempotent), name


def test_changes_of_rules_limits_and_sessions_may_name_what_they_change(
    operations: dict[str, dict[str, Any]],
) -> None:
    named = {
        operation["operationId"] for operation in operations.values()
        if "If-Match" in [row["name"] for row in operation.get("parameters", ())]
    }  # fmt: skip
    assert named == {
        "updateTradingRule", "deleteTradingRule", "activateRule", "deactivateRule", "approveRuleVersion",
        "rejectRuleVersion", "setLimits", "approveLimits", "rejectLimits", "setAccountLimits", "setPlatformLimits",
        "setInstrumentLimits", "setSessionLimits", "pauseTradingSession", "resumeTradingSession", "stopTradingSession",
    }  # fmt: skip
    for operation in operations.values():
        assert ("412" in operation["responses"]) == (operation["operationId"] in named)


def _bodies(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Of the request, and of each good answer."""
    yield from operation.get("requestBody", {}).get("content", {}).values()
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            yield from answer.get("content", {}).values()


def test_each_body_has_an_example_that_is_as_its_schema_says(
    document: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    wrong = []
    for name, operation in operations.items():
        for body in _bodies(operation):
            assert body.get("examples"), name
            whole = {"allOf": [body["schema"]], "components": document["components"]}
            for example in body["examples"].values():
                faults = Draft202012Validator(whole).iter_errors(example["value"])
                wrong += [f"{name}: {fault.json_path}: {fault.message[:200]}" for fault in faults]
    assert wrong == []


def test_problems_tell_their_headers_and_may_say_more(
    document: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    assert document["components"]["schemas"]["Problem"]["additionalProperties"] is True
    for name, operation in operations.items():
        for status, header in (("405", "Allow"), ("429", "Retry-After"), ("503", "Retry-After")):
            if status in operation["responses"]:
                assert header in operation["responses"][status]["headers"], name


def test_it_has_no_words_of_older_versions(document: dict[str, Any]) -> None:
    def keys(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from value
            for item in value.values():
                yield from keys(item)
        elif isinstance(value, list):
            for item in value:
                yield from keys(item)

    assert "nullable" not in set(keys(document["components"]["schemas"]))


def test_a_page_says_that_its_links_are_always_there(document: dict[str, Any]) -> None:
    page = document["components"]["schemas"]["PaginatedTradeList"]
    assert page["required"] == ["next", "previous", "results"]
    assert page["properties"]["next"]["type"] == ["string", "null"]


def test_an_event_is_one_of_the_kinds_that_are_declared(
    document: dict[str, Any], kinds: dict[str, EventKind]
) -> None:
    schemas = document["components"]["schemas"]
    event = schemas["Event"]
    known = event["discriminator"]["mapping"]
    assert known.keys() == kinds.keys()
    assert [each["$ref"] for each in event["oneOf"]] == list(known.values())
    for kind, ref in known.items():
        assert schemas[ref.rpartition("/")[2]]["properties"]["kind"]["const"] == kind
    page = schemas["PaginatedEventList"]["properties"]["results"]
    assert page["items"] == {"$ref": "#/components/schemas/Event"}
    assert schemas["StreamHeartbeat"]["properties"]["kind"]["const"] not in kinds


def test_the_committed_document_is_what_the_code_says() -> None:
    committed = (write_contracts.ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")
    assert committed == write_contracts.CONTRACTS["docs/openapi.json"](), "manage.py write_contracts"


def test_a_difference_is_shown_and_fails_until_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_contracts, "ROOT", tmp_path)
    monkeypatch.setattr(write_contracts, "CONTRACTS", {"one.json": lambda: '{"b": 2}\n'})
    (tmp_path / "one.json").write_text('{"a": 1}\n')
    shown = io.StringIO()
    with pytest.raises(CommandError, match=r"one\.json: not what the code says"):
        call_command("write_contracts", "--check", stdout=shown)
    assert '-{"a": 1}' in shown.getvalue() and '+{"b": 2}' in shown.getvalue()
    call_command("write_contracts", stdout=shown)
    call_command("write_contracts", "--check", stdout=shown)


def test_a_list_tells_that_a_cursor_may_not_be_its_own(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        if "cursor" in [row["name"] for row in operation.get("parameters", ())]:
            assert {"400", "404"} <= operation["responses"].keys(), name


def test_a_post_with_a_key_tells_that_the_key_may_be_no_key(
    operations: dict[str, dict[str, Any]], idempotent: set[str]
) -> None:
    for name in idempotent:
        assert {"400", "422"} <= operations[name]["responses"].keys(), name


def test_what_is_not_for_everybody_says_so(operations: dict[str, dict[str, Any]]) -> None:
    """Of a portfolio that is not yours there is nothing to see: 404. All else that you may not do is 403."""
    generator = SchemaGenerator()
    generator._initialise_endpoints()
    told = 0
    for path, _, method, view in generator._get_paths_and_endpoints():
        action = getattr(view, "actions", {}).get(method.lower())
        if action is not None and not is_of_portfolio(action) and not may(action, Standing()):
            assert "403" in operations[f"{method} {path}"]["responses"], path
            told += 1
    assert told >= 20


def test_money_is_text_and_moments_are_iso_8601_everywhere(document: dict[str, Any]) -> None:
    """Statistics and weights may be floats; what is booked, ordered or limited may not."""
    money = re.compile(r"(^|_)(price|cash|pnl|value|amount|quantity|fee|equity|balance|cost|size)$")
    moment = re.compile(r"(_at|_time|_until|^at|^as_of)$")
    seen = Counter[str]()
    for owner, schema in document["components"]["schemas"].items():
        for name, described in schema.get("properties", {}).items():
            kinds = described.get("type")
            if money.search(name) and kinds is not None:
                assert not {"number", "integer"} & set(kinds if isinstance(kinds, list) else [kinds]), (
                    owner,
                    name,
                )
                seen["money"] += 1
            if moment.search(name) and (owner, name) != ("CalendarLoadedPayload", "known_until"):  # a day
                assert described.get("format") == "date-time", (owner, name)
                seen["moment"] += 1
    assert seen["money"] >= 40 and seen["moment"] >= 40
