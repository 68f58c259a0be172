"""Who wins when rules disagree: total, deterministic, and every loser told why.

A block beats every buy that it covers. Of the others risk goes before exit before
entry; for one symbol a sell beats a buy; then the higher priority; then the older
rule. At most one trade for each owner and symbol: the first in this order that comes
to a trade. So a sell that comes to nothing does not keep another sell, say a stop
loss, from going out; but what any rule wants sold is not bought. The order is total
(a rule's id decides last), so the order of the input, which depends on who was asked
first, changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

_TYPE_RANK = {"risk": 0, "exit": 1, "entry": 2}
_SIDE_RANK = {"sell": 0, "buy": 1}
# In the order of the sort key; the first that differs is why somebody lost.
_REASONS = ("rule_type", "side", "priority", "age", "key", "version")

BLOCKED = "blocked"

Rank = tuple[int, int, datetime, str]
Precedence = tuple[int, int, int, datetime, str, int]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trade that a triggered rule asks for.

    `key` is the rule's id and `owner` the session's, as text; `created_at` is when the
    *rule* was made: an edit, which makes another version, changes neither.
    """

    key: str
    rule_type: str
    priority: int
    created_at: datetime
    symbol: str
    side: str
    owner: str = ""
    version_id: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """A triggered rule lets its owner buy nothing: no symbol (None), or not this one.

    The other fields are a Candidate's.
    """

    key: str
    rule_type: str
    priority: int
    created_at: datetime
    symbol: str | None
    owner: str = ""
    version_id: int = 0


@dataclass(frozen=True, slots=True)
class Loss:
    """A candidate that lost, what beat it, and by which criterion.

    `reason` is `blocked` when a block beat it, else `rule_type`, `side`, `priority`,
    `age`, `key`, `version`, or `same_rule` when one rule asked twice.
    """

    candidate: Candidate
    beaten_by: Candidate | Block
    reason: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """`winners` in the order in which they may spend; `losses` in the order of the losers.

    `failed` were tried and came to nothing, in the order in which they were tried.
    """

    winners: tuple[Candidate, ...]
    losses: tuple[Loss, ...]
    failed: tuple[Candidate, ...] = ()


# Makes the trade that a candidate asks for: whether it came to one, or a block that has come up since.
Attempt = Callable[[Candidate], bool | Block]


def always(_: Candidate) -> bool:
    return True


def rank(rule_type: str, priority: int, created_at: datetime, key: str) -> Rank:
    """The order of rules as such: type, priority (high first), age (old first), key."""
    return _TYPE_RANK[rule_type], -priority, created_at, key


def resolve(
    candidates: Iterable[Candidate], blocks: Iterable[Block] = (), attempt: Attempt = always
) -> Resolution:
    """Choose at most one trade for each (owner, symbol), and no buy that is blocked.

    `attempt` is asked once for each candidate that nothing beats, in their order; with
    False the next one of its owner and symbol is asked.
    """
    first_block = _first_blocks(blocks)
    first_sell: dict[tuple[str, str], Candidate] = {}
    traded: dict[tuple[str, str], Candidate] = {}
    losses: list[Loss] = []
    failed: list[Candidate] = []
    for candidate in sorted(candidates, key=_order):
        place = candidate.owner, candidate.symbol
        beaten_by = _block_of(candidate, first_block) or traded.get(place)
        if candidate.side == "sell":
            first_sell.setdefault(place, candidate)
        elif beaten_by is None:
            beaten_by = first_sell.get(place)
        outcome = beaten_by or attempt(candidate)
        if isinstance(outcome, Block):
            losses.append(Loss(candidate, outcome, BLOCKED))
        elif isinstance(outcome, Candidate):
            losses.append(Loss(candidate, outcome, _reason(candidate, outcome)))
        elif outcome:
            traded[place] = candidate
        else:
            failed.append(candidate)
    return Resolution(tuple(traded.values()), tuple(losses), tuple(failed))


def _first_blocks(blocks: Iterable[Block]) -> dict[tuple[str, str | None], Block]:
    """The first in rank of the blocks of each owner and symbol: the one that is named as the reason."""
    first: dict[tuple[str, str | None], Block] = {}
    for block in sorted(blocks, key=_block_order):
        first.setdefault((block.owner, block.symbol), block)
    return first


def _block_of(candidate: Candidate, first: Mapping[tuple[str, str | None], Block]) -> Block | None:
    """What blocks a candidate: the first in rank of its symbol's block and its whole portfolio's."""
    if candidate.side != "buy":
        return None
    covering = [first.get((candidate.owner, None)), first.get((candidate.owner, candidate.symbol))]
    return min((block for block in covering if block is not None), key=_block_order, default=None)


def _block_order(block: Block) -> tuple[Rank, int, bool, str, str]:
    """Of one rule the block of the whole portfolio stands before those of symbols."""
    by_rank = rank(block.rule_type, block.priority, block.created_at, block.key)
    return by_rank, block.version_id, block.symbol is not None, block.symbol or "", block.owner


def _precedence(candidate: Candidate) -> Precedence:
    return (
        _TYPE_RANK[candidate.rule_type],
        _SIDE_RANK[candidate.side],
        -candidate.priority,
        candidate.created_at,
        candidate.key,
        candidate.version_id,
    )


def _order(candidate: Candidate) -> tuple[Precedence, str, str]:
    return _precedence(candidate), candidate.owner, candidate.symbol


def _reason(loser: Candidate, winner: Candidate) -> str:
    pairs = zip(_REASONS, _precedence(loser), _precedence(winner), strict=True)
    return next((reason for reason, one, other in pairs if one != other), "same_rule")
