"""What Prometheus scrapes is for staff."""

import pytest
from rest_framework.test import APIClient

from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration
ACCEPT = {"Accept": "application/openmetrics-text;version=1.0.0"}


def test_outsiders_get_no_metrics(world: World) -> None:
    answer = APIClient().get("/metrics", headers=ACCEPT)
    assert (answer.status_code, "django_http" in answer.content.decode()) == (401, False)


def test_for_users_there_are_none(world: World) -> None:
    answer = world.as_("alice").get("/metrics", headers=ACCEPT)
    assert (answer.status_code, "django_http" in answer.content.decode()) == (404, False)


def test_staff_get_them_by_token_and_by_session(world: World) -> None:
    by_session = APIClient()
    by_session.force_login(world.users["steffi"])
    for client in (world.as_("steffi"), by_session):
        answer = client.get("/metrics", headers=ACCEPT)
        assert (answer.status_code, "django_http_requests_total" in answer.content.decode()) == (200, True)
        assert answer["Content-Type"].startswith("text/plain")
