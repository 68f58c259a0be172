import os
import sys
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from foundation.admin.base import fault_text
from foundation.errors import DomainError
from trading.services.connecting import CONNECTABLE, connect_account

SECRET_VARIABLE = "BROKER_SECRET"  # noqa: S105 - its name, not a secret
SECRET_CHARACTERS_MAX = 200


class Command(BaseCommand):
    help = (
        "Connect a portfolio to an account at a broker, or replace the keys of the connected one. The secret is read "
        f"from {SECRET_VARIABLE} in the environment or, without it, from the first line of standard input; never from "
        "an argument, which every user of the machine could read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--portfolio", required=True, type=UUID, help="its id")
        parser.add_argument("--broker", default="alpaca", choices=[str(name) for name in CONNECTABLE])
        parser.add_argument("--live", action="store_true", help="real money; the actor must be staff")
        parser.add_argument("--key-id", required=True)
        parser.add_argument("--actor", required=True, metavar="USERNAME", help="who wants it")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = get_user_model().objects.filter(username=options["actor"]).first()
        if actor is None:
            raise CommandError(f"actor: there is no user {options['actor']!r}.")
        secret = (
            os.environ.get(SECRET_VARIABLE) or sys.stdin.readline(SECRET_CHARACTERS_MAX).rstrip("\r\n")
        )  # fmt: skip
        try:
            account = connect_account(
                portfolio_id=options["portfolio"], broker=options["broker"], is_live=options["live"],
                key_id=options["key_id"], secret=secret, actor=actor,
            )  # fmt: skip
        except DomainError as error:
            raise CommandError("\n".join(map(fault_text, error.errors or ())) or error.detail) from None
        self.stdout.write(f"Connected: {account.broker} account {account.account_number}.")
