"""What companies do to their shares, by REST, as docs.alpaca.markets (corporate actions) has it.

All kinds are asked for, for others than splits and dividends move prices, too, and somebody must be told of them.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from market.core.announced import Announced
from market.feed.providers.alpaca.pages import DEADLINE_SECONDS, HistoryUnreadable, Pages
from market.feed.providers.alpaca.reading import is_number, is_symbol
from market.feed.providers.alpaca.stream import DataKeys

PAGE_ROWS = 1_000
SYMBOLS_MAX = 100  # of one question: its address has a length
PROCESSED_BEFORE, PROCESSED_AFTER = timedelta(days=14), timedelta(days=366)
"""how far from its ex day Alpaca may process what is announced, for `start` and `end` are of that day: a split's is its
ex day, a dividend's that of its payment, which is weeks later and, of some foreign companies, most of a year"""
SPLITS, STOCK, CASH = ("forward_splits", "reverse_splits"), "stock_dividends", "cash_dividends"
SYMBOL_NAMES = "symbol", "old_symbol", "source_symbol", "acquiree_symbol"
"""how other kinds call the share whose price they change"""
DAY_NAMES = "ex_date", "effective_date", "process_date"
KIND_LENGTH_MAX = 40


class AlpacaAnnouncements:
    """`market.core.announced.Announces`."""

    def __init__(self, *, base_url: str, keys: DataKeys, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._pages = Pages(base_url=base_url, keys=keys, deadline_seconds=deadline_seconds)

    def announced(self, *, symbols: Sequence[str], first: date, last: date) -> Sequence[Announced]:
        """Of symbols that Alpaca may have. Raises FetchFailed, TimeoutError, HistoryUnreadable."""
        symbols = [symbol for symbol in symbols if is_symbol(symbol)]
        return [
            one
            for start in range(0, len(symbols), SYMBOLS_MAX)
            for one in self._of(symbols[start : start + SYMBOLS_MAX], first, last)
        ]

    def _of(self, symbols: Sequence[str], first: date, last: date) -> Iterator[Announced]:
        query = {
            "symbols": ",".join(symbols), "limit": str(PAGE_ROWS),
            "start": (first - PROCESSED_BEFORE).isoformat(), "end": (last + PROCESSED_AFTER).isoformat(),
        }  # fmt: skip
        wanted = set(symbols)
        for page in self._pages.of("/v1/corporate-actions", query):
            for kind, row in _rows(page):
                if kind not in (*SPLITS, STOCK, CASH):
                    yield from (one for one in _others(kind, row, wanted) if first <= one.ex_day <= last)
                    continue
                if not first <= _day(row.get("ex_date")) <= last:
                    continue  # whatever else it says: more than is wanted is told
                one = _read(kind, row)
                if one.symbol in wanted:
                    yield one


def _rows(page: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    told = page.get("corporate_actions")
    if not isinstance(told, dict):
        raise HistoryUnreadable("its corporate_actions are no object")
    for kind, rows in told.items():
        if rows is None:
            continue
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise HistoryUnreadable(f"its {kind[:KIND_LENGTH_MAX]} are no list of objects")
        for row in rows:
            yield kind, row


def _read(kind: str, row: Mapping[str, Any]) -> Announced:
    symbol, ex_day = row.get("symbol"), _day(row.get("ex_date"))
    if not isinstance(symbol, str):
        raise HistoryUnreadable("a corporate action has no symbol")
    if kind != CASH:
        ratio = _units(kind, row)
        return Announced(
            external_id=f"alpaca:split:{symbol}:{ex_day}", symbol=symbol, ex_day=ex_day,
            new_units=ratio.numerator, old_units=ratio.denominator,
        )  # fmt: skip
    return Announced(
        external_id=f"alpaca:dividend:{_identity(row, symbol, ex_day)}", symbol=symbol, ex_day=ex_day,
        amount=_number(row, "rate"),
    )  # fmt: skip


def _units(kind: str, row: Mapping[str, Any]) -> Fraction:
    """New ones for one old. A stock dividend's rate is what comes to each share that is held (0.05: five percent)."""
    if kind == STOCK:
        return 1 + Fraction(_number(row, "rate"))
    return Fraction(_number(row, "new_rate")) / Fraction(_number(row, "old_rate"))


def _others(kind: str, row: Mapping[str, Any], wanted: Set[str]) -> Iterator[Announced]:
    """What it is to those of our symbols that it names; it is in words only, so nothing but its day must be right."""
    name = kind[:KIND_LENGTH_MAX].removesuffix("s").replace("_", " ") if kind.isidentifier() else "surprise"
    named = {symbol for key in SYMBOL_NAMES if isinstance(symbol := row.get(key), str)}
    for symbol in sorted(named & wanted):
        ex_day = _day(next((text for key in DAY_NAMES if (text := row.get(key)) is not None), None))
        yield Announced(
            external_id=f"alpaca:{name}:{symbol}:{ex_day}", symbol=symbol, ex_day=ex_day, other=f"a {name}"
        )


def _identity(row: Mapping[str, Any], symbol: str, ex_day: date) -> str:
    """Alpaca's own, for a company may pay several dividends of the same sort for one ex day."""
    told = row.get("id")
    if isinstance(told, str) and told:
        return told
    return f"{symbol}:{ex_day}:{'special' if row.get('special') is True else 'regular'}"


def _number(row: Mapping[str, Any], name: str) -> Decimal:
    value: Any = row.get(name)
    if not is_number(value) or not value > 0:
        raise HistoryUnreadable(f"a corporate action's {name} is no positive number")
    return Decimal(value)


def _day(text: object) -> date:
    try:
        return date.fromisoformat(text) if isinstance(text, str) else date.min
    except ValueError:
        raise HistoryUnreadable("a corporate action's ex_date is no day") from None
