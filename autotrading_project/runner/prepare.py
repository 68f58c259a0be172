"""Migrate, set up the roles, load what the platform and the demo need: one process, it starts once.

    python -m autotrading_project.runner.prepare [--demo --base-url http://127.0.0.1:8000]

The schema is the owner's work; everything after it is done as the application's
role, so that a missing grant is found here and not in the middle of trading.
"""

import argparse
import os
import sys
from urllib.parse import unquote, urlsplit

import django
from django.core.management import CommandError, call_command
from django.db import connection


def main() -> None:
    parser = argparse.ArgumentParser(description="Bring the database up to date.")
    parser.add_argument("--demo", action="store_true", help="load the demonstration, too")
    parser.add_argument("--base-url", default="http://127.0.0.1:8000", help="written into demo.json")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autotrading_project.settings")
    os.environ["DATABASE_AS_OWNER"] = "1"
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    call_command("setup_database", verbosity=0)
    become_application()
    call_command("seed_platform")
    if options.demo:
        call_command("load_demo", base_url=options.base_url)


def become_application() -> None:
    """Continue this process's database connection as the role of DATABASE_URL."""
    url = urlsplit(os.environ["DATABASE_URL"])
    connection.close()
    connection.settings_dict.update(USER=unquote(url.username or ""), PASSWORD=unquote(url.password or ""))
    del os.environ["DATABASE_AS_OWNER"]


if __name__ == "__main__":
    try:
        main()
    except CommandError as error:  # a sentence for people
        print(error, file=sys.stderr)
        sys.exit(1)
