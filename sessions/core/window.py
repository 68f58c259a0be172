"""When a session may make entries: its own hours on the exchange's clock, and days on which it makes none. Pure.

    {"weekdays": ["MONDAY", …], "from": "09:45", "to": "15:30",
     "minutes_after_open": 15, "minutes_before_close": 30, "blackout_dates": ["2026-12-24", …]}

The keys but the last are those of a rule's schedule and mean the same (rules.core.schedule).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from rules.core.facts import MarketFacts, PortfolioFacts
from rules.core.faults import Fault, Faults
from rules.core.language import AllOf
from rules.core.schedule import SCHEDULE_KEYS, check_schedule, schedule_node
from rules.core.telling import Teller

BLACKOUT_DATES_MAX = 366
KEYS = (*SCHEDULE_KEYS, "blackout_dates")
_NOTHING_OWNED = PortfolioFacts(values={}, positions={}, universe=None)


@dataclass(frozen=True)
class TradingWindow:
    """hours None: at all times of the other days."""

    hours: AllOf | None
    blackout_dates: frozenset[date]

    def objection(self, market: MarketFacts, *, symbol: str, local_day: date) -> str:
        """Why no entry in this symbol may be made now; empty when one may. What is unknown objects.

        `local_day` is the date at the symbol's exchange, in market time.
        """
        if local_day in self.blackout_dates:
            return f"{local_day} is a blackout date of the session"
        if self.hours is None:
            return ""
        told = Teller(market, _NOTHING_OWNED, symbol).tell(self.hours)
        return "" if told.outcome is True else f"the session's hours: {', and '.join(told.phrases)}"


def check_window(raw: object) -> list[Fault]:
    """Everything that is wrong with a window, with paths below `trading_window`."""
    faults = Faults()
    if not isinstance(raw, Mapping):
        faults.add("trading_window", "It must be an object.", f"Known keys are {', '.join(KEYS)}.")
        return faults.found
    hours = {key: value for key, value in raw.items() if key != "blackout_dates"}
    if hours or "blackout_dates" not in raw:
        check_schedule(hours, faults)
    found = [
        Fault(fault.path.replace("schedule", "trading_window", 1), fault.message, fault.suggestion)
        for fault in faults.found
    ]
    if "blackout_dates" in raw:
        found += _check_dates(raw["blackout_dates"])
    return found


def _check_dates(raw: object) -> list[Fault]:
    path = "trading_window.blackout_dates"
    if not isinstance(raw, list) or not 1 <= len(raw) <= BLACKOUT_DATES_MAX:
        return [
            Fault(path, f"It must be a list of 1 to {BLACKOUT_DATES_MAX} dates.", 'Write ["2026-12-24"].')
        ]
    return [
        Fault(
            f"{path}[{index}]", f"{str(text)[:40]!r} is not a date.", 'Write "YYYY-MM-DD", as "2026-12-24".'
        )
        for index, text in enumerate(raw)
        if _date(text) is None
    ]


def _date(text: object) -> date | None:
    try:
        return date.fromisoformat(text) if isinstance(text, str) and len(text) == len("2026-12-24") else None
    except ValueError:
        return None


def read_window(raw: Mapping[str, Any] | None) -> TradingWindow | None:
    """A window that was valid when it was stored; None for always."""
    if raw is None:
        return None
    hours = {key: value for key, value in raw.items() if key != "blackout_dates"}
    dates = frozenset(date.fromisoformat(text) for text in raw.get("blackout_dates", ()))
    return TradingWindow(schedule_node(hours) if hours else None, dates)
