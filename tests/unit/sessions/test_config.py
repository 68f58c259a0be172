"""A session's config: what it may contain, and errors that name the path."""

from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import pytest

from sessions.core.config import ERRORS_MAX, SessionConfig, parse_config, read_config

KNOWN: dict[str, Any] = {
    "known_symbols": ["AAPL", "MSFT"], "known_sources": ["baseline"], "known_limits": ["max_order_value"],
}  # fmt: skip


def test_an_empty_config_means_everything() -> None:
    assert parse_config({}, **KNOWN) == (SessionConfig(), [])


def test_a_full_config() -> None:
    config = {
        "universe": {"symbols": ["AAPL"]}, "recommendation_sources": ["baseline"],
        "limits": {"max_order_value": "5000"}, "on_stop": "flatten",
    }  # fmt: skip
    parsed, errors = parse_config(config, **KNOWN)
    assert errors == []
    assert parsed == SessionConfig(
        frozenset({"AAPL"}), ("baseline",), {"max_order_value": Decimal(5000)}, "flatten"
    )
    assert read_config(config) == parsed


@pytest.mark.parametrize(
    ("config", "path", "suggestion"),
    [
        ({"universe": {"symbols": ["APPL"]}}, "config.universe.symbols[0]", "AAPL"),
        ({"universe": {"symbols": []}}, "config.universe.symbols", None),
        ({"universe": {"symbols": ["AAPL", "AAPL"]}}, "config.universe.symbols", None),
        ({"universe": ["AAPL"]}, "config.universe", None),
        ({"recommendation_sources": ["base"]}, "config.recommendation_sources[0]", "baseline"),
        ({"limits": {"max_order_values": 1}}, "config.limits.max_order_values", "max_order_value"),
        ({"limits": {"max_order_value": True}}, "config.limits.max_order_value", None),
        ({"limits": {"max_order_value": -1}}, "config.limits.max_order_value", None),
        ({"limits": {"max_order_value": "999999999999.999999999"}}, "config.limits.max_order_value", None),
        ({"limits": {"max_order_value": "1e-999999999"}}, "config.limits.max_order_value", None),
        ({"limits": {"max_order_value": "1e999999999"}}, "config.limits.max_order_value", None),
        ({"limits": {"max_order_value": 1e12}}, "config.limits.max_order_value", None),
        ({"limits": []}, "config.limits", None),
        ({"on_stop": None}, "config.on_stop", None),
        ({"onstop": "keep"}, "config.onstop", "on_stop"),
        (None, "config", None),
    ],
)
def test_errors_name_the_path_and_the_cure(config: Any, path: str, suggestion: str | None) -> None:
    parsed, errors = parse_config(config, **KNOWN)
    assert parsed is None
    assert [row["path"] for row in errors] == [path]
    if suggestion:
        assert suggestion in errors[0]["suggestion"]


@pytest.mark.parametrize(
    "config",
    [
        {"universe": {"symbols": [f"APPL{number}" for number in range(5000)]}},
        {"limits": {f"max_order_values_{number}": 1 for number in range(5000)}},
        {f"on_stop_{number}": "keep" for number in range(5000)},
    ],
)
def test_only_so_many_errors_are_told_and_similar_names_looked_for(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_for: list[str] = []

    def counted(name: str, known: Any, n: int) -> list[str]:
        looked_for.append(name)
        return get_close_matches(name, known, n=n)

    monkeypatch.setattr("sessions.core.config.get_close_matches", counted)
    parsed, errors = parse_config(config, **KNOWN)
    assert parsed is None
    assert len(errors) == len(looked_for) == ERRORS_MAX
    assert all("suggestion" in row for row in errors)
