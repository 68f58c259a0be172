"""Fixtures for everybody; see tests/harness.

db            pytest-django's: one transaction, rolled back; the application's role
committed_db  a database of its own, for tests that commit or start other processes
processes     the Procfile's processes on a committed_db
simulator     a broker that misbehaves by script, as a process of its own
at_simulator  Alice's portfolio at such a broker
market_data   a source of market data that does, too
"""

import django
from django.db import connections

django.setup()  # before any conftest further down imports models

# A world that a module shares is made in one open transaction, which takes longer than a worker may pause on a busy
# machine. The processes that tests start keep production's five seconds.
_options = connections.settings["default"]["OPTIONS"]
_options["options"] = _options["options"].replace(
    "idle_in_transaction_session_timeout=5s", "idle_in_transaction_session_timeout=120s"
)

pytest_plugins = [
    "tests.harness.databases",
    "tests.harness.event_kinds",
    "tests.harness.market_data",
    "tests.harness.processes",
    "tests.harness.simulator",
    "tests.harness.stage",
    "tests.harness.words",
    "tests.harness.at_simulator",  # after the simulator, which it imports
]
