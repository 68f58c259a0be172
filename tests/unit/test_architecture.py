"""The house: relations run one way, and every name of the specification stands exactly once, where it belongs."""

import ast
import importlib
import re
from pathlib import Path
from typing import Protocol

import pytest
from django.apps import apps

from market.core.recommendation import RecommendationService

BASE_DIR = Path(__file__).resolve().parents[2]
# From the top of the house to its ground.
ROOMS = ("console", "trading", "sessions", "rules", "portfolios", "market", "journal", "foundation")
SPECIFIED = {
    "start_trading_session": "sessions.services.sessions",
    "stop_trading_session": "sessions.services.sessions",
    "pause_trading_session": "sessions.services.sessions",
    "get_active_sessions": "sessions.selectors",
    "evaluate_rules": "trading.services.auto_trading",
    "execute_triggered_rules": "trading.services.auto_trading",
    "execute_trade": "trading.services.trade_execution",
    "validate_trade": "trading.services.risk_management",
    "cancel_trade": "trading.services.order_management",
    "get_session_performance": "trading.services.performance",
    "get_trading_history": "trading.selectors",
    "evaluate_rule": "rules.services.rule_engine",
    "evaluate_conditions": "rules.services.rule_engine",
    "execute_actions": "rules.services.rule_engine",
    "validate_rule": "rules.services.rule_engine",
    "conflict_resolution": "rules.services.rule_engine",
    "prioritize_rules": "rules.services.rule_engine",
}
TABLES = {
    "trading_rules": "TradingRule",
    "auto_trades": "AutoTrade",
    "trading_sessions": "TradingSession",
}


def source_files() -> list[Path]:
    return [
        file for room in ROOMS for file in (BASE_DIR / room).rglob("*.py") if "migrations" not in file.parts
    ]


def functions_named(name: str) -> list[str]:
    """Modules that define a module-level function of this name."""
    found = []
    for file in source_files():
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
                name_of_file = ".".join(file.relative_to(BASE_DIR).with_suffix("").parts)
                found.append(name_of_file.removesuffix(".__init__"))
    return found


