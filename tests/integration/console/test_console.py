"""The operator's page: only for those who are logged in, and nothing in it comes from elsewhere."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.contrib.staticfiles import finders
from django.urls import reverse

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


def test_the_page_is_not_for_posting(client, alice):
    client.force_login(alice)
    assert client.post(reverse("console")).status_code == 405
