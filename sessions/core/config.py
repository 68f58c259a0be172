"""A session's config: what it may contain, and its meaning. Pure.

{
  "universe": {"symbols": ["AAPL", "MSFT"]},       the instruments it may trade; left out: all
  "recommendation_sources": ["baseline"],          in order of preference; left out: newest of all
  "limits": {"max_order_value": "5000"},           may only tighten
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

SYMBOLS_MAX = 10_000
SOURCES_MAX = 16
ERRORS_MAX = 20
KEYS = ("universe", "recommendation_sources", "limits", "on_stop")


@dataclass(frozen=True)
class SessionConfig:
    """symbols None means every active instrument; sources empty means the newest of all sources."""

    symbols: frozenset[str] | None = None
    recommendation_sources: tuple[str, ...] = ()
    limits: Mapping[str, Decimal] = field(default_factory=dict)
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


def _text_list(
    value: Any, *, path: str, known: Collection[str], most: int, errors: ConfigErrors
) -> list[str]:
    if (
        not isinstance(value, list)
        or not value
        or len(value) > most
        or not all(isinstance(v, str) for v in value)
    ):
        errors.add(path, f"must be a list of 1 to {most} names")
        return []
    for index, name in enumerate(value):
        if name not in known:
            errors.add(f"{path}[{index}]", f"unknown: {name!r}", name=name, known=known)
    if len(set(value)) != len(value):
        errors.add(path, "names one of them twice")
    return value


def _limits(value: Any, *, known: Collection[str], errors: ConfigErrors) -> dict[str, Decimal]:
    if not isinstance(value, dict):
        errors.add("config.limits", "must be an object of limit names and numbers")
        return {}
    result = {}
    for name, amount in value.items():
        path = f"config.limits.{name}"
        if name not in known:
            errors.add(path, "unknown limit", name=name, known=known)
            continue
        try:
            number = Decimal(str(amount)) if not isinstance(amount, bool) else Decimal("NaN")
        except InvalidOperation:
            number = Decimal("NaN")
        if is_limit(number):
            result[name] = number.quantize(PLACES)
        else:
            errors.add(path, f"{LIMIT_RANGE}, got {str(amount)[:40]!r}")
    return result


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
    symbols: list[str] | None = None
    if "universe" in config:
        universe = config["universe"]
        if not isinstance(universe, dict) or set(universe) != {"symbols"}:
            errors.add("config.universe", 'must be {"symbols": [...]}')
        else:
            symbols = _text_list(
                universe["symbols"], path="config.universe.symbols", known=known_symbols, most=SYMBOLS_MAX,
                errors=errors,
            )  # fmt: skip
    sources: list[str] = []
    if "recommendation_sources" in config:
        sources = _text_list(
            config["recommendation_sources"], path="config.recommendation_sources", known=known_sources,
            most=SOURCES_MAX, errors=errors,
        )  # fmt: skip
    limits = _limits(config.get("limits", {}), known=known_limits, errors=errors)
    on_stop = config.get("on_stop", "keep")
    if on_stop not in ("keep", "flatten"):
        errors.add("config.on_stop", f"must be keep or flatten, got {on_stop!r}")
    if errors.rows:
        return None, errors.rows
    return (
        SessionConfig(
            symbols=frozenset(symbols) if symbols is not None else None,
            recommendation_sources=tuple(sources),
            limits=limits,
            on_stop=on_stop,
        ),
        [],
    )


def read_config(stored: Mapping[str, Any]) -> SessionConfig:
    """A config that was valid when it was stored; an instrument gone since then simply never trades."""
    universe = stored.get("universe")
    return SessionConfig(
        symbols=frozenset(universe["symbols"]) if universe else None,
        recommendation_sources=tuple(stored.get("recommendation_sources", ())),
        limits={name: Decimal(str(value)) for name, value in stored.get("limits", {}).items()},
        on_stop=stored.get("on_stop", "keep"),
    )
