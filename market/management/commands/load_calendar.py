import argparse
from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from foundation.errors import DomainError
from market.models import CalendarDay
from market.services.calendars import AHEAD, load_calendar, present

BEHIND = timedelta(days=2 * 365)


class Command(BaseCommand):
    help = (
        "Make exchanges known with their trading days (half days included; 24/7 is an exchange that never closes). "
        "Safe to repeat; a running feed notices."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--exchanges", nargs="+", required=True, help="codes, like XNYS XLON 24/7")
        parser.add_argument(
            "--since", type=date.fromisoformat, help="left out: two years back, or where the calendar ends"
        )
        parser.add_argument("--until", type=date.fromisoformat, help="left out: a year ahead")

    def handle(self, *args: Any, **options: Any) -> None:
        today = present().date()
        until = options["until"] or today + AHEAD
        try:
            for code in options["exchanges"]:
                since = options["since"] or self._default_start(code, today)
                change = load_calendar(code=code, first=min(since, until), last=until, actor=None)
                self.stdout.write(
                    f"{code}: {change.added} days added, {change.changed} changed, {change.removed} removed."
                )
        except DomainError as error:
            raise CommandError(error.detail) from error

    def _default_start(self, code: str, today: date) -> date:
        newest = CalendarDay.objects.filter(exchange_id=code).order_by("-day").first()
        return today - BEHIND if newest is None else min(newest.day, today)
