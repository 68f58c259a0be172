"""Fixtures for everybody; see tests/harness.

db            pytest-django's: one transaction, rolled back; the application's role
committed_db  a database of its own, for tests that commit or start other processes
processes     the Procfile's processes on a committed_db
simulator     a broker that misbehaves by script, as a process of its own
"""

import django

django.setup()  # before any conftest further down imports models

pytest_plugins = [
    "tests.harness.databases",
    "tests.harness.processes",
    "tests.harness.simulator",
    "tests.harness.stage",
    "tests.harness.words",
]
