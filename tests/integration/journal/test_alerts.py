"""An alert is a row until it has been delivered, to the log and to a signed webhook."""

import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from django.db import connection
from django.db.models.functions import Now

from foundation.clock import database_now
from foundation.models import Heartbeat
from journal.core.events import AlertSpec
from journal.models import Alert, AlertDelivery
from journal.services import alerts
from journal.services.alerts import deliver_due_alerts
from journal.tasks import deliver_alerts
from tests.integration.journal.conftest import record

pytestmark = [pytest.mark.integration]

SECRET = "a webhook secret of the tests"
SPEC = AlertSpec("critical", "the feed is silent")


@pytest.fixture
def receiver() -> Iterator[SimpleNamespace]:
    """A real HTTP server; `answers` are given in turn, 200 afterwards."""
    state = SimpleNamespace(answers=[], requests=[], url="")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.requests.append(SimpleNamespace(path=self.path, headers=self.headers, body=body))
            self.send_response(state.answers.pop(0) if state.answers else 200)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/alerts"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def only_these(database, settings, monkeypatch):
    """Deliver what this test raises, to no proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    settings.ALERT_WEBHOOK_SECRET = SECRET
    AlertDelivery.objects.all().delete()


def webhook_delivery(stream) -> AlertDelivery:
    return AlertDelivery.objects.get(alert__stream=stream, channel="webhook")


def make_due(delivery: AlertDelivery) -> None:
    AlertDelivery.objects.filter(pk=delivery.pk).update(due_at=Now() - timedelta(seconds=1))


def genuine(request) -> bool:
    """As the docstring of journal.services.webhook tells a receiver to check."""
    timestamp = request.headers["X-Autotrading-Timestamp"].encode()
    expected = hmac.new(SECRET.encode(), timestamp + b"." + request.body, hashlib.sha256).hexdigest()
    signature = request.headers["X-Autotrading-Signature"]
    return hmac.compare_digest("sha256=" + expected, signature) and abs(time.time() - int(timestamp)) < 300


def test_an_alert_is_delivered_to_log_and_webhook(cast, receiver, settings, caplog):
    settings.ALERT_WEBHOOK_URL = receiver.url
    record(cast.portfolio, kind="test.alerted", alert=SPEC, seconds=31)
    with caplog.at_level(logging.INFO):
        deliver_alerts()
    assert [record.levelname for record in caplog.records if "the feed is silent" in str(record.msg)] == [
        "CRITICAL"
    ]
    (request,) = receiver.requests
    assert genuine(request)
    body = json.loads(request.body)
    alert = Alert.objects.get(stream=cast.portfolio)
    assert body["alert_id"] == str(alert.pk)
    assert (body["stream"], body["seq"], body["kind"]) == (str(cast.portfolio), 1, "test.alerted")
    assert (body["severity"], body["message"]) == ("critical", "the feed is silent")
    assert body["payload"] == {"number": 0, "seconds": 31}
    states = AlertDelivery.objects.filter(alert=alert).values_list("state", "attempts")
    assert list(states) == [("delivered", 1), ("delivered", 1)]
    deliver_alerts()
    assert len(receiver.requests) == 1  # delivered is delivered


def test_a_signature_does_not_fit_another_body(cast, receiver, settings):
    settings.ALERT_WEBHOOK_URL = receiver.url
    record(cast.portfolio, alert=SPEC)
    deliver_alerts()
    (request,) = receiver.requests
    request.body = request.body.replace(b"critical", b"info")
    assert not genuine(request)


@pytest.mark.parametrize("answer", [500, 404, 302])  # a redirect is not followed with a signed body
def test_a_refused_webhook_is_tried_again_later(cast, receiver, settings, answer):
    settings.ALERT_WEBHOOK_URL = receiver.url
    receiver.answers = [answer]
    record(cast.portfolio, alert=SPEC)
    deliver_alerts()
    delivery = webhook_delivery(cast.portfolio)
    assert (delivery.state, delivery.attempts) == ("pending", 1)
    assert str(answer) in delivery.last_error
    wait = (delivery.due_at - database_now()).total_seconds()
    assert 0 < wait <= 2
    make_due(delivery)
    deliver_alerts()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.last_error) == ("delivered", 2, "")
    first, second = receiver.requests
    assert genuine(second)
    assert {one.headers["X-Autotrading-Delivery"] for one in (first, second)} == {str(delivery.pk)}
    assert {one.path for one in (first, second)} == {"/alerts"}


def test_not_due_is_not_tried(cast, receiver, settings):
    settings.ALERT_WEBHOOK_URL = receiver.url
    record(cast.portfolio, alert=SPEC)
    AlertDelivery.objects.update(due_at=Now() + timedelta(minutes=1))
    deliver_alerts()
    assert receiver.requests == []


def test_an_unreachable_receiver_delays_only_the_webhook(cast, settings):
    settings.ALERT_WEBHOOK_URL = "http://127.0.0.1:1/alerts"
    record(cast.portfolio, count=5, alert=SPEC)
    deliver_alerts()
    log = AlertDelivery.objects.filter(alert__stream=cast.portfolio, channel="log")
    webhook = AlertDelivery.objects.filter(alert__stream=cast.portfolio, channel="webhook")
    assert set(log.values_list("state", flat=True)) == {"delivered"}
    assert set(webhook.values_list("state", flat=True)) == {"pending"}
    # After three failures in a row the run leaves the rest to the next.
    assert sorted(webhook.values_list("attempts", flat=True)) == [0, 0, 1, 1, 1]


def test_after_many_attempts_it_is_given_up(cast, receiver, settings):
    settings.ALERT_WEBHOOK_URL = receiver.url
    receiver.answers = [500]
    record(cast.portfolio, alert=SPEC)
    AlertDelivery.objects.filter(channel="webhook").update(attempts=alerts.ATTEMPTS_MAX - 1)
    deliver_alerts()
    delivery = webhook_delivery(cast.portfolio)
    assert (delivery.state, delivery.attempts) == ("failed", alerts.ATTEMPTS_MAX)
    make_due(delivery)
    deliver_alerts()
    assert len(receiver.requests) == 1


def test_two_workers_deliver_each_alert_once(cast, receiver, settings):
    settings.ALERT_WEBHOOK_URL = receiver.url
    record(cast.portfolio, count=20, alert=SPEC)
    delivered = []

    def work() -> None:
        try:
            delivered.append(deliver_due_alerts())
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(delivered) == 40
    ids = [request.headers["X-Autotrading-Delivery"] for request in receiver.requests]
    assert len(ids) == len(set(ids)) == 20


def test_a_worker_that_died_in_the_middle_leaves_the_alert_to_the_next(cast, receiver, settings):
    settings.ALERT_WEBHOOK_URL = receiver.url
    record(cast.portfolio, alert=SPEC)
    alerts._claim("webhook", 1)  # and then it died
    deliver_alerts()
    assert receiver.requests == []  # the lease holds
    make_due(webhook_delivery(cast.portfolio))
    deliver_alerts()
    assert webhook_delivery(cast.portfolio).state == "delivered"


def test_the_result_of_a_worker_that_lost_its_lease_does_not_count(cast, settings):
    settings.ALERT_WEBHOOK_URL = "http://127.0.0.1:1/alerts"
    record(cast.portfolio, alert=SPEC)
    (stale,) = alerts._claim("webhook", 1)
    make_due(stale)
    alerts._claim("webhook", 1)
    alerts._settle_failure(stale, "too late")
    assert webhook_delivery(cast.portfolio).last_error == ""


def test_who_delivers_shows_that_he_lives(cast):
    deliver_alerts()
    assert Heartbeat.objects.filter(component="worker.notification", ended=False).exists()
