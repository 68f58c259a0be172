"""How long rules rest: the only writer of when a rule last acted.

Read once for a batch under the portfolios' locks, kept in memory while the batch decides, written with its
decisions. It counts from the rule's acts, whatever version and session they were of; a rule that gets its
first cooldown begins to count with its next act. An act that comes to nothing after all is taken back, and noted again
should its order be filled all the same.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from market.models import Instrument
from rules.core.actions import asks_for_trade
from rules.core.cooldown import PER_RULE, read_cooldown, resting_until
from rules.models import RuleVersion
from trading.models import AutoTrade, RuleAct

# What a rule fired for, or acted on: a symbol, or None for the whole portfolio.
Target = str | None


@dataclass
class Cooldowns:
    """When rules acted, at `as_of`.

    before: before this batch, by rule and what it acted on. now: in it, by rule, firing and what it acted on; a
    rule that fired for the whole portfolio acts on each symbol that it trades.
    """

    as_of: datetime
    before: Mapping[uuid.UUID, Mapping[Target, datetime]]
    now: dict[uuid.UUID, dict[Target, set[Target]]] = field(default_factory=dict)
    _last: dict[uuid.UUID, datetime] = field(init=False)

    def __post_init__(self) -> None:
        self._last = {rule_id: max(acted.values()) for rule_id, acted in self.before.items() if acted}

    def resting_until(self, version: RuleVersion, *, firing: Target, target: Target) -> datetime | None:
        """Until when (market time) the rule rests for a target; None when it may act on it.

        Several acts of one firing (a sell of each symbol) do not hold each other up. A rule that trades symbol
        by symbol, but fired for the portfolio, rests as such (`target` None) after acting on any of them.
        """
        cooldown = read_cooldown(version.cooldown)
        if cooldown is None:
            return None
        rule_id = version.rule_id
        acted = self.before.get(rule_id, {})
        if cooldown.per == PER_RULE or (target is None and asks_for_trade(version.actions)):
            if self.now.get(rule_id, {}).keys() - {firing}:
                acted = {None: self.as_of}
            elif rule_id in self._last:
                acted = {None: self._last[rule_id]}
        return resting_until(cooldown, acted, target, as_of=self.as_of)

    def acted(self, version: RuleVersion, *, firing: Target, target: Target) -> None:
        """Note that a firing did something; a rule without cooldown never rests."""
        if version.cooldown is not None:
            self.now.setdefault(version.rule_id, {}).setdefault(firing, set()).add(target)


def read_cooldowns(versions: Iterable[RuleVersion], *, as_of: datetime) -> Cooldowns:
    """One query, and none where no rule has a cooldown."""
    resting = {version.rule_id for version in versions if version.cooldown is not None}
    before: dict[uuid.UUID, dict[Target, datetime]] = {}
    if resting:
        rows = RuleAct.objects.filter(rule_id__in=resting)
        for rule_id, symbol, acted_at in rows.values_list("rule_id", "instrument__symbol", "acted_at"):
            before.setdefault(rule_id, {})[symbol] = acted_at
    return Cooldowns(as_of=as_of, before=before)


def write_cooldowns(cooldowns: Cooldowns, *, by_symbol: Mapping[str, Instrument]) -> None:
    """Store what acted, in the transaction of its decisions; the caller holds the portfolios' locks."""
    acts = {
        (rule_id, target)
        for rule_id, firings in cooldowns.now.items()
        for targets in firings.values()
        for target in targets
    }
    rows = [
        RuleAct(
            rule_id=rule_id,
            instrument=None if symbol is None else by_symbol[symbol],
            acted_at=cooldowns.as_of,
        )
        for rule_id, symbol in sorted(acts, key=lambda act: (str(act[0]), act[1] or ""))
    ]
    RuleAct.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["rule", "instrument"], update_fields=["acted_at"]
    )


_TAKE_BACK = """
    DELETE FROM trading_ruleact AS act
    USING unnest(%s::uuid[], %s::bigint[], %s::timestamptz[]) AS t (rule_id, instrument_id, market_at)
    WHERE act.rule_id = t.rule_id AND act.instrument_id = t.instrument_id AND act.acted_at = t.market_at
"""


def take_back_acts(trades: Sequence[AutoTrade]) -> None:
    """Trades of rules ended with nothing filled, so their rules did not act on them and need no rest.

    The caller holds the portfolios' locks. What an act replaced was over when the rule acted again, and need
    not come back; an act later than the trade stays.
    """
    mine = [trade for trade in trades if trade.rule_id is not None]
    if not mine:
        return
    columns: list[Any] = [
        [trade.rule_id for trade in mine],
        [trade.instrument_id for trade in mine],
        [trade.market_at for trade in mine],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_BACK, columns)


_NOTE_AGAIN = """
    INSERT INTO trading_ruleact AS act (rule_id, instrument_id, acted_at) VALUES (%s, %s, %s)
    ON CONFLICT (rule_id, instrument_id) DO UPDATE SET acted_at = greatest(act.acted_at, excluded.acted_at)
"""


def note_act_again(trade: AutoTrade) -> None:
    """The first fill of a trade that was given up, and whose act may have been taken back: its rule acted after all.

    The caller holds the portfolio's lock. A later act stays.
    """
    if trade.rule_version is None or trade.rule_version.cooldown is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_AGAIN, [trade.rule_id, trade.instrument_id, trade.market_at])
