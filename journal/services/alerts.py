"""Alerts on their way to people: claimed as due rows, sent outside of any transaction, settled by
compare-and-swap.

A claim moves `due_at` ahead by a lease and raises `attempts`; the result counts only if nobody has
claimed the row since. A worker that dies in between leaves a row that falls due again: delivery is
at least once, and never lost.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import httpx
import structlog
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from foundation.clock import database_now
from foundation.core.canonical import canonical_json
from foundation.errors import Forbidden, NotFound
from journal.core.events import Event
from journal.models import Alert, AlertDelivery, Entry
from journal.selectors import actionable_streams, visible_alerts
from journal.services import webhook
from journal.services.journal import append

log = structlog.get_logger("journal.alerts")

LEASE = timedelta(seconds=10)
RUN_SECONDS_MAX = 15.0
LOG_BATCH = 100
# Three days: a receiver that is down over a weekend is told all the same.
ATTEMPTS_MAX = 450
BACKOFF_SECONDS_MAX = 600
FAILURES_IN_A_ROW_MAX = 3
ERROR_LENGTH_MAX = 500
MAY_NOT_ACKNOWLEDGE = (
    "You may see this alert, but not acknowledge it: that is for those who may act in its portfolio, "
    "and for staff where it is the platform's."
)

State = AlertDelivery.State
Channel = AlertDelivery.Channel


@transaction.atomic
def acknowledge_alert(*, alert_id: UUID, actor: AbstractBaseUser) -> Alert:
    """Note that `actor` knows. The first one counts, and is told to all who were told of the alert; saying it again
    changes nothing.

    Raises NotFound when there is no such alert, or it is not the actor's to see; Forbidden when he may see it
    and no more.
    """
    alert = visible_alerts(actor).filter(pk=alert_id).first()
    if alert is None:
        raise NotFound("There is no such alert, or it is not yours to see.")
    if alert.stream_id not in actionable_streams(actor):
        raise Forbidden(MAY_NOT_ACKNOWLEDGE, code="role_required")
    now = database_now()
    is_first = Alert.objects.filter(pk=alert_id, acknowledged_at=None).update(
        acknowledged_by_id=actor.pk, acknowledged_at=now
    )
    if is_first:
        payload = {
            "alert_id": alert.pk, "severity": alert.severity, "raised_by": alert.kind, "raised_seq": alert.seq,
            "actor": actor.get_username(),
        }  # fmt: skip
        append([Event(alert.stream_id, "alert.acknowledged", now, payload)])
    return Alert.objects.select_related("acknowledged_by").get(pk=alert_id)


def deliver_due_alerts(*, sign: Callable[[], None] = lambda: None) -> int:
    """Deliver what is due, log first, for RUN_SECONDS_MAX at most; how many were delivered. `sign`: called between the
    two, to show that somebody delivers."""
    deadline = time.monotonic() + RUN_SECONDS_MAX
    delivered = 0
    while time.monotonic() < deadline and (claimed := _claim(Channel.LOG, LOG_BATCH)):
        for delivery in claimed:
            delivered += _attempt(delivery, _to_log)
    sign()  # a receiver that hangs is no sign that nobody delivers
    failures = 0
    with webhook.client() as http:
        # One at a time, so that a lease never waits behind the timeouts of others.
        while time.monotonic() < deadline and (claimed := _claim(Channel.WEBHOOK, 1)):
            success = _attempt(claimed[0], lambda delivery: _to_webhook(http, delivery))
            delivered += success
            failures = 0 if success else failures + 1
            if failures >= FAILURES_IN_A_ROW_MAX:
                break  # the receiver is down: the sweep comes back to the rest
    return delivered


def backoff_seconds(attempts: int) -> int:
    """How long to wait after this many failed attempts: 2, 4, 8 … up to BACKOFF_SECONDS_MAX."""
    assert attempts >= 1
    return int(min(2 ** min(attempts, 16), BACKOFF_SECONDS_MAX))


def _claim(channel: str, limit: int) -> list[AlertDelivery]:
    with transaction.atomic():
        due = AlertDelivery.objects.filter(channel=channel, state=State.PENDING, due_at__lte=Now())
        claimed = list(due.select_for_update(skip_locked=True, no_key=True).order_by("due_at")[:limit])
        AlertDelivery.objects.filter(pk__in=[delivery.pk for delivery in claimed]).update(
            due_at=Now() + LEASE, attempts=F("attempts") + 1
        )
    by_id = AlertDelivery.objects.select_related("alert").in_bulk([delivery.pk for delivery in claimed])
    return [by_id[delivery.pk] for delivery in claimed if delivery.pk in by_id]


def _attempt(delivery: AlertDelivery, send: Callable[[AlertDelivery], None]) -> bool:
    try:
        send(delivery)
    except (httpx.HTTPError, httpx.InvalidURL, webhook.WebhookRefused) as error:
        _settle_failure(delivery, f"{type(error).__name__}: {error}"[:ERROR_LENGTH_MAX])
        return False
    _mine(delivery).update(state=State.DELIVERED, delivered_at=Now(), last_error="")
    return True


def _settle_failure(delivery: AlertDelivery, error: str) -> None:
    exhausted = delivery.attempts >= ATTEMPTS_MAX
    _mine(delivery).update(
        state=State.FAILED if exhausted else State.PENDING,
        due_at=Now() + timedelta(seconds=backoff_seconds(delivery.attempts)),
        last_error=error,
    )
    log.warning(
        "alert_delivery_given_up" if exhausted else "alert_delivery_failed",
        delivery=str(delivery.pk),
        attempts=delivery.attempts,
        error=error,
    )


def _mine(delivery: AlertDelivery) -> QuerySet[AlertDelivery]:
    """The row, as long as nobody has claimed it after us."""
    return AlertDelivery.objects.filter(pk=delivery.pk, state=State.PENDING, attempts=delivery.attempts)


def _to_log(delivery: AlertDelivery) -> None:
    alert = delivery.alert
    write = {"info": log.info, "warning": log.warning, "critical": log.critical}[alert.severity]
    write(
        "alert",
        alert_id=str(alert.pk),
        stream=str(alert.stream_id),
        seq=alert.seq,
        kind=alert.kind,
        severity=alert.severity,
        message=alert.message,
    )


def _to_webhook(http: httpx.Client, delivery: AlertDelivery) -> None:
    if not settings.ALERT_WEBHOOK_URL:
        raise webhook.WebhookRefused("ALERT_WEBHOOK_URL is not set any more")
    webhook.post(
        http,
        url=settings.ALERT_WEBHOOK_URL,
        secret=settings.ALERT_WEBHOOK_SECRET,
        delivery=delivery.pk,
        timestamp=int(time.time()),
        body=_webhook_body(delivery.alert),
    )


def _webhook_body(alert: Alert) -> bytes:
    entry = Entry.objects.get(stream_id=alert.stream_id, seq=alert.seq)
    envelope = canonical_json(
        {
            "alert_id": alert.pk,
            "at": entry.at,
            "created_at": alert.created_at,
            "kind": alert.kind,
            "message": alert.message,
            "severity": alert.severity,
            "seq": alert.seq,
            "stream": alert.stream_id,
        }
    )
    # The payload goes out as the very text that was recorded.
    return f'{envelope[:-1]},"payload":{entry.payload}}}'.encode()
