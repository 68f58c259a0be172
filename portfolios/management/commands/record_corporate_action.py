from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime

from foundation.errors import DomainError
from market.models import CorporateAction
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.services.corporate_actions import apply_corporate_action


def _moment(text: str) -> datetime:
    moment = parse_datetime(text)
    if moment is None:
        raise ValueError(text)
    return moment


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error


class Command(BaseCommand):
    help = "Record a dividend or a split, and book it for everybody who is entitled, as far as it can be booked now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=CorporateAction.Kind.values)
        parser.add_argument("symbol")
        parser.add_argument("external_id", help="the source's own id: recording it twice stores it once")
        parser.add_argument(
            "--ex-at", type=_moment, required=True, help="market time, like 2004-01-05T14:30:00Z"
        )
        parser.add_argument("--amount", type=_number, help="of a dividend: currency for each unit")
        parser.add_argument("--new-units", type=int, help="of a split: 3 in a 3:2 split")
        parser.add_argument("--old-units", type=int, help="of a split: 2 in a 3:2 split")
        parser.add_argument(
            "--cash-in-lieu-price", type=_number, help="of a split: currency for each new unit"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        names = (
            "external_id", "symbol", "kind", "ex_at", "amount", "new_units", "old_units", "cash_in_lieu_price"
        )  # fmt: skip
        try:
            action, is_new = record(NewCorporateAction(**{name: options[name] for name in names}), actor=None)
            applied = apply_corporate_action(action.id)
        except DomainError as error:
            lines = [f"{row['path']}: {row['message']}" for row in error.errors or ()]
            raise CommandError("\n".join([error.detail, *lines])) from error
        self.stdout.write(f"{'recorded' if is_new else 'known already'}: {action} ({action.id})")
        if not applied.reached:
            self.stdout.write("market time has not reached its ex time: it will be booked then")
            return
        self.stdout.write(f"booked for {applied.booked} portfolios, {applied.waiting} wait")
        waiting = action.bookings.filter(booked_at=None).order_by("portfolio_id")
        for portfolio_id, reason in waiting.values_list("portfolio_id", "waiting_for")[:100]:
            self.stdout.write(f"  {portfolio_id}: {reason or 'busy'}")
