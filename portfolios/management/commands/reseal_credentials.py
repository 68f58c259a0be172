from typing import Any

from django.core.management.base import BaseCommand, CommandError

from foundation.errors import DomainError
from market.services.pull_settings import reseal_tokens
from portfolios.services.credentials import reseal_credentials


class Command(BaseCommand):
    help = (
        "Seal brokers' keys and recommendation services' tokens with the newest of CREDENTIAL_KEYS, so that older ones "
        "may go. Repeating it is harmless. "
        "Ends with 1 where some do not open; those stay as they are."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done, tokens = reseal_credentials(), reseal_tokens()
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(
            f"{done.resealed + tokens.resealed} resealed, {done.kept + tokens.kept} sealed by the newest key already."
        )
        failed = [f"account {key}: {why}" for key, why in done.failed.items()]
        failed += [f"source {key}: {why}" for key, why in tokens.failed.items()]
        if failed:
            raise CommandError("\n".join(failed))
