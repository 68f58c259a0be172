"""How long rules rest: the only writer of when a rule last acted.

Read once for a batch under the portfolios' locks, kept in memory while the batch decides, written with its
decisions. It counts from the rule's acts, whatever version and session they were of; a rule that gets its
first cooldown begins to count with its next act.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from market.models import Instrument
from rules.core.cooldown import read_cooldown, resting_until
from rules.models import RuleVersion
from trading.models import RuleAct

# A rule, and the symbol that it fired for; None for the whole portfolio.
Firing = tuple[uuid.UUID, str | None]


@dataclass
class Cooldowns:
    """When rules acted, before this batch (`before`, by rule and symbol) and in it (`now`), at `as_of`."""

    as_of: datetime
    before: Mapping[uuid.UUID, Mapping[str | None, datetime]]
    now: dict[uuid.UUID, set[str | None]] = field(default_factory=dict)

    def resting_until(self, version: RuleVersion, symbol: str | None) -> datetime | None:
        """Until when (market time) the rule rests for what it fired for; None when it may act.

        Several acts of one firing (an alert, and a sell of each symbol) do not hold each other up.
        """
        if version.cooldown is None:
            return None
        others = self.now.get(version.rule_id, set()) - {symbol}
        acted = {**self.before.get(version.rule_id, {}), **dict.fromkeys(others, self.as_of)}
        return resting_until(read_cooldown(version.cooldown), acted, symbol, as_of=self.as_of)

    def acted(self, version: RuleVersion, symbol: str | None) -> None:
        """Note that a firing did something; a rule without cooldown never rests."""
        if version.cooldown is not None:
            self.now.setdefault(version.rule_id, set()).add(symbol)


def read_cooldowns(versions: Iterable[RuleVersion], *, as_of: datetime) -> Cooldowns:
    """One query, and none where no rule has a cooldown."""
    resting = {version.rule_id for version in versions if version.cooldown is not None}
    before: dict[uuid.UUID, dict[str | None, datetime]] = {}
    if resting:
        rows = RuleAct.objects.filter(rule_id__in=resting)
        for rule_id, symbol, acted_at in rows.values_list("rule_id", "instrument__symbol", "acted_at"):
            before.setdefault(rule_id, {})[symbol] = acted_at
    return Cooldowns(as_of=as_of, before=before)


def write_cooldowns(cooldowns: Cooldowns, *, by_symbol: Mapping[str, Instrument]) -> None:
    """Store what acted, in the transaction of its decisions; the caller holds the portfolios' locks."""
    rows = [
        RuleAct(
            rule_id=rule_id,
            instrument=None if symbol is None else by_symbol[symbol],
            acted_at=cooldowns.as_of,
        )
        for rule_id, symbol in _in_order(cooldowns.now)
    ]
    RuleAct.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["rule", "instrument"], update_fields=["acted_at"]
    )


def _in_order(acted: Mapping[uuid.UUID, Collection[str | None]]) -> list[Firing]:
    firings = [(rule_id, symbol) for rule_id, symbols in acted.items() for symbol in symbols]
    return sorted(firings, key=lambda firing: (str(firing[0]), firing[1] or ""))
