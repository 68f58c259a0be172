"""/health tells whoever asks from outside whether this process can work, and whether beat and alerts are heard."""

from datetime import timedelta

import pytest
from django.test import Client

from foundation import heartbeats
from foundation.api import health
from foundation.clock import database_now
from foundation.models import Heartbeat

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.mark.parametrize(
    ("seconds_ago", "told"), [(0, "heard"), (29, "heard"), (31, "silent"), (None, "silent")]
)
@pytest.mark.parametrize(("name", "component"), health.WATCHED.items())
def test_it_is_heard_or_silent_and_the_process_well(
    name: str, component: str, seconds_ago: float | None, told: str
) -> None:
    if seconds_ago is not None:
        heartbeats.beat(component=component)
        Heartbeat.objects.update(at=database_now() - timedelta(seconds=seconds_ago))
    heartbeats.beat(component="worker.evaluation")
    answer = Client().get("/health")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ok", "beat": "silent", "alerts": "silent", name: told},
    )


def test_without_the_database_it_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> dict[str, float]:
        raise ConnectionError

    monkeypatch.setattr(health, "ages_seconds", away)
    answer = Client().get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
