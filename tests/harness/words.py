"""A word of the rule language that nobody carries out, for tests of what becomes of such a rule."""

import pytest

from trading.core import support


@pytest.fixture
def without_limit_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a version whose language knew limit orders before anybody carried them out."""
    monkeypatch.setitem(support.VALUES, "order_type", ({"limit": "Limit orders"}, 'Use "market"'))
