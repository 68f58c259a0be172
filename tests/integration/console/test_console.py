"""The operator's page: only for those who are logged in, and nothing in it comes from elsewhere."""

import re
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse

from portfolios.services.portfolios import create_portfolio
from trading.models import Halt

pytestmark = pytest.mark.integration
PASSWORD = "a long password"


@pytest.fixture
def alice(db):
    return get_user_model().objects.create_user("alice", password=PASSWORD)


def test_a_stranger_is_sent_to_the_login(client, db):
    page = client.get(reverse("console"))
    assert (page.status_code, page["Location"]) == (302, f"{reverse('console-login')}?next=/")


def test_a_trader_logs_in_without_being_staff(client, alice):
    wrong = client.post(reverse("console-login"), {"username": "alice", "password": "guess", "next": "/"})
    assert "correct username and password" in wrong.content.decode()
    page = client.post(
        reverse("console-login"), {"username": "alice", "password": PASSWORD, "next": "/"}, follow=True
    )
    assert page.redirect_chain == [("/", 302)]
    text = page.content.decode()
    assert "Emergency stop" in text and reverse("admin:index") not in text
    assert client.post(reverse("console-logout")).status_code == 302
    assert client.get(reverse("console")).status_code == 302


def test_staff_find_the_admin(client, alice):
    alice.is_staff = True
    alice.save()
    client.force_login(alice)
    assert reverse("admin:index") in client.get(reverse("console")).content.decode()


def test_the_login_leads_nowhere_else(client, alice):
    page = client.post(
        reverse("console-login"), {"username": "alice", "password": PASSWORD, "next": "https://evil.example/"}
    )
    assert page["Location"] == "/"


def test_a_strict_policy_holds_and_nothing_in_the_page_would_break_it(client, alice):
    client.force_login(alice)
    for page in (client.get(reverse("console")), client.get(reverse("console-logout")), client.get("/login")):
        if page.status_code == 200:
            text = page.content.decode()
            assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|https?://", text)
        policy = page["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy


def test_everything_that_the_page_loads_is_there(client, alice):
    client.force_login(alice)
    text = client.get(reverse("console")).content.decode()
    wanted = re.findall(r'(?:src|href)="/static/([^"]+)"', text)
    assert "console/console.js" in wanted
    while wanted:
        name = wanted.pop()
        path = finders.find(name)
        assert path is not None, name
        if name.endswith(".js"):
            with open(path, encoding="utf-8") as file:  # noqa: PTH123
                wanted += [f"console/{module}" for module in re.findall(r'from "\./([^"]+)"', file.read())]


def test_the_stop_button_stops_the_portfolio_with_the_pages_own_login(alice):
    """What console.js sends when the dialog is submitted, with the session's cookie and the page's CSRF token."""
    portfolio = create_portfolio(name="Growth", owner=alice)
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    page = client.get(reverse("console")).content.decode()
    assert re.search(r'<button type="button" class="stop" id="stop"', page)
    dialog = page[page.index('<dialog id="stop-dialog"') :]
    fields = {"reason": "prices look wrong", "mode": re.findall(r'<option value="(\w+)"', dialog)[0]}
    assert all(f'name="{name}"' in dialog for name in fields)
    script = Path(str(finders.find("console/console.js"))).read_text(encoding="utf-8")
    assert '$("stop").addEventListener("click", emergencyStop)' in script
    sent = re.search(r'post\("emergency-stop", \{ (.*?) \}\)', script)
    assert sent is not None
    body = {"scope": "portfolio", "scope_id": str(portfolio.pk), **fields}
    assert {pair.split(":")[0] for pair in sent.group(1).split(", ")} == set(body)
    token = re.search(r'id="logout">.*?value="([^"]+)"', page)
    assert token is not None
    for headers, status in (({}, 403), ({"X-CSRFToken": token.group(1), "Idempotency-Key": "k"}, 201)):
        answer = client.post(
            "/api/emergency-stop", body, content_type="application/json", headers=headers
        )  # fmt: skip
        assert answer.status_code == status
    halt = Halt.objects.get()
    assert (halt.scope, halt.scope_id, halt.mode) == ("portfolio", str(portfolio.pk), "halt")
    assert (halt.armed_by, halt.reason) == (alice, "prices look wrong")
    shown = client.get(f"/api/emergency-stop?in_force=true&portfolio={portfolio.pk}").json()["results"]
    assert [row["id"] for row in shown] == [str(halt.pk)]


def test_the_page_is_not_for_posting(client, alice):
    client.force_login(alice)
    assert client.post(reverse("console")).status_code == 405
