"""What a provider says is believed only where it can be true, symbol by symbol, before anything is stored.

Real feeds send crossed and zero quotes, repeat themselves, overtake themselves, and now and then are off by a factor of
a hundred. One such quote must neither end the feed nor become a price that rules act on: it is put aside with its
reason, and the others of the tick are published. Its symbol keeps its last price, which ages until it counts as stale,
and a rule never fires on that. So a quote that is refused wrongly costs time, and one that is believed wrongly money.

A *jump* is a move by more than the collar from the last price that was believed, splits counted out. Real ones happen
too, so a jump is believed when further quotes agree with it (see `_confirms`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from market.core.adjustment import PRICE_PLACES, VOLUME_PLACES
from market.core.plausibility import (
    EARLIEST,
    FUTURE,
    Fault,
    Reason,
    bar_fault,
    prices_of,
    quote_fault,
    shown,
    time_fault,
)
from market.core.ticks import BarTick, QuoteTick, Tick


@dataclass(frozen=True, slots=True)
class Rejected:
    """`payload`: the numbers as they were said, as text, for they need not be numbers."""

    reason: Reason
    symbol: str
    at: datetime | None
    detail: str
    payload: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sifted:
    """`tick`: what may be published, each quote with its own time; None when that would be nothing new at all."""

    tick: Tick | None
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class Split:
    at: datetime
    """market time from which prices are in new units"""
    new_units: int
    old_units: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A price that was believed, and when."""

    at: datetime
    price: Decimal


@dataclass(slots=True)
class _Candidate:
    """A price that jumped, and how many later quotes have agreed with it since `at`."""

    reference: Reference
    at: datetime
    confirmations: int = 0


