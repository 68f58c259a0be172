from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from foundation.errors import DomainError
from trading.models import Side
from trading.services.manual import place_trade


class Command(BaseCommand):
    help = (
        "Place a market order by hand, in the name of a trader or owner of the portfolio. Prints the trade's id, or "
        "the code of the control that refused it, and then ends with 1. Every order that is refused is recorded."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--portfolio", required=True, type=UUID, help="its id")
        parser.add_argument("--symbol", required=True)
        parser.add_argument("--side", required=True, choices=Side.values)
        parser.add_argument("--quantity", required=True, help="in units, a multiple of the lot")
        parser.add_argument("--actor", required=True, metavar="USERNAME", help="who wants it")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["actor"]
        actor = get_user_model().objects.filter(username=name).first()
        if actor is None:
            raise CommandError(f"actor: there is no user {name!r}.")
        try:
            quantity = Decimal(options["quantity"])
        except InvalidOperation as error:
            raise CommandError(f"quantity: {options['quantity']!r} is no number.") from error
        try:
            trade = place_trade(
                portfolio_id=options["portfolio"], symbol=options["symbol"], side=options["side"],
                quantity=quantity, actor=actor,
            )  # fmt: skip
        except DomainError as error:
            cures = [row["suggestion"] for row in error.errors or () if row.get("suggestion")]
            raise CommandError(" ".join([error.detail, *cures])) from error
        self.stdout.write(str(trade.id))
