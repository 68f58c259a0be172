"""How much of each limit is used, limit by limit."""

import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from portfolios.core.limits import CATALOGUE, SPECS, LimitRow
from trading.core.limit_use import (
    MEASURES,
    NOT_MEASURED,
    PER_ORDER,
    HighestCorrelation,
    LimitUse,
    Standing,
    Subject,
    TradeCount,
    limit_uses,
    tightest_scope,
)

D = Decimal
DIP, TREND = uuid.UUID(int=1), uuid.UUID(int=2)


def standing(**changes: Any) -> Standing:
    """100,000 of equity: 30,000 in AAA (oil), 10,000 in BBB and 10,000 in CCC (both technology)."""
    given: dict[str, Any] = {
        "equity": D(100_000),
        "exposures": {"AAA": D(30_000), "BBB": D(10_000), "CCC": D(10_000)},
        "sectors": {"Oil": D(30), "Technology": D(20)},
        "correlations": [
            HighestCorrelation("AAA", "BBB", D("0.1")),
            HighestCorrelation("BBB", "CCC", D("0.6")),
            HighestCorrelation("CCC", "BBB", D("0.6")),
        ],
        "trades_today": [
            TradeCount(DIP, "Dip", "AAA", 3),
            TradeCount(DIP, "Dip", "BBB", 2),
            TradeCount(TREND, "Trend", "AAA", 4),
            TradeCount(None, "", "CCC", 9),
        ],
        "rule_executions": [TradeCount(TREND, "Trend", "AAA", 4)],
        "daily_loss_percentage": D(2),
        "drawdown_percentage": D(5),
        "losing_streak": 3,
        "rejections_last_minute": 1,
        "messages_last_second": 2,
        "messages_last_minute": 30,
    }
    return Standing(**given | changes)


def used(
    name: str, limit: str | None = "50", *, own: Mapping[str, LimitRow] | None = None, **changes: Any
) -> LimitUse:
    rows: list[LimitRow] = [("platform", 1, {name: None if limit is None else D(limit)})]
    found = limit_uses(standing(**changes), rows=rows, of_instruments=own or {})
    assert [row.spec for row in found] == list(CATALOGUE)
    return next(row for row in found if row.spec.name == name)


def test_every_limit_of_the_catalogue_has_exactly_one_entry() -> None:
    entries = [*MEASURES, *PER_ORDER, *NOT_MEASURED]
    assert sorted(entries) == sorted(SPECS)


@pytest.mark.parametrize(
    ("name", "value", "subject"),
    [
        ("max_position_percentage", "30", Subject("symbol", "AAA")),
        ("max_position_value", "30000", Subject("symbol", "AAA")),
        ("max_open_positions", "3", None),
        ("max_gross_exposure_percentage", "50", None),
        ("max_leverage", "0.5", None),
        ("max_sector_exposure_percentage", "30", Subject("sector", "Oil")),
        ("max_correlation", "0.6", Subject("pair", "BBB, CCC")),
        ("min_effective_holdings", "2.27272727", None),  # 50² / (30² + 10² + 10²)
        ("max_rule_executions", "4", Subject("rule", "Trend", TREND)),
        ("max_daily_trades", "18", None),
        ("max_daily_trades_per_rule", "5", Subject("rule", "Dip", DIP)),
        ("max_daily_trades_per_symbol", "9", Subject("symbol", "CCC")),
        ("max_daily_loss_percentage", "2", None),
        ("max_drawdown_percentage", "5", None),
        ("max_losing_streak", "3", None),
        ("max_rejections_per_minute", "1", None),
        ("max_messages_per_second", "2", None),
        ("max_messages_per_minute", "30", None),
    ],
)
def test_what_is_used(name: str, value: str, subject: Subject | None) -> None:
    found = used(name)
    assert found.value is not None
    assert (found.value.quantize(D("0.00000001")), found.subject) == (D(value), subject)
    assert not found.per_order and found.note == ""


