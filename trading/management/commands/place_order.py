from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from foundation.errors import DomainError
from trading.core.orders import OrderTerms, OrderType, TimeInForce
from trading.models import Side
from trading.services.manual import place_trade


class Command(BaseCommand):
    help = (
        "Place an order by hand, in the name of a trader or owner of the portfolio. Prints the trade's id, or "
        "the code of the control that refused it, and then ends with 1. Every order that is refused is recorded."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--portfolio", required=True, type=UUID, help="its id")
        parser.add_argument("--symbol", required=True)
        parser.add_argument("--side", required=True, choices=Side.values)
        parser.add_argument("--quantity", required=True, help="in units, a multiple of the lot")
        parser.add_argument(
            "--type", default=OrderType.MARKET.value, choices=[each.value for each in OrderType]
        )
        parser.add_argument(
            "--time-in-force", default=TimeInForce.DAY.value, choices=[each.value for each in TimeInForce],
            help="day: until the exchange's close; gtc: until it is filled or cancelled",
        )  # fmt: skip
        parser.add_argument("--limit-price", help="of limit and stop_limit, a multiple of the tick")
        parser.add_argument("--stop-price", help="of stop and stop_limit, a multiple of the tick")
        parser.add_argument("--trail-percentage", help="of trailing_stop: percent behind the best price")
        parser.add_argument("--actor", required=True, metavar="USERNAME", help="who wants it")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["actor"]
        actor = get_user_model().objects.filter(username=name).first()
        if actor is None:
            raise CommandError(f"actor: there is no user {name!r}.")
        terms = OrderTerms(
            order_type=OrderType(options["type"]), time_in_force=TimeInForce(options["time_in_force"]),
            limit_price=_number(options, "limit_price"), stop_price=_number(options, "stop_price"),
            trail_percentage=_number(options, "trail_percentage"),
        )  # fmt: skip
        quantity = _number(options, "quantity")
        assert quantity is not None, "it is required"
        try:
            trade = place_trade(
                portfolio_id=options["portfolio"], symbol=options["symbol"], side=options["side"],
                quantity=quantity, actor=actor, terms=terms,
            )  # fmt: skip
        except DomainError as error:
            cures = [row["suggestion"] for row in error.errors or () if row.get("suggestion")]
            raise CommandError(" ".join([error.detail, *cures])) from error
        self.stdout.write(str(trade.id))


def _number(options: dict[str, Any], name: str) -> Decimal | None:
    text = options[name]
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation as error:
        raise CommandError(f"{name}: {text!r} is no number.") from error
