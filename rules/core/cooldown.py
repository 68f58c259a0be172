"""Cooldowns: how long a rule rests after it acted, in market time.

    {"minutes": 60, "per": "symbol"}

A rule acted when it traded or, if it asks for no trade, alerted or halted; being
refused, outranked or without a size starts no rest. Who remembers when a rule acted
is somebody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rules.core.faults import Faults, check_choice, check_keys, quoted, read_whole_number

COOLDOWN_MINUTES_MAX = 525_600  # a year
PER_SYMBOL, PER_RULE = "symbol", "rule"
PER = (PER_SYMBOL, PER_RULE)
COOLDOWN_KEYS = ("minutes", "per")


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A rest of `minutes` of market time: `per` "symbol", or "rule" for all symbols at once."""

    minutes: int
    per: str


def check_cooldown(raw: object, faults: Faults) -> None:
    """Add a fault for everything in a cooldown that is wrong; None is no cooldown."""
    if raw is not None:
        _read(raw, faults)


def read_cooldown(raw: Mapping[str, Any] | None) -> Cooldown | None:
    """A validated cooldown, None for none; ValueError names the first fault of one that was not validated."""
    if raw is None:
        return None
    faults = Faults()
    cooldown = _read(raw, faults)
    if cooldown is None:
        first = faults.found[0]
        raise ValueError(f"{first.path}: {first.message}")
    return cooldown


def resting_until(
    cooldown: Cooldown | None,
    acted: Mapping[str | None, datetime],
    symbol: str | None,
    *,
    as_of: datetime,
) -> datetime | None:
    """Until when the rule still rests for a symbol at `as_of`, or None when it may act.

    `acted` tells when the rule last acted, by symbol; None stands for the portfolio
    as a whole, in which case it rests for every symbol. All times are market time and
    aware. The rest is over at its last moment.
    """
    if cooldown is None:
        return None
    if cooldown.per == PER_RULE:
        last = max(acted.values(), default=None)
    else:
        last = max((acted[of] for of in (symbol, None) if of in acted), default=None)
    if last is None:
        return None
    until = last + timedelta(minutes=cooldown.minutes)
    return until if as_of < until else None


def _read(raw: object, faults: Faults) -> Cooldown | None:
    if not isinstance(raw, Mapping):
        faults.add("cooldown", f"{quoted(raw)} is not a cooldown.", 'Write {"minutes": 60}.')
        return None
    good = check_keys(raw, "cooldown", known=COOLDOWN_KEYS, required=("minutes",), faults=faults)
    per = raw.get("per", PER_SYMBOL)
    good &= check_choice(per, "cooldown.per", PER, faults)
    if "minutes" not in raw:
        return None
    minutes = read_whole_number(
        raw["minutes"],
        "cooldown.minutes",
        minimum=1,
        maximum=COOLDOWN_MINUTES_MAX,
        what="a number of minutes",
        faults=faults,
    )
    return Cooldown(minutes, per) if good and minutes is not None else None
