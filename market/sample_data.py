"""The shipped sample market: what `market/data/README.md` describes, read from the files."""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from market.core.adjustment import DayBar, RawBar, adjust
from market.core.calendar import TradingDay

DATA = Path(__file__).parent / "data"
BARS_FILE = DATA / "us_equities_daily.csv.gz"
CALENDAR_FILE = DATA / "calendar_days.csv.gz"


@dataclass(frozen=True, slots=True)
class SampleExchange:
    code: str
    name: str
    timezone: str


@dataclass(frozen=True, slots=True)
class SampleInstrument:
    symbol: str
    name: str
    exchange: str
    sector: str
    tick_size: Decimal = Decimal("0.0001")
    """finer than the cent of the real market: adjusted prices of the early years are a few dollars (see
    README)
    """
    lot_size: Decimal = Decimal(1)


EXCHANGES = (
    SampleExchange("XNYS", "New York Stock Exchange", "America/New_York"),
    SampleExchange("XNAS", "Nasdaq", "America/New_York"),
)
INSTRUMENTS = (
    SampleInstrument("AAPL", "Apple Inc.", "XNAS", "Technology"),
    SampleInstrument("FB", "Facebook, Inc.", "XNAS", "Communication"),
    SampleInstrument("GOOG", "Google Inc.", "XNAS", "Communication"),
    SampleInstrument("IBM", "International Business Machines Corporation", "XNYS", "Technology"),
    SampleInstrument("MSFT", "Microsoft Corporation", "XNAS", "Technology"),
)


def raw_bars(path: Path = BARS_FILE) -> Iterator[RawBar]:
    """The rows as traded, in file order."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        assert next(rows) == ["Ticker", "Date", "Open", "High", "Low", "Close", "Volume", "Adj Close"]
        for symbol, day, *numbers in rows:
            yield RawBar(symbol, date.fromisoformat(day), *(Decimal(number) for number in numbers))


def adjusted_bars(path: Path = BARS_FILE) -> list[DayBar]:
    """The rows adjusted for splits and dividends, in file order (by symbol, then day)."""
    return [adjust(bar) for bar in raw_bars(path)]


def calendar_days(path: Path = CALENDAR_FILE) -> Iterator[tuple[str, TradingDay]]:
    """(exchange code, trading day) for all days of the file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield (
                row["exchange"],
                TradingDay(
                    day=date.fromisoformat(row["day"]),
                    opens_at=datetime.fromisoformat(row["opens_at"]),
                    closes_at=datetime.fromisoformat(row["closes_at"]),
                ),
            )
