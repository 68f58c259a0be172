"""One migrated and seeded template; every database of a test is a clone of it.

The tests work as the application's role, as production does: a missing grant,
or a service that rewrites the ledger, fails here.
"""

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis
from django.conf import settings
from django.db import connections
from psycopg import sql
from pytest_django import DjangoDbBlocker

from tests.harness.environment import has_servers

BASE_DIR = Path(__file__).resolve().parents[2]
TRANSACTIONAL = (
    "this test asks for real transactions from pytest-django, which would TRUNCATE the tables, and the "
    "application's role may not: use the fixture committed_db."
)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class CommittedDatabase:
    """A database of its own: Django's default connection and `environment` point to it."""

    name: str
    url: str
    owner_url: str
    redis_url: str
    environment: dict[str, str]

    def as_owner(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection as the database's owner, committing each statement; close it (use `with`)."""
        return psycopg.connect(self.owner_url, autocommit=True)


def with_database(url: str, name: str) -> str:
    """The same server, user and password, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def as_owner(statement: str, *names: str) -> None:
    """Run a statement that cannot run in a transaction, as the owner."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _new_name(kind: str) -> str:
    return f"test_{os.getpid()}_{kind}_{next(_numbers)}"


@contextlib.contextmanager
def _clone(template: str, kind: str) -> Iterator[str]:
    name = _new_name(kind)
    as_owner("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template)
    try:
        yield name
    finally:
        as_owner("DROP DATABASE {} WITH (FORCE)", name)


@contextlib.contextmanager
def _default_connection_to(name: str) -> Iterator[None]:
    """Point Django's default connection, in every thread, to another database."""
    default = connections["default"]
    before = default.settings_dict["NAME"]
    connections.close_all()
    default.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connections.close_all()
        default.settings_dict["NAME"] = before


def forget_valkey() -> None:
    """Delete what these tests keep in Valkey, and nothing of anybody else's."""
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5) as client:
        keys = list(client.scan_iter(match=f"{settings.REDIS_PREFIX}*", count=1000))
        if keys:
            client.delete(*keys)


@pytest.fixture(scope="session")
def template_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a database as `make run` prepares it, without the demo; nobody connects to it.

    With `--reuse-db` it is kept on its server for the next run, until `--create-db` asks for another.
    """
    if not has_servers():
        pytest.fail(
            "this test needs PostgreSQL and Valkey: run `make test`, or "
            "`python -m autotrading_project.embedded exec -- python -m pytest …`.",
            pytrace=False,
        )
    kept = f"test_kept_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    keeps = bool(request.config.getoption("reuse_db"))
    name = kept if keeps else _new_name("template")
    if keeps and _is_ready(name) and not request.config.getoption("create_db"):
        yield name
        return
    if keeps:
        as_owner("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
    as_owner("CREATE DATABASE {}", name)
    try:
        _prepare(name)
        yield name
    finally:
        if not (keeps and _is_ready(name)):
            as_owner("DROP DATABASE {} WITH (FORCE)", name)


def _prepare(name: str) -> None:
    environment = os.environ | {
        "DATABASE_URL": with_database(os.environ["DATABASE_URL"], name),
        "DATABASE_OWNER_URL": with_database(os.environ["DATABASE_OWNER_URL"], name),
    }
    prepared = subprocess.run(
        [sys.executable, "-m", "autotrading_project.runner.prepare"],
        cwd=BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if prepared.returncode != 0:
        pytest.fail(f"the template database could not be made:\n{prepared.stdout}", pytrace=False)
    as_owner("ALTER DATABASE {} ALLOW_CONNECTIONS false", name)


def _is_ready(name: str) -> bool:
    """Whether it is there, prepared to the end."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as connection:
        query = "SELECT FROM pg_database WHERE datname = %s AND NOT datallowconn"
        return connection.execute(query, [name]).fetchone() is not None


@pytest.fixture(scope="session")
def django_db_setup(template_database: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """For pytest-django's `db`: one clone for all tests that roll back."""
    with _clone(template_database, "rollback") as name, _default_connection_to(name):
        forget_valkey()
        yield


@pytest.fixture
def committed_db(
    request: pytest.FixtureRequest,
    template_database: str,
    django_db_blocker: DjangoDbBlocker,
    tmp_path: Path,
) -> Iterator[CommittedDatabase]:
    """A fresh database and an empty Valkey for one test, whose commits are real."""
    if "db" in request.fixturenames:
        pytest.fail("a test uses either db or committed_db, not both.", pytrace=False)
    forget_valkey()
    with (
        _clone(template_database, "committed") as name,
        django_db_blocker.unblock(),
        _default_connection_to(name),
    ):
        data_dir = tmp_path / "data"
        (data_dir / "static").mkdir(parents=True)
        urls = {
            "DATABASE_URL": with_database(os.environ["DATABASE_URL"], name),
            "REDIS_URL": settings.REDIS_URL,
        }
        environment = os.environ | urls | {"DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"}
        environment.pop("DATABASE_OWNER_URL")
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
        yield CommittedDatabase(
            name=name,
            url=urls["DATABASE_URL"],
            owner_url=with_database(os.environ["DATABASE_OWNER_URL"], name),
            redis_url=settings.REDIS_URL,
            environment=environment,
        )
    forget_valkey()


@pytest.fixture
def transactional_db() -> None:
    """Refused; see committed_db."""
    pytest.fail(TRANSACTIONAL, pytrace=False)


@pytest.fixture
def live_server() -> None:
    """Refused; `processes` starts the real web process."""
    pytest.fail(TRANSACTIONAL, pytrace=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("django_db")
    if marker is not None and (marker.kwargs.get("transaction") or marker.args):
        pytest.fail(TRANSACTIONAL, pytrace=False)
