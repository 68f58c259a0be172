"""Asking services elsewhere for advice, each when it is due.

The claim is a lease: `next_at` is moved ahead and committed before the network is spoken to, and only who still holds
it writes what became of it. Whoever dies in between is followed by another after the lease; the same advice is stored
once by its external ids, and the version of an answer is kept only after its advice is stored.

A failure doubles the wait, up to an hour (a service that says Retry-After is given that, up to a day). What a service
says is taken as a whole or refused as a whole; somebody is told at the first answer that is refused, and when three
questions in a row went without one.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from foundation.clock import database_now
from foundation.errors import DomainError
from foundation.fetching import FetchFailed, NotModified, UnsafeAddress, Validators, fetch
from journal.core.events import PLATFORM_STREAM, AlertSpec, Event
from journal.services.journal import append
from market.core.recommendation import RecommendationItem
from market.models import RecommendationPull
from market.selectors import market_now
from market.services.pull_settings import open_token
from market.services.recommendations import consult

log = structlog.get_logger(__name__)

DEADLINE_SECONDS = 5.0
LEASE = timedelta(seconds=DEADLINE_SECONDS + 5)
RUN_SECONDS_MAX = 5.0
"""and one question more: whatever else the same worker does (alerts!) does not wait for long"""
BYTES_MAX = 2 * 1024 * 1024
BACKOFF_SECONDS_MAX = 3_600
RETRY_AFTER_SECONDS_MAX = 86_400
SILENT_FAILURES = 2
ERROR_LENGTH_MAX = 500

Reader = Callable[[bytes, str], Sequence[RecommendationItem]]
"""Makes advice of an answer's body and the source's name. Raises InvalidInput."""


@dataclass
class RemoteService:
    """A service elsewhere behind the boundary of all that advise. Raises FetchFailed, UnsafeAddress, InvalidInput."""

    name: str
    url: str
    token: str | None = field(repr=False)
    validators: Validators
    read: Reader

    def advice(self, now: datetime) -> Sequence[RecommendationItem]:
        """Empty when it says that nothing has changed. `validators` are those of its answer afterwards."""
        answer = fetch(
            self.url,
            allowed_hosts=settings.PULL_ALLOWED_HOSTS,
            token=self.token,
            validators=self.validators,
            deadline_seconds=DEADLINE_SECONDS,
            bytes_max=BYTES_MAX,
        )
        if isinstance(answer, NotModified):
            return ()
        self.validators = answer.validators
        return self.read(answer.body, self.name)


def pull_due(*, read: Reader) -> int:
    """Ask all that are due, for RUN_SECONDS_MAX at most; how many pieces of advice were new.

    Nobody is asked before the market has a time: there would be none for what he says.
    """
    if market_now() is None:
        return 0
    deadline = time.monotonic() + RUN_SECONDS_MAX
    created = 0
    while time.monotonic() < deadline and (pull := _claim()) is not None:
        created += _ask(pull, read)
    return created


def backoff_seconds(every_seconds: int, failures: int) -> float:
    """How long to wait after so many failures in a row: doubled each time, at most an hour or the usual wait."""
    assert failures >= 1
    return max(every_seconds, min(every_seconds * 2 ** min(failures, 16), BACKOFF_SECONDS_MAX))


def _claim() -> RecommendationPull | None:
    with transaction.atomic():
        due = RecommendationPull.objects.filter(enabled=True, next_at__lte=Now()).order_by("next_at")
        pull = due.select_for_update(skip_locked=True, no_key=True).first()
        if pull is not None:
            pull.next_at = database_now() + LEASE
            pull.save(update_fields=["next_at"])
        return pull


def _ask(pull: RecommendationPull, read: Reader) -> int:
    try:
        service = RemoteService(
            name=pull.source_id,
            url=pull.url,
            token=open_token(pull),
            validators=Validators(pull.etag, pull.last_modified),
            read=read,
        )
        created = consult(service)
    except FetchFailed as error:
        _failed(pull, error.reason, retry_after=error.retry_after, alert_from=SILENT_FAILURES + 1)
        return 0
    except (DomainError, UnsafeAddress) as error:
        _failed(pull, _told(error), retry_after=None, alert_from=1)
        return 0
    except (
        Exception
    ) as error:  # one source must not keep the others from being asked, nor fail without a word
        log.exception("pull_broke", source=pull.source_id)
        _failed(pull, f"unforeseen: {type(error).__name__}", retry_after=None, alert_from=1)
        return 0
    _settle(
        pull,
        wait=pull.every_seconds,
        failures=0,
        last_error="",
        etag=service.validators.etag,
        last_modified=service.validators.last_modified,
        last_pulled_at=database_now(),
    )
    return created


def _told(error: DomainError | UnsafeAddress) -> str:
    """With the first places that are wrong, so that whoever runs the service can mend it."""
    if isinstance(error, UnsafeAddress):
        return f"its address is refused: {error}"
    places = "; ".join(f"{row['path']}: {row['message']}" for row in (error.errors or [])[:3])
    return f"{error.detail} {places}".strip()


@transaction.atomic
def _failed(pull: RecommendationPull, reason: str, *, retry_after: float | None, alert_from: int) -> None:
    failures = pull.failures + 1
    reason = reason[:ERROR_LENGTH_MAX]
    wait = backoff_seconds(pull.every_seconds, failures)
    if retry_after is not None:
        wait = max(wait, min(retry_after, RETRY_AFTER_SECONDS_MAX))
    if not _settle(pull, wait=wait, failures=failures, last_error=reason):
        return
    log.warning("pull_failed", source=pull.source_id, failures=failures, reason=reason)
    if failures == alert_from:
        message = f"The recommendation service {pull.source_id} gave nothing to use: {reason}"
        payload = {"source": pull.source_id, "failures": failures, "reason": reason}
        event = Event(
            PLATFORM_STREAM, "recommendation_source.pull_failed", database_now(), payload, AlertSpec("warning", message)
        )  # fmt: skip
        append([event])


def _settle(pull: RecommendationPull, *, wait: float, **changes: object) -> bool:
    """False when the claim is no longer ours: another has it, or somebody changed what is asked."""
    mine = RecommendationPull.objects.filter(pk=pull.pk, next_at=pull.next_at)
    return bool(mine.update(next_at=Now() + timedelta(seconds=wait), **changes))
