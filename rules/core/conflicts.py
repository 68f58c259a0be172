"""Who wins when rules disagree: total, deterministic, and every loser told why.

A block beats every buy that it covers. Of the others risk goes before exit before
entry; for one symbol a sell beats a buy; then the higher priority; then the older
rule. At most one trade for each owner and symbol. The order is total (a rule's key
decides last), so the order of the input, which depends on who was asked first,
changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

_TYPE_RANK = {"risk": 0, "exit": 1, "entry": 2}
_SIDE_RANK = {"sell": 0, "buy": 1}
# In the order of the sort key; the first that differs is why somebody lost.
_REASONS = ("rule_type", "side", "priority", "age", "key")

BLOCKED = "blocked"

Rank = tuple[int, int, datetime, str]
Precedence = tuple[int, int, int, datetime, str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trade that a triggered rule asks for.

    `key` is the rule version's id and `owner` the session's, as text; `created_at`
    is when the *rule* (not the version) was made, so that an edit keeps its age.
    """

    key: str
    rule_type: str
    priority: int
    created_at: datetime
    symbol: str
    side: str
    owner: str = ""


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


@dataclass(frozen=True, slots=True)
class Loss:
    """A candidate that lost, what beat it, and by which criterion.

    `reason` is `blocked` when a block beat it, else `rule_type`, `side`, `priority`,
    `age`, `key`, or `same_rule` when one rule asked twice.
    """

    candidate: Candidate
    beaten_by: Candidate | Block
    reason: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """`winners` in the order in which they may spend; `losses` in the order of the losers."""

    winners: tuple[Candidate, ...]
    losses: tuple[Loss, ...]


def rank(rule_type: str, priority: int, created_at: datetime, key: str) -> Rank:
    """The order of rules as such: type, priority (high first), age (old first), key."""
    return _TYPE_RANK[rule_type], -priority, created_at, key


def resolve(candidates: Iterable[Candidate], blocks: Iterable[Block] = ()) -> Resolution:
    """Choose at most one trade for each (owner, symbol), and no buy that is blocked."""
    first_block = _first_blocks(blocks)
    best: dict[tuple[str, str], Candidate] = {}
    winners: list[Candidate] = []
    losses: list[Loss] = []
    for candidate in sorted(candidates, key=_order):
        block = _block_of(candidate, first_block)
        winner = best.get((candidate.owner, candidate.symbol))
        if block is not None:
            losses.append(Loss(candidate, block, BLOCKED))
        elif winner is None:
            best[candidate.owner, candidate.symbol] = candidate
            winners.append(candidate)
        else:
            losses.append(Loss(candidate, winner, _reason(candidate, winner)))
    return Resolution(tuple(winners), tuple(losses))


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


def _block_order(block: Block) -> tuple[Rank, bool, str, str]:
    """Of one rule the block of the whole portfolio stands before those of symbols."""
    by_rank = rank(block.rule_type, block.priority, block.created_at, block.key)
    return by_rank, block.symbol is not None, block.symbol or "", block.owner


def _precedence(candidate: Candidate) -> Precedence:
    return (
        _TYPE_RANK[candidate.rule_type],
        _SIDE_RANK[candidate.side],
        -candidate.priority,
        candidate.created_at,
        candidate.key,
    )


def _order(candidate: Candidate) -> tuple[Precedence, str, str]:
    return _precedence(candidate), candidate.owner, candidate.symbol


def _reason(loser: Candidate, winner: Candidate) -> str:
    pairs = zip(_REASONS, _precedence(loser), _precedence(winner), strict=True)
    return next((reason for reason, one, other in pairs if one != other), "same_rule")
