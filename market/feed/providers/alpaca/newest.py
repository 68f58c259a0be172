"""The newest quote of each symbol between two ticks: a slow database skips quotes, and never queues them.

What cannot be true must not take the place of what can, so odd quotes are kept apart (a bounded number of them) and
handed to the feed beside the good ones, which puts them into the quarantine. The feed alone decides what is believed;
here it is only decided what may be skipped.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from market.core.plausibility import FUTURE, number_fault, quote_fault
from market.core.ticks import QuoteTick
from market.feed.providers.alpaca.history import ZONE
from market.feed.providers.alpaca.reading import (
    SaidDay,
    SaidQuote,
    SaidStatus,
    SaidTrade,
    is_number,
    read,
)

ODD_MAX = 200
"""kept between two ticks; more are only counted here"""
QUOTE_STANDS = timedelta(seconds=60)
"""so long after a quote a trade makes the symbol's price fresh; then bid and ask say nothing of now, and it waits for a
quote, as its price grows old"""
ZERO = Decimal(0)
NEAR = Decimal("0.5"), Decimal("1.5")


@dataclass(frozen=True, slots=True)
class Drained:
    """`halted`: all symbols that are halted, None where no status has come since the last time."""

    quotes: tuple[QuoteTick, ...]
    odd: tuple[QuoteTick, ...]
    halted: frozenset[str] | None


@dataclass(slots=True)
class _Symbol:
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    quoted_at: datetime | None = None
    traded_at: datetime | None = None
    volume: Decimal = ZERO
    day: date | None = None
    """at the exchange, of the newest trade"""
    is_new: bool = False
    is_quoted: bool = False
    """newly, not only traded"""

    def begin(self, day: date) -> bool:
        """Whether this is the newest day, or a new one, of which nothing is counted yet."""
        if self.day is None or day > self.day:
            self.volume = ZERO if self.day is not None else self.volume
            self.day = day
        return day == self.day


class Newest:
    """Filled by the stream's thread, drained by the feed. `halted`: those that were when it began; `last`: the prices
    that were believed last, which hold until the first trade: a feed that starts anew in the middle of the day would
    else say the middle of whatever bid and ask there are, and stops would sell on it.

    A halt ends by its status, or by a trade after it that sets the price: nothing trades in a halt, and a status that
    was said while the line was cut is never said again.
    """

    def __init__(
        self,
        symbols: Iterable[str],
        *,
        utcnow: Callable[[], datetime],
        halted: Iterable[str] = (),
        last: Mapping[str, Decimal] | None = None,
    ) -> None:
        known = last or {}
        self._lock = threading.Lock()
        self._utcnow = utcnow
        self._symbols = {symbol: _Symbol(last=known.get(symbol)) for symbol in symbols}
        self._odd: deque[QuoteTick] = deque(maxlen=ODD_MAX)
        self._halted: dict[str, datetime] = dict.fromkeys(halted, utcnow())
        self._status_is_new = False
        self._days: dict[str, SaidDay] = {}

    def take(self, messages: Iterable[object]) -> None:
        latest = self._utcnow() + FUTURE
        with self._lock:
            for message in messages:
                said = read(message) if isinstance(message, Mapping) else None
                match said:
                    case SaidQuote():
                        self._quote(said, latest)
                    case SaidTrade():
                        self._trade(said, latest)
                    case SaidDay() if said.symbol in self._symbols:
                        self._days[said.symbol] = said
                        state = self._symbols[said.symbol]
                        is_readable = said.at.tzinfo is not None and is_number(said.volume)
                        if is_readable and state.begin(said.at.astimezone(ZONE).date()):
                            state.volume = said.volume
                    case SaidStatus() if said.halted is not None and said.symbol in self._symbols:
                        self._halt(said.symbol, said.halted)

    def drain(self) -> Drained:
        """What came since the last time."""
        with self._lock:
            quotes = []
            for symbol, state in self._symbols.items():
                if state.is_new and state.bid is not None and state.ask is not None:
                    assert state.quoted_at is not None, "who has a bid was quoted"
                    at = max(state.quoted_at, state.traded_at or state.quoted_at)
                    is_told = state.is_quoted or at - state.quoted_at <= QUOTE_STANDS
                    state.is_new = state.is_quoted = False
                    if not is_told:
                        continue
                    last = _last(state.last, state.bid, state.ask)
                    quotes.append(QuoteTick(symbol, state.bid, state.ask, last, state.volume, at))
            odd = tuple(self._odd)
            self._odd.clear()
            halted = frozenset(self._halted) if self._status_is_new else None
            self._status_is_new = False
            return Drained(tuple(quotes), odd, halted)

    def days(self) -> list[SaidDay]:
        """The newest bar of a day of each symbol, which may go on."""
        with self._lock:
            return list(self._days.values())

    def _halt(self, symbol: str, halted: bool) -> None:
        if halted:
            self._halted[symbol] = self._utcnow()
        else:
            self._resume(symbol)
        self._status_is_new = True

    def _resume(self, symbol: str) -> None:
        """What was quoted before is no market any more: it is told again once it is quoted again."""
        if self._halted.pop(symbol, None) is not None:
            state = self._symbols[symbol]
            state.bid = state.ask = None

    def _quote(self, said: SaidQuote, latest: datetime) -> None:
        state = self._symbols.get(said.symbol)
        last = state.last if state is not None and state.last is not None else _middle(said.bid, said.ask)
        volume = state.volume if state is not None else ZERO
        quote = QuoteTick(said.symbol, said.bid, said.ask, last, volume, said.at)
        is_odd = state is None or _is_odd(said.at, state.quoted_at, latest)
        if state is not None and not is_odd and _is_nobodys(said.bid, said.ask):
            state.bid, state.ask, state.quoted_at = None, None, said.at
            return
        if state is None or is_odd or quote_fault(quote)[0] is not None:
            self._odd.append(quote)
            return
        state.bid, state.ask, state.quoted_at = said.bid, said.ask, said.at
        state.is_new = state.is_quoted = True

    def _trade(self, said: SaidTrade, latest: datetime) -> None:
        state = self._symbols.get(said.symbol)
        if (
            state is None
            or _is_odd(said.at, state.traded_at, latest)
            or number_fault((("last", said.price),), said.size)[0] is not None
        ):
            self._odd.append(QuoteTick(said.symbol, said.price, said.price, said.price, said.size, said.at))
            return
        if state.begin(said.at.astimezone(ZONE).date()):  # until the day's first bar is said
            state.volume += said.size
        if said.sets_price:
            state.last, state.traded_at, state.is_new = said.price, said.at, True
            halted_at = self._halted.get(said.symbol)
            if halted_at is not None and said.at > halted_at:
                self._halt(said.symbol, False)


def _is_odd(at: datetime, known: datetime | None, latest: datetime) -> bool:
    return at.tzinfo is None or at > latest or (known is not None and at < known.astimezone(UTC))


def _is_nobodys(bid: Any, ask: Any) -> bool:
    """Zero is how an exchange says that nobody quotes that side, and IEX has such sides all day long. With one side
    only there is no price to order by, so what was quoted before is taken back, and grows old."""
    sides = bid, ask
    return (
        ZERO in sides
        and all(is_number(side) for side in sides)
        and all(side == ZERO or number_fault((("side", side),), ZERO)[0] is None for side in sides)
    )


def _last(last: Decimal | None, bid: Decimal, ask: Decimal) -> Decimal:
    """The last trade's price, unless bid and ask have left it far behind: then it says nothing of now, and a single
    wrong print would make every further quote look like a jump until somebody trades again."""
    is_near = last is not None and bid * NEAR[0] <= last <= ask * NEAR[1]
    return last if is_near and last is not None else _middle(bid, ask)


def _middle(bid: Any, ask: Any) -> Any:
    """Between bid and ask, as long as nobody has traded; where they are no numbers, what was said."""
    return (bid + ask) / 2 if is_number(bid) and is_number(ask) else bid
