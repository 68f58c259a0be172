"""A session's config: what it may contain, and its meaning. Pure.

{
  "universe": {"symbols": ["AAPL"], "tags": […]},  the instruments it may trade (sessions.core.universe); left out: all
  "recommendation_sources": ["baseline"],          in order of preference; left out: newest of all
  "limits": {"max_order_value": "5000"},           may only tighten
  "capital_cap": {"percentage": 10},               the part of the portfolio that it may have invested, in percent
                                                   of equity, or {"amount": "5000"}; left out: all of it. It counts
                                                   what this session bought, not what was there before it
  "trading_window": {"from": "09:45", …},          when it may make entries (sessions.core.window); left out: always
  "evaluation": {"every_seconds": 60},             how often its rules are evaluated, in seconds of the clock on the
                                                   wall; "tick" or left out: at each snapshot of the market
  "mode": "paper" | "live",                        what the portfolio's account must be; left out: paper
  "ends_at": "2026-12-24T21:00:00Z",               when it stops by itself, in market time; left out: never
  "on_stop": "keep" | "flatten"                    what stopping does with open positions
}
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from foundation.core.money import PLACES
from portfolios.core.limits import LIMIT_RANGE, is_limit
from sessions.core.config_errors import ConfigErrors, check_names
from sessions.core.universe import Universe, check_universe, read_universe
from sessions.core.window import TradingWindow, check_window, read_window

SOURCES_MAX = 16
KEYS = (
    "universe", "recommendation_sources", "limits", "capital_cap", "trading_window", "evaluation", "mode", "ends_at",
    "on_stop",
)  # fmt: skip
CAP_UNITS = ("percentage", "amount")
MODES = ("paper", "live")
ON_STOP = ("keep", "flatten")
TICK = "tick"
EVERY_SECONDS_MIN, EVERY_SECONDS_MAX = 5, 86_400


@dataclass(frozen=True)
class Known:
    """The names that a config may use."""

    symbols: Collection[str]
    exchanges: Collection[str]
    tags: Collection[str]
    sources: Collection[str]
    limits: Collection[str]


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
    """universe None means every active instrument; sources empty means the newest of all sources; every_seconds 0
    means at each snapshot; ends_at is market time, in UTC."""

    universe: Universe | None = None
    recommendation_sources: tuple[str, ...] = ()
    limits: Mapping[str, Decimal] = field(default_factory=dict)
    capital_cap: CapitalCap | None = None
    trading_window: TradingWindow | None = None
    every_seconds: int = 0
    mode: str = "paper"
    ends_at: datetime | None = None
    on_stop: str = "keep"


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


def _check_evaluation(value: Any, *, errors: ConfigErrors) -> None:
    path = "config.evaluation"
    bounds = f"{EVERY_SECONDS_MIN} to {EVERY_SECONDS_MAX}"
    if value == TICK:
        return
    if not isinstance(value, dict) or not value:
        name = value if isinstance(value, str) else ""
        errors.add(path, f'must be "tick" or {{"every_seconds": {bounds}}}', name=name, known=(TICK,))
        return
    for key, seconds in value.items():
        if key != "every_seconds":
            errors.add(f"{path}.{key}", "unknown key", name=str(key), known=("every_seconds",))
        elif type(seconds) is not int or not EVERY_SECONDS_MIN <= seconds <= EVERY_SECONDS_MAX:
            errors.add(f"{path}.{key}", f"must be a whole number of {bounds}, got {str(seconds)[:40]!r}")


def _moment(text: Any) -> datetime | None:
    """In UTC; None for what is no moment, or has no zone."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (TypeError, ValueError, OverflowError):
        return None


def _check_choice(
    config: Mapping[str, Any], key: str, choices: tuple[str, ...], errors: ConfigErrors
) -> None:
    value = config.get(key, choices[0])
    if value not in choices:
        name = value if isinstance(value, str) else ""
        message = f"must be {' or '.join(choices)}, got {str(value)[:40]!r}"
        errors.add(f"config.{key}", message, name=name, known=choices)


def parse_config(config: Any, *, known: Known) -> tuple[SessionConfig | None, list[dict[str, str]]]:
    """(config, []) when valid, else (None, the first ERRORS_MAX errors as {path, message, suggestion?})."""
    errors = ConfigErrors()
    if not isinstance(config, dict):
        return None, [{"path": "config", "message": "must be an object"}]
    for key in config:
        if key not in KEYS:
            errors.add(f"config.{key}", "unknown key", name=str(key), known=KEYS)
    if "universe" in config:
        names = {"symbols": known.symbols, "exchanges": known.exchanges, "tags": known.tags}
        check_universe(config["universe"], known=names, errors=errors)
    if "recommendation_sources" in config:
        check_names(
            config["recommendation_sources"], path="config.recommendation_sources", known=known.sources,
            most=SOURCES_MAX, errors=errors,
        )  # fmt: skip
    _check_limits(config.get("limits", {}), known=known.limits, errors=errors)
    if "capital_cap" in config:
        _check_cap(config["capital_cap"], errors=errors)
    if "trading_window" in config:
        for fault in check_window(config["trading_window"]):
            errors.add(f"config.{fault.path}", f"{fault.message} {fault.suggestion or ''}".strip())
    _check_evaluation(config.get("evaluation", TICK), errors=errors)
    _check_choice(config, "mode", MODES, errors)
    if "ends_at" in config and _moment(config["ends_at"]) is None:
        errors.add("config.ends_at", 'must be a date and time with its zone, as "2026-12-24T21:00:00Z"')
    _check_choice(config, "on_stop", ON_STOP, errors)
    if errors.rows:
        return None, errors.rows
    return read_config(config), []


def read_config(stored: Mapping[str, Any]) -> SessionConfig:
    """A config that was valid when it was stored; an instrument gone since then simply never trades."""
    cap = next(iter(stored["capital_cap"].items())) if "capital_cap" in stored else None
    evaluation = stored.get("evaluation", TICK)
    return SessionConfig(
        universe=read_universe(stored.get("universe")),
        recommendation_sources=tuple(stored.get("recommendation_sources", ())),
        limits={
            name: Decimal(str(value)).quantize(PLACES) for name, value in stored.get("limits", {}).items()
        },
        capital_cap=CapitalCap(cap[0], Decimal(str(cap[1]))) if cap is not None else None,
        trading_window=read_window(stored.get("trading_window")),
        every_seconds=0 if evaluation == TICK else evaluation["every_seconds"],
        mode=stored.get("mode", MODES[0]),
        ends_at=_moment(stored.get("ends_at")),
        on_stop=stored.get("on_stop", ON_STOP[0]),
    )
