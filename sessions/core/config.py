"""A session's config: what it may contain, and its meaning. Pure.

{
  "universe": {"symbols": ["AAPL", "MSFT"]},       the instruments it may trade; left out: all
  "recommendation_sources": ["baseline"],          in order of preference; left out: newest of all
  "limits": {"max_order_value": "5000"},           may only tighten
  "capital_cap": {"percentage": 10},               the part of the portfolio that it may have invested, in percent
                                                   of equity, or {"amount": "5000"}; left out: all of it. It counts
                                                   what this session bought, not what was there before it
  "trading_window": {"from": "09:45", …},          when it may make entries (sessions.core.window); left out: always
  "on_stop": "keep" | "flatten"                    what stopping does with open positions
}
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any

from foundation.core.money import PLACES
from portfolios.core.limits import LIMIT_RANGE, is_limit
from sessions.core.window import TradingWindow, check_window, read_window

SYMBOLS_MAX = 10_000
SOURCES_MAX = 16
ERRORS_MAX = 20
KEYS = ("universe", "recommendation_sources", "limits", "capital_cap", "trading_window", "on_stop")
CAP_UNITS = ("percentage", "amount")


@dataclass(frozen=True)
class CapitalCap:
    """What a session may have invested: percent of the portfolio's equity, or an amount in its currency."""

    unit: str
    value: Decimal

    def amount(self, equity: Decimal) -> Decimal:
        """In currency; NaN while the equity that it is a part of is unknown."""
        return self.value if self.unit == "amount" else equity * self.value / 100


@dataclass(frozen=True)
class SessionConfig:
    """symbols None means every active instrument; sources empty means the newest of all sources."""

    symbols: frozenset[str] | None = None
    recommendation_sources: tuple[str, ...] = ()
    limits: Mapping[str, Decimal] = field(default_factory=dict)
    capital_cap: CapitalCap | None = None
    trading_window: TradingWindow | None = None
    on_stop: str = "keep"


@dataclass
class ConfigErrors:
    """The first ERRORS_MAX errors; looking for a similar name is dear, so it ends with them."""

    rows: list[dict[str, str]] = field(default_factory=list)

    def add(self, path: str, message: str, *, name: str = "", known: Collection[str] = ()) -> None:
        """`name` was not found in `known`: the most similar known name is suggested."""
        if len(self.rows) >= ERRORS_MAX:
            return
        row = {"path": path, "message": message}
        close = get_close_matches(name, known, n=1)
        if close:
            row["suggestion"] = f"did you mean {close[0]!r}?"
        self.rows.append(row)


def _check_names(value: Any, *, path: str, known: Collection[str], most: int, errors: ConfigErrors) -> None:
    if (
        not isinstance(value, list)
        or not value
        or len(value) > most
        or not all(isinstance(v, str) for v in value)
    ):
        errors.add(path, f"must be a list of 1 to {most} names")
        return
    for index, name in enumerate(value):
        if name not in known:
            errors.add(f"{path}[{index}]", f"unknown: {name!r}", name=name, known=known)
    if len(set(value)) != len(value):
        errors.add(path, "names one of them twice")


def _number(raw: Any) -> Decimal:
    """NaN for what is no number."""
    try:
        return Decimal(str(raw)) if not isinstance(raw, bool) else Decimal("NaN")
    except InvalidOperation:
        return Decimal("NaN")


def _check_limits(value: Any, *, known: Collection[str], errors: ConfigErrors) -> None:
    if not isinstance(value, dict):
        errors.add("config.limits", "must be an object of limit names and numbers")
        return
    for name, amount in value.items():
        path = f"config.limits.{name}"
        if name not in known:
            errors.add(path, "unknown limit", name=name, known=known)
        elif not is_limit(_number(amount)):
            errors.add(path, f"{LIMIT_RANGE}, got {str(amount)[:40]!r}")


def _check_cap(value: Any, *, errors: ConfigErrors) -> None:
    path = "config.capital_cap"
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in CAP_UNITS:
        errors.add(path, 'must be {"percentage": 10} or {"amount": "5000"}')
        return
    unit, amount = next(iter(value.items()))
    number = _number(amount)
    if not is_limit(number) or number <= 0 or (unit == "percentage" and number > 100):
        bound = "to 100" if unit == "percentage" else "to below 10^12 with at most 8 decimal places"
        errors.add(f"{path}.{unit}", f"must be a number above 0 {bound}, got {str(amount)[:40]!r}")


def parse_config(
    config: Any,
    *,
    known_symbols: Collection[str],
    known_sources: Collection[str],
    known_limits: Collection[str],
) -> tuple[SessionConfig | None, list[dict[str, str]]]:
    """(config, []) when valid, else (None, the first ERRORS_MAX errors as {path, message, suggestion?})."""
    errors = ConfigErrors()
    if not isinstance(config, dict):
        return None, [{"path": "config", "message": "must be an object"}]
    for key in config:
        if key not in KEYS:
            errors.add(f"config.{key}", "unknown key", name=str(key), known=KEYS)
    if "universe" in config:
        universe = config["universe"]
        if not isinstance(universe, dict) or set(universe) != {"symbols"}:
            errors.add("config.universe", 'must be {"symbols": [...]}')
        else:
            _check_names(
                universe["symbols"], path="config.universe.symbols", known=known_symbols, most=SYMBOLS_MAX,
                errors=errors,
            )  # fmt: skip
    if "recommendation_sources" in config:
        _check_names(
            config["recommendation_sources"], path="config.recommendation_sources", known=known_sources,
            most=SOURCES_MAX, errors=errors,
        )  # fmt: skip
    _check_limits(config.get("limits", {}), known=known_limits, errors=errors)
    if "capital_cap" in config:
        _check_cap(config["capital_cap"], errors=errors)
    if "trading_window" in config:
        for fault in check_window(config["trading_window"]):
            errors.add(f"config.{fault.path}", f"{fault.message} {fault.suggestion or ''}".strip())
    on_stop = config.get("on_stop", "keep")
    if on_stop not in ("keep", "flatten"):
        errors.add("config.on_stop", f"must be keep or flatten, got {on_stop!r}")
    if errors.rows:
        return None, errors.rows
    return read_config(config), []


def read_config(stored: Mapping[str, Any]) -> SessionConfig:
    """A config that was valid when it was stored; an instrument gone since then simply never trades."""
    universe = stored.get("universe")
    cap = next(iter(stored["capital_cap"].items())) if "capital_cap" in stored else None
    return SessionConfig(
        symbols=frozenset(universe["symbols"]) if universe else None,
        recommendation_sources=tuple(stored.get("recommendation_sources", ())),
        limits={
            name: Decimal(str(value)).quantize(PLACES) for name, value in stored.get("limits", {}).items()
        },
        capital_cap=CapitalCap(cap[0], Decimal(str(cap[1]))) if cap is not None else None,
        trading_window=read_window(stored.get("trading_window")),
        on_stop=stored.get("on_stop", "keep"),
    )
