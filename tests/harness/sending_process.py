"""A process that works off what is due at a venue kept in a file, to be killed: `<module> FILE send|recover`."""

import sys
from pathlib import Path

import django

django.setup()

from tests.harness.scripted_broker import ScriptedBroker, Venue  # noqa: E402
from trading.services import held_brokers  # noqa: E402
from trading.services.recovery import recover_due  # noqa: E402
from trading.services.sending import send_due  # noqa: E402

if __name__ == "__main__":
    venue = Venue(file=Path(sys.argv[1]))
    venue.read()
    held_brokers.broker_of = lambda account: ScriptedBroker(venue)
    {"send": send_due, "recover": recover_due}[sys.argv[2]]()
