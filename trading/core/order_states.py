"""The states of a trade and the moves between them: one table, used by every broker and every test.

pending           committed intent; nothing has been sent
submitting        claimed by one worker; the bytes may be on their way
accepted          the broker has it, and it works there
partially_filled  some of it is executed, the rest works
cancelling        we want it cancelled; until the broker says so it may still be filled
unknown           we cannot know whether the broker has it; full exposure stays reserved
quarantined       even the broker cannot say; a person must look
filled cancelled rejected expired    final
"""

from enum import StrEnum
from itertools import pairwise


class OrderState(StrEnum):
    PENDING = "pending"
    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    QUARANTINED = "quarantined"


S = OrderState

MOVES: dict[OrderState, frozenset[OrderState]] = {
    S.PENDING: frozenset({S.SUBMITTING, S.CANCELLED, S.EXPIRED, S.REJECTED}),
    # filled: a paper batch books in the transaction that submits, and a broker may fill before it acknowledges
    S.SUBMITTING: frozenset(
        {S.ACCEPTED, S.PARTIALLY_FILLED, S.FILLED, S.REJECTED, S.UNKNOWN, S.CANCELLED, S.EXPIRED, S.PENDING}
    ),
    S.ACCEPTED: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.CANCELLING, S.CANCELLED, S.REJECTED, S.EXPIRED}),
    # unknown: in doubt before this fill, and the broker says that it is over and has not told of all fills
    S.PARTIALLY_FILLED: frozenset({S.FILLED, S.CANCELLING, S.CANCELLED, S.EXPIRED, S.UNKNOWN}),
    # unknown: it cannot be cancelled any more, and what the broker says of it cannot be true
    S.CANCELLING: frozenset({S.CANCELLED, S.PARTIALLY_FILLED, S.FILLED, S.REJECTED, S.EXPIRED, S.UNKNOWN}),
    # anything: once the broker answers, the truth may be any state (what is to be cancelled works first); submitting:
    # the same id is sent again
    S.UNKNOWN: frozenset(set(S) - {S.UNKNOWN, S.PENDING, S.CANCELLING}),
    S.QUARANTINED: frozenset({S.ACCEPTED, S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED}),
    # a fill after a cancel: the venue was faster than our wish. Cancelling: an order that turns up working after
    # we gave it up is cancelled at the broker; what it filled until then is booked
    S.CANCELLED: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.CANCELLING}),
    S.EXPIRED: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.CANCELLING}),
    S.REJECTED: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.CANCELLING}),
    S.FILLED: frozenset(),
}

FINAL = frozenset({S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED})
OPEN = frozenset(set(S) - FINAL)
IN_FLIGHT = frozenset({S.SUBMITTING, S.CANCELLING, S.UNKNOWN})
# At the broker as far as we know; a cancel can be asked for.
WORKING = frozenset({S.ACCEPTED, S.PARTIALLY_FILLED})
# Nobody knows what became of it: full exposure stays reserved, its symbol is blocked.
DOUBTFUL = frozenset({S.UNKNOWN, S.QUARANTINED})


class IllegalMove(ValueError):
    """A status was to change in a way that the table does not know."""


def check_path(*path: str) -> OrderState:
    """The last state of the path, if every hop of it is in the table; raises IllegalMove."""
    states = [OrderState(state) for state in path]
    for old, new in pairwise(states):
        if new not in MOVES[old]:
            raise IllegalMove(f"{old} → {new} is not a move")
    return states[-1]
