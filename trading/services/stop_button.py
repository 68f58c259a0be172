"""A person stops trading, however often he presses the button.

Nobody is kept from it, by no budget; and each stop is a row, an event and a critical alert. So what a person has
stopped already is not stopped by him once more: whoever presses again hears that it is in force.
"""

import uuid

from django.contrib.auth.base_user import AbstractBaseUser

from foundation.wakeups import wake_on_commit
from trading.models import Halt
from trading.services.emergency_stop import DRAIN_TASK, arm


def press(
    *, scope: str, scope_id: str = "", mode: str = Halt.Mode.HALT, reason: str, actor: AbstractBaseUser
) -> tuple[Halt, bool]:
    """His stop of this scope in this mode, and whether it was armed now; the one in force keeps its reason.

    One that is released, another person's, a rule's or a breaker's is none of his: the new one is armed beside it and
    needs a release of its own. Two presses at the same moment may arm two, which does no harm and makes neither wait.
    Raises what `arm` does.
    """
    standing = Halt.objects.filter(
        scope=scope,
        scope_id=_by_its_one_spelling(scope_id),
        mode=mode,
        armed_by_id=actor.pk,
        released_at=None,
    )
    halt = standing.order_by("armed_at", "id").first()
    if halt is None:
        return arm(scope=scope, scope_id=scope_id, mode=mode, reason=reason, actor=actor), True
    if halt.drained_at is None:
        wake_on_commit(DRAIN_TASK, queue="execution")
    return halt, False


def _by_its_one_spelling(scope_id: str) -> str:
    try:
        return str(uuid.UUID(scope_id))
    except ValueError:
        return scope_id
