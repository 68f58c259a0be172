from typing import Any

from django.core.management.base import BaseCommand, CommandError

from foundation.errors import DomainError
from portfolios.services.credentials import reseal_credentials


class Command(BaseCommand):
    help = (
        "Seal brokers' keys with the newest of CREDENTIAL_KEYS, so that older ones may go. Repeating it is harmless. "
        "Ends with 1 where some do not open; those stay as they are."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = reseal_credentials()
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{done.resealed} resealed, {done.kept} sealed by the newest key already.")
        if done.failed:
            raise CommandError("\n".join(f"account {key}: {why}" for key, why in done.failed.items()))