@pytest.mark.parametrize(("name", "module"), SPECIFIED.items())
def test_a_specified_function_stands_exactly_once(name: str, module: str) -> None:
    assert functions_named(name) == [module]
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize(("name", "module"), SPECIFIED.items())
def test_the_architecture_page_names_the_module(name: str, module: str) -> None:
    page = (BASE_DIR / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert any(f"`{name}`" in line and f"`{module}`" in line for line in page.splitlines())


def rows_of_names() -> list[tuple[str, list[str], str]]:
    """(what the specification says, what stands for it, module) of the architecture page's table."""
    page = (BASE_DIR / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Names of the specification")[2].splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table if line.startswith("| ")]
    return [(said, re.findall("`([^`]+)`", stands), module.strip("`")) for said, stands, module in cells[1:]]


def test_the_architecture_page_names_only_what_there_is() -> None:
    rows = rows_of_names()
    assert len(rows) > 40
    missing = [
        f"{module}.{name}"
        for said, names, module in rows
        for name in names
        if not hasattr(importlib.import_module(module), name)
    ]
    assert missing == []


@pytest.mark.parametrize(
    "name",
    [
        "auto-trading.module", "auto-trading.controller", "auto-trading.service", "trade-execution.service",
        "rule-engine.service", "risk-management.service", "position-sizing.service", "order-management.service",
        "trading-rule.entity", "auto-trade.entity", "trading-session.entity", "create-trading-rule.dto",
        "auto-trade-config.dto", "trading-session.dto", "trading-rule.interface", "auto-trading.interface",
        "CreateTradingRuleDto", "UpdateTradingRuleDto", "TradingSessionDto", "TradeFiltersDto", "AutoTradeDto",
        "TradingSessionConfig", "MarketData", "TriggeredRule", "TradingContext", "RuleCondition", "RuleAction",
        "ValidationResult",
    ],
)  # fmt: skip
def test_the_architecture_page_says_what_stands_for_each_file_and_type(name: str) -> None:
    assert any(re.search(rf"\b{re.escape(name)}\b", said) for said, _, _ in rows_of_names())


def test_the_recommendation_service_is_a_boundary_that_the_page_names() -> None:
    page = (BASE_DIR / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert "| `RecommendationService` | `market.core.recommendation` |" in page
    assert {"name", "advice"} <= set(dir(RecommendationService))
    assert issubclass(RecommendationService, Protocol)


@pytest.mark.parametrize(("table", "model"), TABLES.items())
def test_a_specified_table_has_its_model(table: str, model: str) -> None:
    own = [m for m in apps.get_models() if not m._meta.proxy]  # a proxy is another page of the same rows
    assert [m.__name__ for m in own if m._meta.db_table == table] == [model]


def test_relations_run_down_the_house() -> None:
    """String foreign keys escape the import contracts, so the relations are walked, too."""
    upwards = []
    for model in apps.get_models():
        room = model.__module__.split(".")[0]
        if room not in ROOMS:
            continue
        for field in model._meta.get_fields():
            if not field.concrete or field.related_model is None:
                continue
            other = field.related_model.__module__.split(".")[0]
            if other in ROOMS and ROOMS.index(other) < ROOMS.index(room):
                upwards.append(f"{model.__name__}.{field.name} → {other}")
    assert upwards == []


def test_no_import_hides_inside_a_function() -> None:
    """A late import of one of our rooms would be a cycle patched rather than cut."""
    hidden = []
    for file in source_files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for inner in ast.walk(node):
                    names = [inner.module or ""] if isinstance(inner, ast.ImportFrom) else []
                    names += [alias.name for alias in inner.names] if isinstance(inner, ast.Import) else []
                    hidden += [f"{file}:{inner.lineno}" for name in names if name.split(".")[0] in ROOMS]  # type: ignore[attr-defined]
    assert hidden == []


# Of a trade's, and of a session's.
WRITERS = {"trading.services.order_management", "sessions.services.sessions"}
SETS_A_STATUS = re.compile(r"\bSET\b(?:(?!\bWHERE\b|\bFROM\b).)*\bstatus\s*=", re.DOTALL | re.IGNORECASE)


def writes_a_status(node: ast.AST) -> bool:
    """By an attribute, by new or changed rows, or in SQL; what comes in by `**columns` is not seen."""
    if isinstance(node, ast.Attribute):
        return node.attr == "status" and isinstance(node.ctx, ast.Store)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and SETS_A_STATUS.search(node.value) is not None
    if isinstance(node, ast.Call):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        models = {"AutoTrade", "TradingSession"}
        makes = called in models or any(
            isinstance(given, ast.Name) and given.id in models for given in node.args
        )
        return (called in ("update", "create") or makes) and any(
            word.arg == "status" for word in node.keywords
        )
    return False


def test_each_status_has_one_writer() -> None:
    found = {
        ".".join(file.relative_to(BASE_DIR).with_suffix("").parts)
        for file in source_files()
        if any(writes_a_status(node) for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    }
    assert found == WRITERS


@pytest.mark.parametrize(
    "line",
    [
        "trade.status, trade.reason = 'filled', ''",
        "rows.update(status='filled')",
        "AutoTrade.objects.create(status='filled')",
        "AutoTrade(status='filled')",
        "new(AutoTrade, status='filled')",
        "sql = 'UPDATE auto_trades SET fence = 1, status = %s WHERE id = %s'",
    ],
)
def test_another_writer_would_be_found(line: str) -> None:
    assert any(writes_a_status(node) for node in ast.walk(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    ["rows.filter(status='filled')", "sql = 'UPDATE t SET a = 1 WHERE status = %s'", "x = trade.status"],
)
def test_a_reader_is_no_writer(line: str) -> None:
    assert not any(writes_a_status(node) for node in ast.walk(ast.parse(line)))
