import argparse
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from foundation.errors import DomainError
from market.core.adjustment import DayBar
from market.models import Instrument
from market.services.bar_files import ALIASES, BarFileError, day_bars, read_bars
from market.services.history import ROWS_MAX, import_bars
from market.services.instruments import add_instrument

REFUSED_SHOWN_MAX = 20


def _column(text: str) -> tuple[str, str]:
    ours, separator, theirs = text.partition("=")
    if not separator or ours not in ALIASES or not theirs:
        raise argparse.ArgumentTypeError(f"write NAME=COLUMN, with one of {', '.join(ALIASES)}; got {text!r}")
    return ours, theirs


class Command(BaseCommand):
    help = (
        "Import daily bars of the past from a CSV file (.csv, .csv.gz). Safe to repeat; never rewrites a bar."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--exchange", help="add symbols that are not known yet, as instruments of this exchange"
        )
        parser.add_argument("--symbol", help="of all rows, if the file has no column of symbols")
        parser.add_argument(
            "--adjusted-through", type=date.fromisoformat, metavar="DAY",
            help="splits and dividends until this day are in the prices; left out: they are as traded",
        )  # fmt: skip
        parser.add_argument(
            "--map", nargs="+", type=_column, default=[], metavar="NAME=COLUMN",
            help="how the file calls a column, like close='Last Price'; with adjusted_close=… all prices are "
            "adjusted by it",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        stored = same = refused = 0
        try:
            rows = read_bars(path, columns=dict(options["map"]), symbol=options["symbol"])
            for bars in _pieces(day_bars(rows, path=path)):
                if options["exchange"]:
                    self._add_instruments(bars, options["exchange"])
                result = import_bars(
                    bars, actor=None, source=f"file {path.name}"[:100],
                    adjusted_through=options["adjusted_through"],
                )  # fmt: skip
                for item in result.refused[: max(0, REFUSED_SHOWN_MAX - refused)]:
                    bar = bars[item.place]
                    self.stderr.write(f"{bar.symbol} {bar.day}: {item.name}: {item.message}")
                stored, same, refused = (
                    stored + result.stored, same + result.same, refused + len(result.refused)
                )  # fmt: skip
        except (BarFileError, DomainError, OSError) as error:
            raise CommandError(f"{error} {stored} bars were stored before.") from error
        self.stdout.write(f"{stored} bars stored, {same} were there already, {refused} refused.")
        if refused:
            raise CommandError(f"{refused} bars were refused; the first are shown above.")

    def _add_instruments(self, bars: list[DayBar], exchange: str) -> None:
        symbols = {bar.symbol for bar in bars}
        known = set(Instrument.objects.filter(symbol__in=symbols).values_list("symbol", flat=True))
        for symbol in sorted(symbols - known):
            add_instrument(symbol=symbol, exchange=exchange, actor=None)
            self.stdout.write(f"{symbol} added.")


def _pieces(bars: Iterable[DayBar]) -> Iterator[list[DayBar]]:
    """As many bars as one transaction takes, again and again."""
    left = iter(bars)
    while piece := list(islice(left, ROWS_MAX)):
        yield piece
