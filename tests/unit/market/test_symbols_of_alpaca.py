"""Which symbols can be asked for at all: one that is malformed spoils the question for all the others."""

import pytest

from market.feed.providers.alpaca import is_symbol


@pytest.mark.parametrize("symbol", ["F", "AAPL", "GOOGL", "BRK.B", "BAC.PRK", "IFN.RTWI", "XYZ.WS.A"])
def test_stocks_their_classes_preferred_shares_rights_and_warrants(symbol: str) -> None:
    assert is_symbol(symbol)


@pytest.mark.parametrize(
    "symbol", ["^VIX", "BTC/USD", "BRK-B", "BRK/B", "aapl", "GME1", "AAPL\n", "A.", ".B", ""]
)
def test_indices_coins_other_spellings_and_garbage(symbol: str) -> None:
    assert not is_symbol(symbol)
