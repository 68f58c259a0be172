"""Make the calendar file that is shipped with the sample data, so that a start need not load pandas."""

import argparse
import csv
import gzip
import io
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from market.sample_data import CALENDAR_FILE


class Command(BaseCommand):
    help = "Write trading days of exchanges (UTC, half days included), from exchange_calendars, to a file."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--exchanges", nargs="+", default=["XNYS", "XNAS"])
        parser.add_argument("--start", type=date.fromisoformat, default=date(2000, 3, 1))
        parser.add_argument("--end", type=date.fromisoformat, default=date(2013, 12, 31))
        parser.add_argument("--output", type=Path, default=CALENDAR_FILE)

    def handle(self, *args: Any, **options: Any) -> None:
        import exchange_calendars  # noqa: PLC0415  pulls pandas: only this command pays for it

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["exchange", "day", "opens_at", "closes_at"])
        count = 0
        for code in options["exchanges"]:
            calendar = exchange_calendars.get_calendar(
                code, start=options["start"].isoformat(), end=options["end"].isoformat()
            )
            for session in calendar.sessions:
                opens_at, closes_at = calendar.session_open(session), calendar.session_close(session)
                writer.writerow(
                    [code, session.date().isoformat(), opens_at.isoformat(), closes_at.isoformat()]
                )
                count += 1
        # mtime 0: the same days give the same bytes.
        options["output"].write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
        self.stdout.write(f"{count} trading days written to {options['output']}")
