"""Reading bars from files as other programs write them: CSV, CSV in gzip, or Parquet, a bar a row.

Rows come one by one, so a file may be as long as it likes. What cannot be read ends the reading with the place and the
cure: half a file taken in silence would be a hole in history.
"""

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any, TextIO

from django.utils.module_loading import import_string

from market.core.adjustment import DayBar, RawBar, adjust

ALIASES: Mapping[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker"),
    "day": ("day", "date", "datetime", "timestamp", "time"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
    "adjusted_close": (),
}
"""Column of ours -> how others call it, in whatever case. An adjusted close is used only when it is named."""
OPTIONAL = ("symbol", "volume", "adjusted_close")
PARQUET = ".parquet"
SUFFIXES = (".csv", ".csv.gz", PARQUET)
CELL_CHARACTERS_MAX = 100


class BarFileError(ValueError):
    """The file cannot be read as bars; the message names line, column and cure."""


@dataclass(frozen=True, slots=True)
class FileBar:
    """`at`: the moment, where the file tells a time of day; None for a bar of a whole day. `midnight`: of a whole day
    that is written as its midnight with a zone: in a file of moments it is one of them."""

    line: int
    bar: DayBar
    at: datetime | None = None
    midnight: datetime | None = None


def read_bars(
    path: Path, *, columns: Mapping[str, str] | None = None, symbol: str | None = None
) -> Iterator[FileBar]:
    """The bars in file order.

    `columns`: how the file calls a column of ours, where ALIASES do not say; with an `adjusted_close` the other
    numbers are adjusted as by `market.core.adjustment.adjust`. `symbol`: of all rows, where the file has no such
    column. Without a column of volumes they are 0. Raises BarFileError, OSError.
    """
    if not str(path).endswith(SUFFIXES):
        raise BarFileError(f"{path}: the name must end in {' or '.join(SUFFIXES)}.")
    rows = _parquet_rows(path) if str(path).endswith(PARQUET) else _csv_rows(path)
    _, header = next(rows, (0, []))
    if not header:
        raise BarFileError(f"{path}: the file is empty; its first line must name the columns.")
    places = _places(path, header, columns or {}, symbol)
    for line, cells in rows:
        if cells:
            yield _bar(path, line, cells, places, symbol)


def day_bars(rows: Iterable[FileBar], *, path: Path) -> Iterator[DayBar]:
    """The same for whole days only. BarFileError for a bar with a time of day."""
    for row in rows:
        if row.at is not None:
            raise BarFileError(
                f"{path}, line {row.line}: the bar is of {row.at.time()}, but only bars of whole days are stored; "
                "sum them up to days first."
            )
        yield row.bar


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each row with its line; the first has the columns' names."""
    with _opened(path) as file:
        try:
            rows = csv.reader(file, strict=True)
            for cells in rows:
                yield rows.line_num, cells
        except (csv.Error, EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
            raise BarFileError(f"{path}: {error}.") from error


def _parquet_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The same, one row group in memory at a time: numbers as the shortest text that gives them back.

    The library is heavy (it loads pandas), so it is loaded where it is needed.
    """
    open_parquet = import_string("fastparquet.ParquetFile")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    try:
        with ExitStack() as opened:  # it leaves files open

            def open_file(name: str, mode: str = "rb") -> IO[Any]:
                return opened.enter_context(Path(name).open(mode))

            file = open_parquet(str(path), open_with=open_file)
            yield 1, [str(name) for name in file.columns]
            line = 1
            for group in file.iter_row_groups(columns=file.columns, index=False):
                for row in zip(*(group[name].tolist() for name in file.columns), strict=True):
                    line += 1
                    yield line, [str(cell) for cell in row]
    except Exception as error:  # a damaged file makes it raise whatever it likes
        raise BarFileError(f"{path}: it is no Parquet file that can be read: {error!r}.") from error


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    else:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file


def _places(path: Path, header: list[str], columns: Mapping[str, str], symbol: str | None) -> dict[str, int]:
    """Column of ours -> its place in a row."""
    unknown = sorted(set(columns) - set(ALIASES))
    if unknown:
        raise BarFileError(f"There is no column {unknown[0]!r} to be named; there are: {', '.join(ALIASES)}.")
    names = [name.strip().lower() for name in header]
    places: dict[str, int] = {}
    for ours, aliases in ALIASES.items():
        wanted = (columns[ours].strip().lower(),) if ours in columns else aliases
        found = [place for place, name in enumerate(names) if name in wanted]
        if len(found) > 1:
            raise BarFileError(f"{path}: several columns could be {ours!r}; say which one by its name.")
        if found:
            places[ours] = found[0]
        elif ours in columns:
            raise BarFileError(
                f"{path}: there is no column {columns[ours]!r}; there are: {', '.join(header)}."
            )
        elif ours not in OPTIONAL:
            raise BarFileError(
                f"{path}: no column is {ours!r} (or {', '.join(aliases)}); there are: {', '.join(header)}."
            )
    if "symbol" not in places and symbol is None:
        raise BarFileError(f"{path}: there is no column of symbols; say whose bars they are.")
    return places


def _bar(path: Path, line: int, cells: list[str], places: Mapping[str, int], symbol: str | None) -> FileBar:
    def cell(name: str) -> str:
        try:
            text = cells[places[name]].strip()
        except IndexError:
            raise BarFileError(f"{path}, line {line}: the row ends before {name}.") from None
        if not 0 < len(text) <= CELL_CHARACTERS_MAX:
            raise BarFileError(
                f"{path}, line {line}: {name} must have 1 to {CELL_CHARACTERS_MAX} characters."
            )
        return text

    def number(name: str) -> Decimal:
        text = cell(name)
        try:
            return Decimal(text)
        except InvalidOperation:
            raise BarFileError(f"{path}, line {line}: {name} is no number: {text!r}.") from None

    day, moment = _moment(path, line, cell("day"))
    bar = DayBar(
        symbol=cell("symbol") if "symbol" in places else symbol or "",
        day=day,
        open=number("open"),
        high=number("high"),
        low=number("low"),
        close=number("close"),
        volume=number("volume") if "volume" in places else Decimal(0),
    )
    if "adjusted_close" in places:
        bar = _adjusted(path, line, bar, number("adjusted_close"))
    if moment is not None and moment.time() == time.min:
        return FileBar(line, bar, midnight=moment.astimezone(UTC))
    return FileBar(line, bar, moment.astimezone(UTC) if moment is not None else None)


def _adjusted(path: Path, line: int, bar: DayBar, adjusted_close: Decimal) -> DayBar:
    numbers = (bar.open, bar.high, bar.low, bar.close, bar.volume, adjusted_close)
    try:
        if not all(number.is_finite() for number in numbers):
            raise ValueError("all numbers must be finite")
        return adjust(RawBar(bar.symbol, bar.day, *numbers))
    except (ValueError, InvalidOperation) as error:
        raise BarFileError(f"{path}, line {line}: cannot be adjusted: {error}.") from error


def _moment(path: Path, line: int, text: str) -> tuple[date, datetime | None]:
    """A day, and the moment in the zone that it is written with. Midnight is how some write a day."""
    try:
        if len(text) <= 10:
            return date.fromisoformat(text), None
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BarFileError(
            f"{path}, line {line}: {text!r} is no day like 2004-01-02, nor a time like 2004-01-02T14:30:00Z."
        ) from None
    if moment.tzinfo is None:
        if moment.time() == time.min:
            return moment.date(), None
        raise BarFileError(f"{path}, line {line}: the time {text!r} has no zone; write it like {text}Z.")
    return (moment if moment.time() == time.min else moment.astimezone(UTC)).date(), moment
