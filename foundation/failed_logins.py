"""What django-axes remembers of failed logins, and forgetting it for somebody who is locked out."""

import structlog
from axes.models import AccessAttempt
from axes.utils import reset
from django.contrib.auth.models import User
from django.db.models import BooleanField, Case, QuerySet, Value, When

from foundation.errors import NotFound

log = structlog.get_logger(__name__)


def failed_logins(*, limit: int) -> QuerySet[AccessAttempt]:
    """Each name from each address, with `is_locked` where it has failed `limit` times."""
    closed = Case(
        When(failures_since_start__gte=limit, then=Value(True)), default=False, output_field=BooleanField()
    )
    return AccessAttempt.objects.annotate(is_locked=closed)


def forget_failed_logins(*, username: str, actor: User) -> int:
    """Its name may log in again from everywhere; so many addresses are forgotten. Raises NotFound.

    An address that failed with many names stays closed until its time is over.
    """
    forgotten = int(reset(username=username))
    if not forgotten:
        raise NotFound("No login of this name has failed lately.")
    log.info("failed_logins_forgotten", user=username, addresses=forgotten, actor=actor.get_username())
    return forgotten
