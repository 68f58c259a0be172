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


def test_a_sessions_limit_tightens_what_others_set_and_permits_nothing_by_itself() -> None:
    alone, both = Decimal(5), Decimal(10)
    session = ("session", 2, NOTHING | {"max_order_value": both, "max_open_positions": alone})
    found = tightest([("platform", 1, NOTHING | {"max_order_value": Decimal(20)}), session])
    assert found.get("max_order_value") == both
    assert found.get("max_open_positions") is None, "as if nobody had set it"
    assert found.values["max_open_positions"] == alone, "breakers trip at it all the same"


def test_an_instruments_limit_permits_and_the_sessions_is_held_to_it() -> None:
    session = ("session", 2, NOTHING | {"max_order_value": Decimal(10), "min_volume": Decimal(7)})
    found = tightest([("platform", 1, NOTHING), session])
    own = found.tightened_by(("instrument", 3, NOTHING | {"max_order_value": Decimal(20)}))
    assert own.get("max_order_value") == 10, "the session's is the tighter one"
    assert own.get("min_volume") is None
    own = found.tightened_by(("instrument", 3, NOTHING | {"max_order_value": Decimal(4)}))
    assert own.get("max_order_value") == 4
    assert found.tightened_by(None).get("max_order_value") is None
