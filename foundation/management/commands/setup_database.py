"""Make the application's login and give it what it needs, no more."""

import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from psycopg import sql

# Nobody may rewrite these, raw SQL included: the owner migrates, the application only appends.
APPEND_ONLY_TABLES = ("journal_entries", "ledger_transfers")
# A worker stopped in the middle of a transaction must not block the others for long.
TIMEOUTS = {
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "5s",
    "statement_timeout": "10s",
}


class Command(BaseCommand):
    """Runs as the database's owner after `migrate`, as often as one likes.

    The application's role and password are those of DATABASE_URL. Without the
    right to make roles (CREATEROLE) the role must exist; then only its grants
    are set, and the timeouts that the settings give each connection must do.
    """

    requires_system_checks = []
    help = "Create or update the application's database role (that of DATABASE_URL) and its grants."

    def handle(self, *args: Any, **options: Any) -> None:
        role, password = _application_login()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_user, current_database()")
            owner, database = cursor.fetchone()
            if role == owner:
                raise CommandError(
                    f"DATABASE_URL names the database's owner ({owner}), who could rewrite ledger and "
                    "journal: give the owner in DATABASE_OWNER_URL and another role in DATABASE_URL."
                )
            _see_to_role(cursor, role, password)
            _grant(cursor, role, database)
            _take_away(cursor, role, _existing(cursor, APPEND_ONLY_TABLES))
        if options["verbosity"] > 0:
            self.stdout.write(f"Role {role} may use database {database}.")


def _application_login() -> tuple[str, str]:
    url = urlsplit(os.environ.get("DATABASE_URL", ""))
    if not url.username or url.password is None:
        raise CommandError(
            "DATABASE_URL must name the application's role and password: postgres://role:password@host/name."
        )
    return unquote(url.username), unquote(url.password)


def _see_to_role(cursor: Any, role: str, password: str) -> None:
    """Create the role, or set its password and timeouts; nothing where we may not."""
    cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [role])
    found = cursor.fetchone()
    if found and found[0]:
        raise CommandError(f"{role} is a superuser, whom no grant binds: give another role in DATABASE_URL.")
    cursor.execute("SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user")
    may_make_roles = cursor.fetchone()[0]
    if not may_make_roles:
        if not found:
            raise CommandError(
                f"The owner may not create roles: create {role} as an administrator "
                f"(CREATE ROLE {role} LOGIN PASSWORD '…') and give both DATABASE_OWNER_URL and DATABASE_URL."
            )
        return
    identifier = sql.Identifier(role)
    if not found:
        cursor.execute(sql.SQL("CREATE ROLE {}").format(identifier))
    elif not _administers(cursor, role):
        return
    cursor.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(identifier, sql.Literal(password)))
    for name, value in TIMEOUTS.items():
        cursor.execute(
            sql.SQL("ALTER ROLE {} SET {} = {}").format(identifier, sql.Identifier(name), sql.Literal(value))
        )


def _administers(cursor: Any, role: str) -> bool:
    """Whether we may alter an existing role: since PostgreSQL 16 CREATEROLE alone is not enough."""
    cursor.execute(
        "SELECT rolsuper OR current_setting('server_version_num')::int < 160000 "
        "OR pg_has_role(current_user, %s, 'MEMBER WITH ADMIN OPTION') "
        "FROM pg_roles WHERE rolname = current_user",
        [role],
    )
    return bool(cursor.fetchone()[0])


def _grant(cursor: Any, role: str, database: str) -> None:
    names = {"role": sql.Identifier(role), "database": sql.Identifier(database)}
    for statement in (
        "GRANT CONNECT ON DATABASE {database} TO {role}",
        "GRANT USAGE ON SCHEMA public TO {role}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {role}",
    ):
        cursor.execute(sql.SQL(statement).format(**names))


def _existing(cursor: Any, tables: Iterable[str]) -> list[str]:
    cursor.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename = ANY(%s)", [list(tables)]
    )
    return [row[0] for row in cursor.fetchall()]


def _take_away(cursor: Any, role: str, tables: Iterable[str]) -> None:
    for table in tables:
        cursor.execute(
            sql.SQL("REVOKE UPDATE, DELETE, TRUNCATE ON {} FROM {}").format(
                sql.Identifier(table), sql.Identifier(role)
            )
        )