def test_all_that_is_measured_is_tested_above() -> None:
    (parameters,) = [mark for mark in test_what_is_used.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    assert {row[0] for row in parameters.args[1]} == set(MEASURES)


def test_of_a_ceiling_value_over_limit() -> None:
    found = used("max_losing_streak", "4")
    assert (found.limit, found.scope, found.utilisation, found.headroom) == (4, "platform", 0.75, 1)
    passed = used("max_losing_streak", "2")
    assert (passed.utilisation, passed.headroom) == (1.5, -1)


def test_of_a_floor_limit_over_value() -> None:
    found = used("min_effective_holdings", "3", exposures={"AAA": D(10), "BBB": D(10)})
    assert (found.value, found.utilisation, found.headroom) == (2, 1.5, -1)


def test_a_limit_of_nothing_has_no_quotient() -> None:
    assert (used("max_losing_streak", "0").utilisation, used("max_losing_streak", "0").headroom) == (None, -3)


def test_a_limit_that_is_not_set_is_told_with_what_is_used() -> None:
    found = used("max_losing_streak", None)
    assert (found.limit, found.scope, found.value, found.utilisation, found.headroom) == (
        None,
        None,
        3,
        None,
        None,
    )


@pytest.mark.parametrize("name", [*PER_ORDER, *NOT_MEASURED])
def test_what_has_no_standing_use_says_why(name: str) -> None:
    found = used(name, "7")
    assert (found.limit, found.value, found.utilisation) == (7, None, None)
    assert found.note and found.per_order == (name in PER_ORDER)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("max_position_percentage", {"equity": None}),
        ("max_position_percentage", {"exposures": {"AAA": D(1), "BBB": None}}),
        ("max_position_value", {"exposures": {"AAA": D(1), "BBB": None}}),
        ("max_gross_exposure_percentage", {"exposures": {"AAA": D(1), "BBB": None}}),
        ("max_leverage", {"equity": D(0)}),
        ("max_sector_exposure_percentage", {"sectors": {"Oil": D(1), "Technology": None}}),
        ("max_correlation", {"correlations": [HighestCorrelation("AAA", "BBB", None)]}),
        ("max_correlation", {"correlations": []}),
        ("min_effective_holdings", {"exposures": {"AAA": D(1), "BBB": None}}),
        ("min_effective_holdings", {"exposures": {}}),
        ("max_rule_executions", {"rule_executions": None}),
        ("max_daily_trades", {"trades_today": None}),
        ("max_daily_trades_per_rule", {"trades_today": None}),
        ("max_daily_trades_per_symbol", {"trades_today": None}),
        ("max_daily_loss_percentage", {"daily_loss_percentage": None}),
        ("max_drawdown_percentage", {"drawdown_percentage": None}),
    ],
)
def test_unknown_is_not_nothing(name: str, changes: dict[str, Any]) -> None:
    found = used(name, **changes)
    assert (found.value, found.utilisation, found.headroom) == (None, None, None)
    assert found.note


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("max_position_percentage", {"exposures": {}}),
        ("max_position_value", {"exposures": {}}),
        ("max_gross_exposure_percentage", {"exposures": {}}),
        ("max_sector_exposure_percentage", {"sectors": {}}),
        ("max_daily_trades_per_rule", {"trades_today": [TradeCount(None, "", "AAA", 1)]}),
        ("max_daily_trades_per_symbol", {"trades_today": []}),
    ],
)
def test_nothing_is_nothing(name: str, changes: dict[str, Any]) -> None:
    found = used(name, **changes)
    assert (found.value, found.subject, found.utilisation) == (0, None, 0)


def test_an_instruments_own_limit_makes_another_the_worst() -> None:
    own: LimitRow = ("instrument", 1, {"max_position_percentage": D(10), "max_daily_trades_per_symbol": D(7)})
    found = used("max_position_percentage", own={"BBB": own})
    assert (found.subject, found.limit, found.scope) == (Subject("symbol", "BBB"), 10, "instrument")
    assert found.utilisation == 1
    found = used("max_daily_trades_per_symbol", own={"AAA": own})
    assert (found.subject, found.limit, found.scope) == (Subject("symbol", "AAA"), 7, "instrument")


def test_what_is_beyond_a_limit_of_nothing_is_the_worst() -> None:
    own: LimitRow = ("instrument", 1, {"max_position_percentage": D(0)})
    found = used("max_position_percentage", "20", own={"CCC": own})
    assert (found.subject, found.utilisation, found.headroom) == (Subject("symbol", "CCC"), None, -10)


def test_the_widest_of_equally_tight_scopes_is_named() -> None:
    spec, floor = SPECS["max_leverage"], SPECS["min_effective_holdings"]
    rows: list[LimitRow] = [
        ("platform", 1, {"max_leverage": D(2), "min_effective_holdings": D(3)}),
        ("account", 1, {"max_leverage": None}),
        ("portfolio", 1, {"max_leverage": D(1), "min_effective_holdings": D(2)}),
        ("session", 1, {"max_leverage": D("1.00")}),
    ]
    assert tightest_scope(spec, rows) == (1, "portfolio")
    assert tightest_scope(floor, rows) == (3, "platform")
    assert tightest_scope(spec, rows[1:2]) == (None, None)


def test_what_only_a_session_sets_permits_no_order_but_is_what_breakers_trip_at() -> None:
    rows: list[LimitRow] = [
        ("platform", 1, {"max_leverage": None, "max_rejections_per_minute": None}),
        ("session", 1, {"max_leverage": D(1), "max_rejections_per_minute": D(4)}),
    ]
    assert tightest_scope(SPECS["max_leverage"], rows) == (None, None)
    assert tightest_scope(SPECS["max_rejections_per_minute"], rows) == (4, "session")
    instrument: LimitRow = ("instrument", 1, {"max_leverage": D(2)})
    assert tightest_scope(SPECS["max_leverage"], [*rows, instrument]) == (1, "session")
