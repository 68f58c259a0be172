"""Splits and cash dividends by REST, as docs.alpaca.markets (corporate actions) has them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from market.core.announced import Announced
from market.feed.providers.alpaca.pages import DEADLINE_SECONDS, HistoryUnreadable, Pages
from market.feed.providers.alpaca.reading import is_number
from market.feed.providers.alpaca.stream import DataKeys

PAGE_ROWS = 1_000
SYMBOLS_MAX = 100  # of one question: its address has a length
KINDS = {"forward_splits": "split", "reverse_splits": "split", "cash_dividends": "dividend"}
TYPES = "forward_split,reverse_split,cash_dividend"


class AlpacaAnnouncements:
    """`market.core.announced.Announces`."""

    def __init__(self, *, base_url: str, keys: DataKeys, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._pages = Pages(base_url=base_url, keys=keys, deadline_seconds=deadline_seconds)

    def announced(self, *, symbols: Sequence[str], first: date, last: date) -> Sequence[Announced]:
        """Raises FetchFailed, TimeoutError, HistoryUnreadable."""
        return [
            one
            for start in range(0, len(symbols), SYMBOLS_MAX)
            for one in self._of(symbols[start : start + SYMBOLS_MAX], first, last)
            if first <= one.ex_day <= last
        ]

    def _of(self, symbols: Sequence[str], first: date, last: date) -> Iterator[Announced]:
        query = {
            "symbols": ",".join(symbols), "types": TYPES, "start": first.isoformat(), "end": last.isoformat(),
            "limit": str(PAGE_ROWS),
        }  # fmt: skip
        wanted = set(symbols)
        for page in self._pages.of("/v1/corporate-actions", query):
            for kind, row in _rows(page):
                one = _read(kind, row)
                if one.symbol in wanted:
                    yield one


def _rows(page: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    told = page.get("corporate_actions")
    if not isinstance(told, dict):
        raise HistoryUnreadable("its corporate_actions are no object")
    for name, kind in KINDS.items():
        rows = told.get(name) or []
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise HistoryUnreadable(f"its {name} are no list of objects")
        for row in rows:
            yield kind, row


def _read(kind: str, row: Mapping[str, Any]) -> Announced:
    symbol, ex_day = row.get("symbol"), _day(row.get("ex_date"))
    if not isinstance(symbol, str):
        raise HistoryUnreadable("a corporate action has no symbol")
    if kind == "split":
        ratio = Fraction(_number(row, "new_rate")) / Fraction(_number(row, "old_rate"))
        return Announced(
            external_id=f"alpaca:split:{symbol}:{ex_day}", symbol=symbol, ex_day=ex_day,
            new_units=ratio.numerator, old_units=ratio.denominator,
        )  # fmt: skip
    sort = "special" if row.get("special") is True else "regular"
    return Announced(
        external_id=f"alpaca:dividend:{symbol}:{ex_day}:{sort}", symbol=symbol, ex_day=ex_day,
        amount=_number(row, "rate"),
    )  # fmt: skip


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
