#!/usr/bin/env python
"""Django's command line.

Commands that change the schema connect as the database's owner; everything
else connects as the application's role, which may not rewrite ledger or journal.
"""

import os
import sys

COMMANDS_OF_THE_OWNER = {"migrate", "sqlmigrate", "setup_database"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autotrading_project.settings")
    if len(sys.argv) > 1 and sys.argv[1] in COMMANDS_OF_THE_OWNER:
        os.environ["DATABASE_AS_OWNER"] = "1"
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
