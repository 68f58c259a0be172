"""What goes wrong, by script: rules that say what, where, how often.

A rule matches by endpoint, account, client id (whole or its beginning), symbol or stream event; it skips its first
`after` matches, acts at most `count` times, and each time with `probability`. The draw depends on the seed, the rule,
what it is about and how often that was looked at, and on nothing else: the same orders meet the same misfortunes.
Each act is logged as `mischief` with its name before it can be seen.

Of one request at most one rule of each phase acts: the first that matches.
"""

from dataclasses import dataclass, field, fields
from random import Random
from typing import Any

from tests.simulator.log import EventLog

# Name -> what it does. `seconds` is the rule's.
BEFORE = {
    "error_before": "answers `status` (500) and does nothing",
    "rate_limited": "answers 429 with Retry-After `seconds` and does nothing",
    "hang_before": "does nothing and never answers",
    "close_before": "does nothing and closes the connection",
}
WORK = {
    "fill_early": "fills a new order, tells the stream, and answers after `seconds`, as if it had not",
    "fill_late": "lets a new order work for `seconds` before it may fill",
    "appears_late": "says for `seconds` to all who ask that there is no such order",
    "fill_beats_cancel": "says yes to a cancel, and then fills the order",
    "lists_late": "leaves out of the list of fills what is younger than `seconds`",
}
ANSWER = {
    "hang": "does it and never answers",
    "close": "does it and closes the connection without an answer",
    "error_after": "does it and answers `status` (504)",
    "duplicate_answer": "does it and answers that the client's id is not unique",
    "lost_connection": "does it, breaks all connections and refuses new ones for `seconds`",
    "slow": "does it and answers after `seconds`",
    "dribble": "does it and answers in small pieces over `seconds`",
    "garbage": "does it and answers 200 with what is no JSON",
    "wrong_symbol": "does it and names another symbol in the answer",
    "listed_twice": "answers with each row of a list twice",
    "nan": "does it and answers with NaN for quantities and prices",
    "negative_quantity": "does it and answers with negative quantities",
    "new_status": "does it and gives the first order of the answer a status that nobody has heard of",
}
STREAM = {
    "stream_twice": "tells an event twice, with the same execution id",
    "stream_drop": "does not tell an event; only REST knows",
    "stream_late": "tells an event after `seconds`",
    "stream_reorder": "tells an event after the order's next one (or after `seconds`)",
    "stream_cut": "breaks the stream instead of telling an event",
    "stream_nan_price": "tells a price of NaN",
    "stream_negative_quantity": "tells a negative quantity",
    "stream_wrong_symbol": "tells another symbol",
    "stream_garbage": "sends a frame that is no JSON",
}
PHASES = {name: phase for phase in (BEFORE, WORK, ANSWER, STREAM) for name in phase}
# Where a rule that names no endpoint acts.
_AT = {
    "fill_early": "submit",
    "fill_late": "submit",
    "appears_late": "submit",
    "fill_beats_cancel": "cancel",
    "lists_late": "fills",
    "duplicate_answer": "submit",
}


@dataclass(frozen=True)
class Occasion:
    """What a rule looks at. event: of the stream; endpoint: one of `rest.ENDPOINTS`, "" on the stream."""

    account: str = ""
    endpoint: str = ""
    client_order_id: str = ""
    symbol: str = ""
    event: str = ""


@dataclass
class Rule:
    """An empty field matches everything. count None: without end. events, endpoints: any of these."""

    name: str
    probability: float = 1.0
    count: int | None = None
    after: int = 0
    seconds: float = 1.0
    status: int = 0
    account: str = ""
    endpoints: list[str] = field(default_factory=list)
    client_order_id: str = ""
    client_order_id_prefix: str = ""
    symbol: str = ""
    events: list[str] = field(default_factory=list)
    number: int = 0
    matched: int = 0
    acted: int = 0
    _looks: dict[str, int] = field(default_factory=dict)

    def matches(self, occasion: Occasion) -> bool:
        return (
            (not self.account or self.account == occasion.account)
            and (not self.endpoints or occasion.endpoint in self.endpoints)
            and (not self.client_order_id or self.client_order_id == occasion.client_order_id)
            and occasion.client_order_id.startswith(self.client_order_id_prefix)
            and (not self.symbol or self.symbol == occasion.symbol)
            and (not self.events or occasion.event in self.events)
        )

    def draws(self, seed: int, occasion: Occasion) -> bool:
        """Whether it acts this time, by its probability."""
        about = occasion.client_order_id or f"{occasion.account}|{occasion.endpoint}"
        look = self._looks[about] = self._looks.get(about, 0) + 1
        if self.probability >= 1:
            return True
        return Random(f"{seed}|{self.number}|{about}|{look}").random() < self.probability


class Mischief:
    """All rules, in the order in which they were given."""

    def __init__(self, *, seed: int, log: EventLog) -> None:
        self._seed = seed
        self._log = log
        self._given = 0
        self.rules: list[Rule] = []

    def add(self, wanted: dict[str, Any]) -> Rule:
        """Raises ValueError for a rule that nobody would understand."""
        known = {item.name for item in fields(Rule)} - {"number", "matched", "acted", "_looks"}
        unknown = set(wanted) - known
        if unknown or wanted.get("name") not in PHASES:
            raise ValueError(f"no such rule: {wanted!r}; unknown fields: {sorted(unknown)}")
        self._given += 1
        rule = Rule(**wanted, number=self._given)
        if not rule.endpoints and rule.name in _AT:
            rule.endpoints = [_AT[rule.name]]
        self.rules.append(rule)
        return rule

    def pick(self, phase: dict[str, str], occasion: Occasion) -> Rule | None:
        """The rule of this phase that acts now. Its act is in the log when this returns."""
        for rule in self.rules:
            if rule.name not in phase or not rule.matches(occasion):
                continue
            if rule.count is not None and rule.acted >= rule.count:
                continue
            rule.matched += 1
            if rule.matched <= rule.after or not rule.draws(self._seed, occasion):
                continue
            rule.acted += 1
            self.record(rule.name, occasion, rule=rule.number)
            return rule
        return None

    def record(self, name: str, occasion: Occasion, **more: Any) -> None:
        """A misfortune that is carried out now, in the log."""
        facts = {name: value for name, value in vars(occasion).items() if value}
        self._log.write("mischief", name=name, **facts, **more)
