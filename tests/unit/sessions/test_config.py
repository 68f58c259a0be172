"""A session's config: what it may contain, and errors that name the path."""

from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import pytest

from sessions.core.config import CapitalCap, Known, SessionConfig, parse_config, read_config
from sessions.core.config_errors import ERRORS_MAX
from sessions.core.universe import Universe
from sessions.core.window import TradingWindow

KNOWN = Known(
    symbols=["AAPL", "MSFT"], exchanges=["XNYS", "XNAS"], tags=["dividend", "large-cap"], sources=["baseline"],
    limits=["max_order_value"],
)  # fmt: skip


def test_an_empty_config_means_everything() -> None:
    assert parse_config({}, known=KNOWN) == (SessionConfig(), [])


def test_a_full_config() -> None:
    config = {
        "universe": {"symbols": ["AAPL"]}, "recommendation_sources": ["baseline"],
        "limits": {"max_order_value": "5000"}, "on_stop": "flatten", "capital_cap": {"percentage": 12.5},
        "trading_window": {"blackout_dates": ["2026-12-24"]}, "evaluation": {"every_seconds": 60}, "mode": "live",
        "ends_at": "2026-12-24T16:00:00-05:00",
    }  # fmt: skip
    parsed, errors = parse_config(config, known=KNOWN)
    assert errors == []
    assert parsed == SessionConfig(
        Universe(symbols=frozenset({"AAPL"})),
        ("baseline",),
        {"max_order_value": Decimal(5000)},
        CapitalCap("percentage", Decimal("12.5")),
        TradingWindow(None, frozenset({date(2026, 12, 24)})),
        60,
        "live",
        datetime(2026, 12, 24, 21, tzinfo=UTC),
        "flatten",
    )
    assert read_config(config) == parsed


@pytest.mark.parametrize(
    ("config", "path", "suggestion"),
    [
        ({"universe": {"symbols": ["APPL"]}}, "config.universe.symbols[0]", "AAPL"),
        ({"universe": {"symbols": []}}, "config.universe.symbols", None),
        ({"universe": {"symbols": ["AAPL", "AAPL"]}}, "config.universe.symbols", None),
        ({"universe": ["AAPL"]}, "config.universe", None),
        ({"universe": {}}, "config.universe", None),  # would it be nothing, or everything?
        ({"universe": {"symbol": ["AAPL"]}}, "config.universe.symbol", "symbols"),
        ({"universe": {"exchanges": ["XNSY"]}}, "config.universe.exchanges[0]", "XNYS"),
        ({"universe": {"symbols": ["AAPL"], "tags": ["dividends"]}}, "config.universe.tags[0]", "dividend"),
        ({"universe": {"tags": "dividend"}}, "config.universe.tags", None),
        ({"evaluation": "ticks"}, "config.evaluation", "tick"),
        ({"evaluation": {}}, "config.evaluation", None),
        ({"evaluation": None}, "config.evaluation", None),
        ({"evaluation": {"every_second": 60}}, "config.evaluation.every_second", "every_seconds"),
        ({"evaluation": {"every_seconds": 4}}, "config.evaluation.every_seconds", None),
        ({"evaluation": {"every_seconds": 86_401}}, "config.evaluation.every_seconds", None),
        ({"evaluation": {"every_seconds": 60.5}}, "config.evaluation.every_seconds", None),
        ({"evaluation": {"every_seconds": True}}, "config.evaluation.every_seconds", None),
        ({"mode": "papre"}, "config.mode", "paper"),
        ({"mode": ["live"]}, "config.mode", None),
        ({"ends_at": "2026-12-24T16:00:00"}, "config.ends_at", None),  # no zone
        ({"ends_at": "2026-12-24"}, "config.ends_at", None),
        ({"ends_at": 1_800_000_000}, "config.ends_at", None),
        ({"ends_at": "0001-01-01T00:00:00+14:00"}, "config.ends_at", None),  # before year 1 in UTC
        ({"ends_at": None}, "config.ends_at", None),
        ({"recommendation_sources": ["base"]}, "config.recommendation_sources[0]", "baseline"),
        ({"limits": {"max_order_values": 1}}, "config.limits.max_order_values", "max_order_value"),
        ({"limits": {"max_order_value": True}}, "config.limits.max_order_value", None),
        ({"limits": {"max_order_value": -1}}, "config.limits.max_order_value", None),
        ({"limits": {"max_order_value": "999999999999.999999999"}}, "config.limits.max_order_value", None),
        ({"limits": {"max_order_value": "1e-999999999"}}, "config.limits.max_order_value", None),
        ({"limits": {"max_order_value": "1e999999999"}}, "config.limits.max_order_value", None),
        ({"limits": {"max_order_value": 1e12}}, "config.limits.max_order_value", None),
        ({"limits": []}, "config.limits", None),
        ({"capital_cap": 5}, "config.capital_cap", None),
        ({"capital_cap": {"percentage": 5, "amount": 5}}, "config.capital_cap", None),
        ({"capital_cap": {"percentage": 0}}, "config.capital_cap.percentage", None),
        ({"capital_cap": {"percentage": 100.01}}, "config.capital_cap.percentage", None),
        ({"capital_cap": {"amount": "NaN"}}, "config.capital_cap.amount", None),
        ({"trading_window": []}, "config.trading_window", None),
        ({"trading_window": {}}, "config.trading_window", None),
        ({"trading_window": {"from": "9:45"}}, "config.trading_window.from", None),
        ({"trading_window": {"weekdays": ["FUNDAY"]}}, "config.trading_window.weekdays[0]", None),
        (
            {"trading_window": {"blackout_dates": ["2026-02-30"]}},
            "config.trading_window.blackout_dates[0]",
            None,
        ),
        ({"trading_window": {"blackout_dates": []}}, "config.trading_window.blackout_dates", None),
        ({"on_stop": None}, "config.on_stop", None),
        ({"onstop": "keep"}, "config.onstop", "on_stop"),
        (None, "config", None),
    ],
)
def test_errors_name_the_path_and_the_cure(config: Any, path: str, suggestion: str | None) -> None:
    parsed, errors = parse_config(config, known=KNOWN)
    assert parsed is None
    assert [row["path"] for row in errors] == [path]
    if suggestion:
        assert suggestion in errors[0]["suggestion"]


@pytest.mark.parametrize("seconds", [5, 86_400])
def test_the_bounds_of_a_cadence_are_permitted(seconds: int) -> None:
    parsed, errors = parse_config({"evaluation": {"every_seconds": seconds}}, known=KNOWN)
    assert errors == [] and parsed is not None and parsed.every_seconds == seconds


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

    monkeypatch.setattr("sessions.core.config_errors.get_close_matches", counted)
    parsed, errors = parse_config(config, known=KNOWN)
    assert parsed is None
    assert len(errors) == len(looked_for) == ERRORS_MAX
    assert all("suggestion" in row for row in errors)


def test_a_cap_in_percent_grows_with_the_equity_and_an_amount_does_not() -> None:
    assert CapitalCap("percentage", Decimal(10)).amount(Decimal(50_000)) == 5_000
    assert CapitalCap("amount", Decimal(5_000)).amount(Decimal(50_000)) == 5_000
    assert CapitalCap("percentage", Decimal(10)).amount(Decimal("NaN")).is_nan()
