from typing import Any

from django.core.management.base import BaseCommand

from market.services.load import load_sample_market


class Command(BaseCommand):
    help = "Load the shipped sample market (exchanges, calendar, instruments, history). Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        result = load_sample_market()
        self.stdout.write(
            f"Sample market: {result.exchanges} exchanges, {result.calendar_days} trading days, "
            f"{result.instruments} instruments and {result.bars} bars added."
        )
