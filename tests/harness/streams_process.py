"""`manage.py run_streams` with a venue in a file for its broker: `python -m tests.harness.streams_process FILE`."""

import sys
from pathlib import Path

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from tests.harness.scripted_stream import VenueBroker, stored  # noqa: E402
from trading.services import following, reconciliation  # noqa: E402

if __name__ == "__main__":
    file = Path(sys.argv[1])

    def broker_of(account: object) -> VenueBroker:
        return VenueBroker(lambda: stored(file))

    following.broker_of = broker_of
    reconciliation.broker_of = broker_of
    call_command("run_streams")
