"""How many sockets each user has open in this process: one login must not take the others' place."""

import contextlib
from collections import Counter
from collections.abc import Iterator

from journal.stream.closing import Close, CloseCode

_taken: Counter[int] = Counter()


@contextlib.contextmanager
def seat_of(user_id: int, *, at_most: int) -> Iterator[None]:
    """Hold a seat of this user. Raises Close when he has `at_most` of them; call it in the event loop."""
    if _taken[user_id] >= at_most:
        raise Close(
            CloseCode.TOO_MANY_SOCKETS, f"you have {at_most} sockets open: close one, then resume with since"
        )
    _taken[user_id] += 1
    try:
        yield
    finally:
        _taken[user_id] -= 1
        if not _taken[user_id]:
            del _taken[user_id]
