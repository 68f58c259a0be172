"""Which instruments a session may trade: named one by one, by exchange, by tag, or all of these together. Pure.

    {"symbols": ["AAPL"], "exchanges": ["XNYS"], "tags": ["dividend"]}

It may trade what any of the lists names. Exchanges and tags are looked up at each evaluation, so that what is listed
or tagged later joins, and what loses its tag leaves.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sessions.core.config_errors import ConfigErrors, check_names

NAMES_MAX: Mapping[str, int] = {"symbols": 10_000, "exchanges": 100, "tags": 100}


@dataclass(frozen=True)
class Listed:
    """What a universe asks of an instrument."""

    exchange: str
    tags: Collection[str]


@dataclass(frozen=True)
class Universe:
    symbols: frozenset[str] = frozenset()
    exchanges: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()

    def resolved(self, instruments: Mapping[str, Listed]) -> frozenset[str]:
        """The symbols that it stands for now. Empty means that it may trade nothing, never everything."""
        return self.symbols | {
            symbol
            for symbol, listed in instruments.items()
            if listed.exchange in self.exchanges or not self.tags.isdisjoint(listed.tags)
        }


def check_universe(raw: Any, *, known: Mapping[str, Collection[str]], errors: ConfigErrors) -> None:
    """`known`: names of symbols, exchanges and tags. A tag that nothing bears is probably a typing mistake."""
    path = "config.universe"
    if not isinstance(raw, dict) or not raw:
        errors.add(path, 'must be an object with one or more of "symbols", "exchanges" and "tags"')
        return
    for key, names in raw.items():
        if key not in NAMES_MAX:
            errors.add(f"{path}.{key}", "unknown key", name=str(key), known=NAMES_MAX)
        else:
            check_names(names, path=f"{path}.{key}", known=known[key], most=NAMES_MAX[key], errors=errors)


def read_universe(stored: Mapping[str, Any] | None) -> Universe | None:
    """A universe that was valid when it was stored; None for everything."""
    return Universe(**{key: frozenset(names) for key, names in stored.items()}) if stored else None
