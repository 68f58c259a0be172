"""What goes into a program and what comes out of it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class RuleSource:
    """One rule of one owner, as stored.

    `key` names it in the verdicts (a rule version's id); `owner` is who the facts
    belong to (a session's id); `conditions` is the validated JSON list; `trades`
    says whether any action is a trade (see `Triggered.symbol`); `schedule` is the
    validated JSON object, or None for always.
    """

    key: Hashable
    owner: Hashable
    rule_type: str
    conditions: Sequence[object]
    trades: bool = True
    schedule: Mapping[str, Any] | None = None


class Triggered(NamedTuple):
    """A rule whose conditions are true for a symbol.

    `symbol` is None when the rule fired for the portfolio as a whole: all its
    conditions are about the portfolio, and it is a risk rule or only alerts.
    """

    key: Hashable
    symbol: str | None
    owner: Hashable
