from typing import Any

from django.core.management.base import BaseCommand, CommandError

from trading.services.verification import book_differences


class Command(BaseCommand):
    help = (
        "Recompute cash, positions with their cost, reservations, and the profit of trades, portfolios and sessions "
        "from the ledger and the executions, and walk the journal's chains; name each difference."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        differences = book_differences()
        for line in differences:
            self.stdout.write(line)
        if differences:
            raise CommandError(f"{len(differences)} differences")
        self.stdout.write("the books balance")
