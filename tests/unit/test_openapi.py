"""The schema describes every operation, without a warning, and needs no server for it."""

import io
from typing import Any

import pytest
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator

from foundation.api.base import ApiView


@pytest.fixture(scope="module")
def operations() -> dict[str, dict[str, Any]]:
    """By "METHOD path"."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    return {
        f"{method.upper()} {path}": operation
        for path, methods in paths.items()
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
        assert {"401", "503"} <= operation["responses"].keys(), name
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
