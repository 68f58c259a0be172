"""What goes into a program and what comes out of it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RuleSource:
    """One rule of one owner, as stored.

    `key` names it in the verdicts (a rule version's id); `owner` is who the facts
    belong to (a session's id); `conditions` is the validated JSON list; `trades`
    says whether any action is a trade (see `Triggered`); `schedule` is the
    validated JSON object, or None for always.
    """

    key: Hashable
    owner: Hashable
    rule_type: str
    conditions: Sequence[object]
    trades: bool = True
    schedule: Mapping[str, Any] | None = None


# A rule whose conditions are true for a symbol: (its key, the symbol, its owner). The symbol is None when the rule
# fired for the portfolio as a whole: all its conditions are about the portfolio, and it is a risk rule or only
# alerts. A plain tuple, because there may be many thousands of them.
Triggered = tuple[Hashable, str | None, Hashable]
