"""Work on many at once of which one may break: whoever is to blame is found, and the others go on."""

from collections.abc import Callable, Sequence, Sized
from typing import TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, connection, transaction

from trading.services.faults import TRANSIENT

Key = TypeVar("Key")
Rows = TypeVar("Rows", bound=Sized)
Result = TypeVar("Result")


def isolated(
    rows: Rows,
    work: Callable[[Rows], Result],
    halves: Callable[[Rows], tuple[Rows, Rows]],
    give_up: Callable[[Rows, Exception], None],
    *,
    isolating: bool,
) -> list[Result]:
    """Work on all rows together; if that fails, halve until the one that is to blame stands alone.

    Not `isolating`, what fails fails the transaction: savepoints cost each tick what almost none of them needs.
    """
    if not len(rows):
        return []
    if not isolating:
        return [work(rows)]
    try:
        with transaction.atomic():
            return [work(rows)]
    except TRANSIENT:
        raise  # nobody is to blame for the database being busy: the whole slice is tried again
    except Exception as error:  # whatever one session's data breaks must not stop the others
        if len(rows) == 1:
            give_up(rows, error)
            return []
    first, second = halves(rows)
    return [
        done for half in (first, second) for done in isolated(half, work, halves, give_up, isolating=True)
    ]


def on_their_own(keys: Sequence[Key], work: Callable[[Sequence[Key]], object]) -> dict[Key, Exception]:
    """Work on all keys together, in a transaction of `work`; if that fails, on each by itself. Returns those that
    failed.

    Unlike `isolated`, where somebody waits too long for a lock it is the failure of that one. Where the database is
    gone, or the worker's time is up, it is raised.
    """
    try:
        work(keys)
    except (InterfaceError, SoftTimeLimitExceeded):
        raise
    except Exception as error:
        if isinstance(error, OperationalError) and not connection.is_usable():
            raise
        if len(keys) == 1:
            return {keys[0]: error}
        return {key: error for one in keys for key, error in on_their_own([one], work).items()}
    return {}
