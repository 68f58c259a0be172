"""What an exchange with another clock says for certain about one's own. Pure."""


def certainly_ahead(*, before: float, after: float, theirs: float) -> float:
    """By how many seconds one's own clock is ahead of theirs at least; below 0: behind.

    `theirs` was read at a moment between `before` and `after` of one's own, all in seconds since 1970. How long the
    exchange took therefore changes nothing: a moment between the two says that they may agree.
    """
    if theirs < before:
        return before - theirs
    return min(after - theirs, 0.0)
