from decimal import Decimal

from portfolios.core.limits import LIMIT_NAMES, tightest

NOTHING: dict[str, Decimal | None] = dict.fromkeys(LIMIT_NAMES)


def test_the_tightest_of_all_scopes_wins() -> None:
    found = tightest(
        [
            ("platform", 3, NOTHING | {"max_order_value": Decimal(100), "max_open_positions": Decimal(5)}),
            ("portfolio", 7, NOTHING | {"max_order_value": Decimal(500), "max_open_positions": Decimal(2)}),
        ]
    )
    assert found.get("max_order_value") == 100 and found.get("max_open_positions") == 2
    assert found.versions == "platform:3 portfolio:7"


def test_a_limit_that_nobody_sets_is_none_and_zero_is_a_limit() -> None:
    found = tightest([("platform", 1, NOTHING | {"max_daily_trades": Decimal(0)})])
    assert found.get("max_order_value") is None and found.get("max_daily_trades") == 0
