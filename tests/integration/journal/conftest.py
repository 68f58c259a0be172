"""The cast, a pen that records events, and a real web server on a real port."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from knox.models import get_token_model
from websockets.sync.client import ClientConnection, connect

from autotrading_project.embedded.network import free_port
from autotrading_project.embedded.servers import EmbeddedServers
from foundation.clock import database_now
from journal.core.events import AlertSpec, Event
from journal.services import hints
from journal.services.journal import append
from portfolios.models import Member, Portfolio, Role
from tests.harness.databases import _clone, _default_connection_to, with_database
from tests.harness.processes import Processes


def make_user(name: str, **fields):
    user = get_user_model().objects.create_user(f"{name}-{uuid4().hex[:8]}", **fields)
    row, token = get_token_model().objects.create(user=user)
    return SimpleNamespace(user=user, token=token, token_row=row)


def make_portfolio(owner, *others) -> UUID:
    portfolio = Portfolio.objects.create(name=f"Growth {uuid4().hex[:8]}")
    Member.objects.create(portfolio=portfolio, user=owner.user, role=Role.OWNER)
    for other in others:
        Member.objects.create(portfolio=portfolio, user=other.user, role=Role.RISK_OFFICER)
    return portfolio.pk


def record(
    stream: UUID, *, count: int = 1, kind: str = "test.happened", alert: AlertSpec | None = None, **payload
):
    """Commit `count` events; where they were put."""
    with transaction.atomic():
        now = database_now()
        return append([Event(stream, kind, now, {"number": n, **payload}, alert) for n in range(count)])


@pytest.fixture(scope="module")
def database(template_database: str, django_db_blocker) -> Iterator[str]:
    """A database for a whole module, whose commits are real: streams and users are new in each test."""
    with (
        _clone(template_database, "journal") as name,
        django_db_blocker.unblock(),
        _default_connection_to(name),
    ):
        yield name


@pytest.fixture
def cast(database):
    """Alice owns the portfolio, Bob is her risk officer, Charlie must see nothing."""
    alice, bob, charlie = (make_user(name) for name in ("alice", "bob", "charlie"))
    return SimpleNamespace(alice=alice, bob=bob, charlie=charlie, portfolio=make_portfolio(alice, bob))


class WebServer:
    def __init__(self, port: int) -> None:
        self.port = port
        self.host = f"127.0.0.1:{port}"

    def follow(
        self, *, token: str | None = None, headers: dict[str, str] | None = None, **query
    ) -> ClientConnection:
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Token {token}"
        address = f"ws://{self.host}/ws/events?{urlencode(query)}"
        return connect(address, additional_headers=headers, compression=None, proxy=None)


@contextlib.contextmanager
def web_server(database: str, log_dir: Path, **environment: str) -> Iterator[WebServer]:
    """uvicorn with the project's application, in a process of its own."""
    port = free_port()
    url = with_database(os.environ["DATABASE_URL"], database)
    processes = Processes({**os.environ, "DATABASE_URL": url, "DATABASE_POOL": "1", **environment}, log_dir)
    command = [sys.executable, "-m", "uvicorn", "autotrading_project.asgi:application"]
    processes.start_command("web", [*command, "--host", "127.0.0.1", "--port", str(port)])
    try:
        processes.wait_for("web", lambda: _answers(port))
        yield WebServer(port)
    finally:
        print(processes.log("web"))
        processes.stop_all()


def _answers(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2, trust_env=False).status_code == 200
    return False


@pytest.fixture(scope="module")
def valkey(tmp_path_factory) -> Iterator[EmbeddedServers]:
    """A Valkey of its own, to be flushed, stopped and killed."""
    data_dir = tmp_path_factory.mktemp("valkey")
    servers = EmbeddedServers(data_dir, durable=False, say=print, postgres=False)
    servers.start()
    yield servers
    servers.stop()


@pytest.fixture
def our_valkey(valkey, settings, monkeypatch):
    """Hints of this process go there."""
    settings.REDIS_URL = valkey.redis_url
    monkeypatch.setattr(hints, "_publisher", hints._Publisher())


@pytest.fixture(scope="module")
def web(database, tmp_path_factory) -> Iterator[WebServer]:
    with web_server(database, tmp_path_factory.mktemp("web")) as server:
        yield server