class QuoteChecker:
    """Mutable and owned by one feed, which makes it anew from the tables whenever it starts or something failed.

    `jump_percentage`: the collar; `confirmations`: how many further quotes a jump needs to be believed; `splits`: of
    each symbol that has any. The memory of jumps that wait to be believed does not outlive it.
    """

    def __init__(
        self,
        *,
        symbols: Iterable[str],
        jump_percentage: Decimal,
        confirmations: int,
        splits: Mapping[str, Sequence[Split]],
        as_of: datetime | None,
    ) -> None:
        assert jump_percentage > 0 and confirmations >= 0
        self._symbols = frozenset(symbols)
        self._collar = jump_percentage
        self._confirmations = confirmations
        self._splits = splits
        self._as_of = as_of
        self._quotes: dict[str, QuoteTick] = {}
        self._bars: dict[str, Reference] = {}
        self._candidates: dict[str, _Candidate] = {}
        self._said_halted: frozenset[str] = frozenset()
        self._halted: frozenset[str] = frozenset()

    @property
    def halted(self) -> frozenset[str]:
        """Symbols whose trading is halted at the newest tick, or that have not been quoted since it was: their last
        bid and ask are of before the halt, and nobody trades at them any more."""
        return self._halted

    def last_quotes(self) -> list[tuple[QuoteTick, Sequence[Split]]]:
        """The newest quote of each symbol that was believed, and the symbol's splits."""
        return [(quote, self._splits.get(symbol, ())) for symbol, quote in self._quotes.items()]

    def know_quote(self, quote: QuoteTick, *, halted: bool = False) -> None:
        """A quote that is stored already; it has its own time."""
        assert quote.at is not None
        self._quotes[quote.symbol] = quote
        if halted:
            self._halted |= {quote.symbol}
            self._said_halted |= {quote.symbol}

    def know_bar(self, symbol: str, bar: Reference) -> None:
        """The symbol's newest stored bar: its time and its close."""
        self._bars[symbol] = bar

    def sift(self, tick: Tick, *, received_at: datetime) -> Sifted:
        """Tell what is believable from what is not. `received_at` is the clock's time, which bounds market time.

        Of several good quotes of a symbol the newest is kept. A tick that is older than the newest one gives what its
        quotes have that is newer for their own symbols, at the newest tick's time.
        """
        rejected: list[Rejected] = []
        latest = received_at + FUTURE
        quotes: dict[str, QuoteTick] = {}
        for quote in tick.quotes:
            at = tick.at if quote.at is None else quote.at
            reason, detail = self._quote_fault(quote, at, latest)
            if reason is None:
                quotes[quote.symbol] = self._quotes[quote.symbol] = _stamped(quote, at)
            else:
                rejected.append(_rejected(reason, quote, at, detail, ("bid", "ask", "last", "volume")))
        bars = []
        for bar in tick.bars:
            at = tick.at if bar.at is None else bar.at
            reason, detail = self._bar_fault(bar, at, latest)
            if reason is None:
                bars.append(_rounded(bar, at))
                self._bars[bar.symbol] = Reference(at, bar.close)
            else:
                rejected.append(
                    _rejected(reason, bar, at, detail, ("open", "high", "low", "close", "volume"))
                )
        if tick.halted is not None:
            self._said_halted = tick.halted & self._symbols
        halted = self._said_halted | (self._halted - quotes.keys())
        published = self._published(tick, list(quotes.values()), bars, halted, latest)
        return Sifted(published, tuple(rejected))

    def _published(
        self,
        tick: Tick,
        quotes: list[QuoteTick],
        bars: list[BarTick],
        halted: frozenset[str],
        latest: datetime,
    ) -> Tick | None:
        said = [quote.at for quote in quotes] + [bar.at for bar in bars]
        times = [at for at in said if at is not None]
        if not time_fault(tick.at, latest)[0]:
            times.append(tick.at)
        if not times:
            return None
        at = max(times) if self._as_of is None else max(self._as_of, *times)
        if at == self._as_of and not quotes and not bars and halted == self._halted:
            return None
        changed = halted if halted != self._halted else None
        self._as_of, self._halted = at, halted
        return Tick(at=at, quotes=tuple(quotes), bars=tuple(bars), halted=changed)

    def _quote_fault(self, quote: QuoteTick, at: datetime, latest: datetime) -> Fault:
        fault = self._common_fault(quote.symbol, at, latest)
        if fault[0] is None:
            fault = quote_fault(quote)
        if fault[0] is not None:
            return fault
        known = self._quotes.get(quote.symbol)
        if known is not None:
            assert known.at is not None
            if at < known.at:
                return (
                    Reason.OUT_OF_ORDER,
                    f"{at.isoformat()} is before the last quote of {known.at.isoformat()}",
                )
            if at == known.at and _stamped(quote, at) == known:
                return Reason.DUPLICATE, "the same quote once more"
        return self._jump_fault(quote, at)

    def _bar_fault(self, bar: BarTick, at: datetime, latest: datetime) -> Fault:
        fault = self._common_fault(bar.symbol, at, latest)
        if fault[0] is None:
            fault = bar_fault(bar)
        if fault[0] is not None:
            return fault
        known = self._bars.get(bar.symbol)
        if known is not None and at == known.at:
            return Reason.DUPLICATE, "the bar of this time is known"
        if known is not None and at < known.at:
            return Reason.OUT_OF_ORDER, f"{at.isoformat()} is before the last bar of {known.at.isoformat()}"
        return self._bar_jump_fault(bar, at)

    def _common_fault(self, symbol: str, at: datetime, latest: datetime) -> Fault:
        if symbol not in self._symbols:
            return Reason.UNKNOWN_SYMBOL, "no active instrument has this symbol"
        return time_fault(at, latest)

    def _jump_fault(self, quote: QuoteTick, at: datetime) -> Fault:
        reference = self._reference(quote.symbol, at)
        sides = (quote.bid, quote.last, quote.ask)
        if reference is None or self._agrees(sides, reference.price):
            self._candidates.pop(quote.symbol, None)
            return None, ""
        if self._confirms(quote, at, sides):
            del self._candidates[quote.symbol]
            return None, ""
        percentage = f"{self._collar.normalize():f} %"
        return Reason.JUMP, f"more than {percentage} from {shown(reference.price)}, the last price believed"

    def _confirms(self, quote: QuoteTick, at: datetime, sides: Sequence[Decimal]) -> bool:
        """Whether this quote is the last one that its jump needed; else it counts, or begins another jump.

        A quote confirms when all of its sides lie within the collar of the first one's last price, at a later time.
        """
        waiting = self._candidates.get(quote.symbol)
        if waiting is not None:
            price = self._in_units_of(quote.symbol, waiting.reference, at).price
            if self._agrees(sides, price):
                if at > waiting.at:
                    waiting.at = at
                    waiting.confirmations += 1
                return waiting.confirmations >= self._confirmations
        self._candidates[quote.symbol] = _Candidate(Reference(at, quote.last), at)
        return self._confirmations == 0

    def _bar_jump_fault(self, bar: BarTick, at: datetime) -> Fault:
        """Each price of a bar must be within the collar of the last bar's close or of the last quote.

        So a real crash is in its bar once its quotes were believed; and what is refused here is a gap, which is filled
        from the provider's history, that is, from what it still says later.
        """
        known, quote = self._bars.get(bar.symbol), self._quotes.get(bar.symbol)
        near = [] if known is None else [self._in_units_of(bar.symbol, known, at).price]
        if quote is not None and quote.at is not None:
            near.append(self._in_units_of(bar.symbol, Reference(quote.at, quote.last), at).price)
        for name, value in prices_of(bar):
            if near and not any(self._agrees((value,), price) for price in near):
                close_to = " and ".join(shown(price) for price in near)
                return Reason.JUMP, f"{name} {shown(value)} is far from {close_to}"
        return None, ""

    def _reference(self, symbol: str, at: datetime) -> Reference | None:
        """The newest price that was believed, in units of the moment."""
        quote, bar = self._quotes.get(symbol), self._bars.get(symbol)
        known = [] if bar is None else [bar]
        if quote is not None and quote.at is not None:
            known.append(Reference(quote.at, quote.last))
        if not known:
            return None
        return self._in_units_of(symbol, max(known, key=lambda reference: reference.at), at)

    def _in_units_of(self, symbol: str, reference: Reference, at: datetime) -> Reference:
        """A price of before a split in units of after it."""
        price = reference.price
        for split in self._splits.get(symbol, ()):
            if reference.at < split.at <= at:
                price = price * split.old_units / split.new_units
        return reference if price is reference.price else replace(reference, price=price)

    def _agrees(self, prices: Iterable[Decimal], with_price: Decimal) -> bool:
        return all(abs(price - with_price) * 100 <= self._collar * with_price for price in prices)


def _stamped(quote: QuoteTick, at: datetime) -> QuoteTick:
    """In the places of the tables, with its own time."""
    return QuoteTick(
        symbol=quote.symbol,
        bid=quote.bid.quantize(PRICE_PLACES),
        ask=quote.ask.quantize(PRICE_PLACES),
        last=quote.last.quantize(PRICE_PLACES),
        volume=quote.volume.quantize(VOLUME_PLACES),
        at=at,
    )


def _rounded(bar: BarTick, at: datetime) -> BarTick:
    return BarTick(
        symbol=bar.symbol,
        open=bar.open.quantize(PRICE_PLACES),
        high=bar.high.quantize(PRICE_PLACES),
        low=bar.low.quantize(PRICE_PLACES),
        close=bar.close.quantize(PRICE_PLACES),
        volume=bar.volume.quantize(VOLUME_PLACES),
        at=at,
    )


def _rejected(
    reason: Reason, said: QuoteTick | BarTick, at: datetime, detail: str, names: Sequence[str]
) -> Rejected:
    payload = {name: shown(getattr(said, name)) for name in names}
    usable = at if at.tzinfo is not None and at >= EARLIEST else None
    return Rejected(reason, said.symbol, usable, detail, payload)
