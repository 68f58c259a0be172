"""`make run` on a PostgreSQL of one's own: DATABASE_URL is the owner's, the application's role is derived."""

from urllib.parse import urlsplit

import pytest

from autotrading_project.runner.configuration import application_url
from autotrading_project.runner.errors import RunnerError
from tests.harness.databases import CommittedDatabase

pytestmark = pytest.mark.integration


def test_the_application_gets_a_role_named_after_the_database(committed_db: CommittedDatabase):
    derived = urlsplit(application_url(committed_db.owner_url + "?sslmode=prefer", "p@ss/word"))
    assert (derived.username, derived.password) == (f"{committed_db.name}_app", "p%40ss%2Fword")
    assert derived.path == f"/{committed_db.name}"
    assert derived.query == "sslmode=prefer"
    assert derived.port == urlsplit(committed_db.owner_url).port


def test_an_owner_who_may_not_make_roles_is_told_what_to_do(committed_db: CommittedDatabase):
    """The application's role stands for him: it may log in, and no more."""
    with pytest.raises(RunnerError, match=r"create the role .*_app as an administrator"):
        application_url(committed_db.url, "x")


def test_an_unreachable_server_is_named(committed_db: CommittedDatabase):
    with pytest.raises(RunnerError, match="DATABASE_URL cannot be reached"):
        application_url("postgres://user:password@127.0.0.1:1/name", "x")


def test_a_url_without_a_database_is_refused():
    with pytest.raises(RunnerError, match="DATABASE_URL must name a database"):
        application_url("postgres://user:password@127.0.0.1:1", "x")
