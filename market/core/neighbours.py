"""Whether bars that fill a gap can be true, by what is known on either side of it.

A day's bar may be missing because the feed refused it as a jump. Whoever is asked for it may say the same wrong numbers
once more, and then nothing would look at them again. But a price that really jumped is met by what comes after. So a
bar is believed when all of its prices lie between the price before it and the one behind it, give or take the collar.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from market.core.adjustment import DayBar


def strays(
    bars: Sequence[DayBar], *, before: Decimal | None, after: Decimal | None, collar: Decimal
) -> list[DayBar]:
    """Bars of one symbol that are not believed, in their order.

    `before` and `after`: the last price known before them and the first behind; `collar`: percent. Where neither is
    known there is nothing to compare with, and none strays. From either side prices are handed on from bar to bar, as
    long as each is near the one before; so a bar that strays lends no belief to its neighbours. A split in between
    needs no record: its bars are met from the side that is in their units.
    """
    rows = sorted(bars, key=lambda bar: bar.day)
    earlier = _handed_on(((bar, bar.close) for bar in rows), before, collar)
    later = _handed_on(((bar, bar.open) for bar in reversed(rows)), after, collar)[::-1]
    return [
        bar for bar, *around in zip(rows, earlier, later, strict=True) if not _is_within(bar, around, collar)
    ]


def _handed_on(
    rows: Iterable[tuple[DayBar, Decimal]], price: Decimal | None, collar: Decimal
) -> list[Decimal | None]:
    """What is believed when each bar is come to."""
    known = []
    for bar, onward in rows:
        known.append(price)
        if price is not None and _is_within(bar, [price], collar):
            price = onward
    return known


def _is_within(bar: DayBar, around: Sequence[Decimal | None], collar: Decimal) -> bool:
    prices = [price for price in around if price is not None]
    if not prices:
        return True
    return bar.low * 100 >= min(prices) * (100 - collar) and bar.high * 100 <= max(prices) * (100 + collar)
