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
    validated JSON object, or None for always; `blocks` says whether any action
    keeps other rules from buying (see `looks_everywhere`).
    """

    key: Hashable
    owner: Hashable
    rule_type: str
    conditions: Sequence[object]
    trades: bool = True
    schedule: Mapping[str, Any] | None = None
    blocks: bool = False


class TooManyTriggered(Exception):
    """An owner's rules are true for more symbols at once than anybody can mean."""

    def __init__(self, owner: Hashable, found: int, limit: int) -> None:
        super().__init__(f"{found:,} rules are true at once; at most {limit:,} are permitted")
        self.owner = owner


def looks_everywhere(rule_type: str, *, trades: bool, blocks: bool) -> bool:
    """Whether a rule looks at every symbol of the universe; else at what is held, for what is not held can be
    neither sold nor at risk. What only keeps others from buying has to look at what they might buy.
    """
    return rule_type == "entry" or (rule_type == "risk" and blocks and not trades)


# A rule whose conditions are true for a symbol: (its key, the symbol, its owner). The symbol is None when the rule
# fired for the portfolio as a whole: all its conditions are about the portfolio, and it is a risk rule or only
# alerts. A plain tuple, because there may be many thousands of them.
Triggered = tuple[Hashable, str | None, Hashable]
