import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, InterfaceError, OperationalError, connection

from foundation.errors import DomainError
from trading.models import Halt
from trading.services.draining import drain
from trading.services.emergency_stop import arm
from trading.services.halted_orders import at_real_brokers, told_left
from trading.services.recovery import recover_due
from trading.services.sending import cancel_due

DRAIN_SECONDS_MAX = 60
PAUSE_SECONDS = 0.5
BY_HAND = (
    "Stop the workers by hand (worker_evaluation, worker_execution, worker_broker) and cancel at the broker; then say "
    "this command again until it is armed."
)


class Command(BaseCommand):
    help = (
        "Stop trading now. Needs PostgreSQL only: no worker, no web, no Valkey. Cancels what is open, at the brokers "
        "too, and waits until nothing is in flight."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", required=True, help="why; it stands in the journal")
        parser.add_argument("--scope", default=Halt.Scope.PLATFORM, choices=Halt.Scope.values)
        parser.add_argument(
            "--scope-id", default="", help="UUID of portfolio, account, session or rule; a symbol"
        )
        parser.add_argument("--mode", default=Halt.Mode.HALT, choices=Halt.Mode.values)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            halt = arm(
                scope=options["scope"],
                scope_id=options["scope_id"],
                mode=options["mode"],
                reason=options["reason"],
                actor=None,
            )
        except DomainError as error:
            raise CommandError(error.detail) from error
        except (
            Error
        ) as error:  # away, locked, full, not migrated: whoever stops must know what is left to him
            raise CommandError(
                f"NOT ARMED: PostgreSQL did not confirm it ({_one_line(error)}). {BY_HAND}"
            ) from error
        self.stdout.write(f"armed {halt.id} ({halt})")
        deadline = time.monotonic() + DRAIN_SECONDS_MAX
        while not self._drained(halt):
            if time.monotonic() > deadline:
                raise CommandError(
                    f"armed, but orders are still in flight or work at a broker; {told_left(halt)}. Workers go on "
                    "draining."
                )
            time.sleep(PAUSE_SECONDS)
        self.stdout.write("drained: nothing is in flight in this scope")

    def _drained(self, halt: Halt) -> bool:
        """Drain, and speak to the brokers whose orders are in the way. A database that is busy now is asked again
        until the deadline."""
        try:
            if drain(halt_id=halt.id):
                return True
            if at_real_brokers(halt):
                # By itself, for nobody else may be there: the cancels, and what became of them. It sends nothing: who
                # stops one portfolio has not asked for the orders of the others.
                cancel_due()
                recover_due(resend=False)
            return drain(halt_id=halt.id)
        except (OperationalError, InterfaceError) as error:
            self.stdout.write(f"still draining: {_one_line(error)}")
            connection.close_if_unusable_or_obsolete()
            return False


def _one_line(error: Error) -> str:
    return " ".join(str(error).split())
