"""The application's database role can append to ledger and journal, and no more."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import ProgrammingError, connection, transaction

from foundation.management.commands.setup_database import APPEND_ONLY_TABLES, TIMEOUTS
from tests.harness.databases import CommittedDatabase

pytestmark = pytest.mark.integration
BASE_DIR = Path(__file__).resolve().parents[3]


def test_tests_work_as_the_application_and_not_as_the_owner(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (urlsplit(os.environ["DATABASE_URL"]).username,)


@pytest.mark.parametrize("table", APPEND_ONLY_TABLES)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET id = id WHERE false",  # refused before any row is looked at
        "DELETE FROM {table} WHERE false",
        "TRUNCATE {table}",
        "TRUNCATE {table} CASCADE",
        "ALTER TABLE {table} DISABLE TRIGGER ALL",
        "DROP TABLE {table}",
    ],
)
def test_ledger_and_journal_cannot_be_rewritten(db, table, statement):
    with (
        pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table=table))


@pytest.mark.parametrize("table", APPEND_ONLY_TABLES)
def test_no_right_can_be_given_to_oneself(db, table):
    """PostgreSQL answers such a GRANT with a warning only: look at what came of it."""
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT UPDATE ON {table} TO CURRENT_USER")
        cursor.execute("SELECT has_table_privilege(%s, 'UPDATE')", [table])
        assert cursor.fetchone() == (False,)


@pytest.mark.parametrize("table", APPEND_ONLY_TABLES)
def test_ledger_and_journal_can_be_read_and_appended_to(db, table):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT has_table_privilege(%s, 'SELECT'), has_table_privilege(%s, 'INSERT')", [table, table]
        )
        assert cursor.fetchone() == (True, True)


def test_every_other_table_can_be_changed(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND NOT ("
            "has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT') AND "
            "has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))"
        )
        assert {name for (name,) in cursor.fetchall()} == set(APPEND_ONLY_TABLES)


def test_the_role_itself_carries_the_timeouts(committed_db: CommittedDatabase):
    """Not only our settings: a `psql` as the application blocks nobody for long, either."""
    with psycopg.connect(committed_db.url) as application:
        shown = {name: application.execute(f"SHOW {name}").fetchone()[0] for name in TIMEOUTS}
    assert shown == TIMEOUTS


def test_a_later_table_is_usable_without_another_grant(committed_db: CommittedDatabase):
    with committed_db.as_owner() as owner:
        owner.execute("CREATE TABLE made_later (id bigint GENERATED ALWAYS AS IDENTITY, note text)")
    with psycopg.connect(committed_db.url) as application:
        application.execute("INSERT INTO made_later (note) VALUES ('x')")
        assert application.execute("SELECT note FROM made_later").fetchall() == [("x",)]


def setup_database(database: CommittedDatabase, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "setup_database"],
        cwd=BASE_DIR,
        env=database.environment | {"DATABASE_OWNER_URL": database.owner_url} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_setup_database_may_run_again_and_takes_back_a_grant(committed_db: CommittedDatabase):
    role = urlsplit(committed_db.url).username
    with committed_db.as_owner() as owner:
        owner.execute(f"GRANT UPDATE, DELETE, TRUNCATE ON journal_entries TO {role}")
        done = setup_database(committed_db)
        assert done.returncode == 0, done.stderr
        rights = owner.execute(
            "SELECT has_table_privilege(%s, 'journal_entries', 'UPDATE, DELETE, TRUNCATE')", [role]
        ).fetchone()
    assert rights == (False,)


def test_setup_database_refuses_the_owner_as_application(committed_db: CommittedDatabase):
    refused = setup_database(committed_db, DATABASE_URL=committed_db.owner_url)
    assert refused.returncode == 1
    assert "who could rewrite ledger and journal" in refused.stderr


def test_setup_database_without_the_right_to_make_roles_says_what_to_do(committed_db: CommittedDatabase):
    with committed_db.as_owner() as owner:
        owner.execute("CREATE ROLE poor_owner LOGIN PASSWORD 'poor'")
        try:
            place = committed_db.owner_url.rpartition("@")[2]
            refused = setup_database(
                committed_db,
                DATABASE_OWNER_URL=f"postgres://poor_owner:poor@{place}",
                DATABASE_URL=f"postgres://not_there:x@{place}",
            )
        finally:
            owner.execute("DROP ROLE poor_owner")
    assert refused.returncode == 1
    assert "create not_there as an administrator" in refused.stderr
    assert "DATABASE_OWNER_URL and DATABASE_URL" in refused.stderr
