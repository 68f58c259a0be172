"""The schema describes every operation, without a warning, and needs no server for it."""

import io
from typing import Any

import pytest
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator

from foundation.api.base import ApiView


@pytest.fixture(scope="module")
def operations() -> dict[str, dict[str, Any]]:
    """By "METHOD path"; only those made of `ApiView`."""
    generator = SchemaGenerator()
    paths = generator.get_schema(request=None, public=True)["paths"]
    ours = {
        (path, method)
        for path, _, method, view in generator._get_paths_and_endpoints()
        if isinstance(view, ApiView)
    }
    return {f"{method} {path}": paths[path][method.lower()] for path, method in ours}


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


def test_each_operation_is_described_with_its_problems(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        assert operation["summary"] and operation["description"] and operation["tags"], name
        assert {"401", "503"} <= operation["responses"].keys(), name
        assert "application/problem+json" in operation["responses"]["401"]["content"], name


def test_each_post_takes_an_idempotency_key(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        headers = [row["name"] for row in operation.get("parameters", ()) if row["in"] == "header"]
        assert headers == (["Idempotency-Key"] if name.startswith("POST") else []), name
