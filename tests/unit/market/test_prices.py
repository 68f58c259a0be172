"""At which prices something may be valued."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from market.core.prices import STALE_SECONDS, anything_fresh, last_prices
from market.core.snapshot import MarketSnapshot

AS_OF = datetime(2010, 3, 1, 15, 0, tzinfo=UTC)
NAN = float("nan")


def snapshot(*, prices: list[float], received: list[float], is_open: list[bool]) -> MarketSnapshot:
    count = len(prices)
    nothing = np.full(count, NAN)
    return MarketSnapshot(
        version=1, as_of=AS_OF, symbols=tuple(f"S{place}" for place in range(count)),
        instrument_ids=tuple(range(10, 10 + count)), fields=("price",), values=np.array([prices]),
        completed=np.full((2, 1, count), NAN), market_time=nothing, price_received_at=np.array(received), bid=nothing,
        ask=nothing, is_open=np.array(is_open), opens_at=nothing, closes_at=nothing, recommendations={},
    )  # fmt: skip


def known(*, received: float, is_open: bool, price: float = 10.5) -> bool:
    found = last_prices(
        snapshot(prices=[price], received=[received], is_open=[is_open]), now_epoch=STALE_SECONDS
    )
    assert found.prices == [Decimal("10.5")] * len(found.instrument_ids)
    return found.instrument_ids == [10]


def test_a_price_counts_until_it_is_stale() -> None:
    assert known(received=0.0, is_open=True)
    assert not known(received=-0.001, is_open=True)


def test_the_last_price_of_a_closed_market_is_what_it_is_worth() -> None:
    assert known(received=-1e6, is_open=False)


def test_what_has_no_price_has_none() -> None:
    for price in (NAN, 0.0, -1.0, float("inf")):
        assert not known(received=0.0, is_open=True, price=price)
        assert not known(received=0.0, is_open=False, price=price)


def test_each_symbol_is_judged_by_itself() -> None:
    now = 1_000.0
    mixed = snapshot(prices=[1.0, 2.0, 3.0], received=[0.0, now, 0.0], is_open=[True, True, False])
    found = last_prices(mixed, now_epoch=now)
    assert (found.at, found.instrument_ids, found.prices) == (AS_OF, [11, 12], [Decimal(2), Decimal(3)])
    assert anything_fresh(mixed, now_epoch=now)
    assert not anything_fresh(mixed, now_epoch=now + STALE_SECONDS + 1)
