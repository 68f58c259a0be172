"""Orders of every type: stored as they were wanted, reserved by what they may really pay, refused if they cannot be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from foundation.errors import InvalidInput, RecordedRefusal
from market.services import snapshots
from portfolios.models import BrokerCredential
from tests.harness.trading import OPENING, Desk, Market
from tests.harness.working import at_alpaca, limit_at, place, stop_at, works
from trading.brokers import connections
from trading.brokers.protocol import Capabilities
from trading.core.orders import MARKET_DAY, OrderTerms, OrderType, TimeInForce
from trading.models import AutoTrade
from trading.services.expiry import expires_at
from trading.services.manual import preview_trade

pytestmark = pytest.mark.integration
D = Decimal
LAST_SECOND = datetime(2010, 3, 1, 23, 59, 59, tzinfo=UTC)
"""the test exchange's close of the day"""


def refusal(desk: Desk, terms: OrderTerms, **more: Any) -> str:
    with pytest.raises(RecordedRefusal) as caught:
        place(desk, terms, **more)
    return caught.value.detail


def terms(order_type: str, **more: Any) -> OrderTerms:
    return OrderTerms(order_type=OrderType(order_type), **{key: D(value) for key, value in more.items()})


ALL_TYPES = [
    terms("market"),
    terms("limit", limit_price="90"),
    terms("stop", stop_price="110"),
    terms("stop_limit", stop_price="110", limit_price="111"),
    terms("trailing_stop", trail_percentage="5"),
]


@pytest.mark.parametrize("force", list(TimeInForce))
@pytest.mark.parametrize("wanted", ALL_TYPES, ids=lambda wanted: str(wanted.order_type))
def test_each_type_is_stored_as_it_was_wanted(desk: Desk, wanted: OrderTerms, force: TimeInForce) -> None:
    wanted = OrderTerms(**{**vars(wanted), "time_in_force": force})
    trade = AutoTrade.objects.get(pk=place(desk, wanted).pk)
    stored = OrderTerms(
        OrderType(trade.order_type), TimeInForce(trade.time_in_force), trade.limit_price, trade.stop_price,
        trade.trail_percentage,
    )  # fmt: skip
    assert stored == wanted
    assert trade.expires_at == (LAST_SECOND if force == TimeInForce.DAY else None)


def test_a_day_order_decided_at_the_close_is_the_days(desk: Desk, market: Market) -> None:
    market.as_of = LAST_SECOND - timedelta(minutes=1)
    market.tick()
    assert desk.market.as_of == LAST_SECOND
    assert place(desk, limit_at(90)).expires_at == LAST_SECOND, "the close is the closing auction"


def test_without_a_session_today_or_after_its_close_the_next_one_counts(desk: Desk, market: Market) -> None:
    """The test exchange has no calendar: the next one is taken to be a day later."""
    snapshot = snapshots.current()
    assert snapshot is not None
    closed = replace(snapshot, closes_at=np.full(3, np.nan))
    expected = snapshot.as_of + timedelta(days=1)
    assert expires_at(MARKET_DAY, instrument=market.instruments[0], snapshot=closed) == expected
    over = replace(snapshot, closes_at=np.full(3, snapshot.as_of.timestamp() - 0.001))
    assert expires_at(MARKET_DAY, instrument=market.instruments[0], snapshot=over) == expected


# At 100 the ask is 100.10; slippage and fee are one basis point, the cushion two hundred.
@pytest.mark.parametrize(
    ("wanted", "reserved"),
    [
        (limit_at(90), "900.09"),
        (limit_at(100), "1000.1"),
        (terms("stop_limit", stop_price="110", limit_price="111"), "1110.111"),
        (stop_at(110), "1122.222211"),  # 110 × 1.0201 and the fee of that
        (MARKET_DAY, "1021.2222120100"),
        (terms("trailing_stop", trail_percentage="10"), "1123.3444332110"),
    ],
    ids=str,
)
def test_a_buy_reserves_what_it_may_really_pay(desk: Desk, wanted: OrderTerms, reserved: str) -> None:
    place(desk, wanted)
    assert desk.refresh().portfolio.reserved_cash == round(D(reserved), 8)


def test_every_fault_is_named_with_its_cure(desk: Desk) -> None:
    with pytest.raises(InvalidInput) as caught:
        place(
            desk, OrderTerms(order_type=OrderType.STOP_LIMIT, limit_price=D("90.005"), trail_percentage=D(5))
        )
    faults = {row["path"]: row for row in caught.value.errors or ()}
    assert set(faults) == {"limit_price", "stop_price", "trail_percentage"}
    assert "multiple of the tick" in faults["limit_price"]["message"]
    assert all(row["suggestion"] for row in faults.values())
    assert desk.trades() == []


def test_what_the_broker_cannot_do_is_refused_with_what_it_could(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = Capabilities(
        order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}), times_in_force=frozenset({TimeInForce.DAY}),
        fractional=False, replaces=False, streams=False, has_network=False, activities=False,
    )  # fmt: skip
    monkeypatch.setattr("trading.services.risk_management.capabilities_of", lambda account: poor)
    assert connections.capabilities_of(desk.portfolio.broker_account).fractional
    assert refusal(desk, stop_at(110)).startswith("NOT_PERMITTED") and "it has limit, market" in refusal(
        desk, stop_at(110)
    )
    assert "it has day" in refusal(desk, limit_at(90, gtc=True))
    desk.market.instruments[0].lot_size = D("0.1")
    desk.market.instruments[0].save()
    assert "whole units only" in refusal(desk, limit_at(90), quantity="10.5")
    place(desk, limit_at(90))


def test_parts_of_a_share_are_refused_where_alpaca_would_not_take_them(desk: Desk) -> None:
    """Before anything is reserved or sent, so that no rejection is counted."""
    at_alpaca(desk)
    desk.market.instruments[0].lot_size = D("0.1")
    desk.market.instruments[0].save()
    trailing = OrderTerms(order_type=OrderType.TRAILING_STOP, trail_percentage=D(3))
    assert "whole units only in gtc orders" in refusal(desk, limit_at(90, gtc=True), quantity="10.5")
    assert "whole units only in trailing_stop orders" in refusal(desk, trailing, quantity="10.5")
    assert place(desk, limit_at(90), quantity="10.5").quantity == D("10.5")
    assert place(desk, trailing).status == "pending"


def test_an_account_that_is_not_connected_is_not_entitled(desk: Desk) -> None:
    account = at_alpaca(desk)
    BrokerCredential.objects.all().delete()
    assert "no keys of alpaca are stored" in refusal(desk, MARKET_DAY)
    BrokerCredential.objects.create(account=account, sealed=b"x", sealing_key="k", hint="x", set_at=OPENING)
    account.account_number = ""
    account.save()
    assert "its number at alpaca is not known" in refusal(desk, MARKET_DAY)


def test_real_money_needs_the_environments_leave(desk: Desk) -> None:
    at_alpaca(desk, is_live=True)
    with override_settings(ALLOW_LIVE_TRADING=False):
        assert "does not permit live trading" in refusal(desk, MARKET_DAY)
    with override_settings(ALLOW_LIVE_TRADING=True):
        assert place(desk, MARKET_DAY).status == "pending"


def test_own_orders_stand_in_each_others_way_only_where_they_could_meet(desk: Desk) -> None:
    works(place(desk, limit_at(99)))
    sold = preview_trade(
        portfolio_id=desk.portfolio.id, symbol="AAA", side="sell", quantity=D(1), actor=desk.owner
    )
    washed = {row["code"]: row["passed"] for row in sold.checks}["WASH_TRADE"]
    assert washed, "the bid is 99.90, and the buy waits at 99"
    meeting = preview_trade(
        portfolio_id=desk.portfolio.id, symbol="AAA", side="sell", quantity=D(1), actor=desk.owner,
        terms=limit_at(99),
    )  # fmt: skip
    assert not {row["code"]: row["passed"] for row in meeting.checks}["WASH_TRADE"]


def test_the_command_line_places_any_order(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--portfolio", str(desk.portfolio.id), "--symbol", "AAA", "--side", "buy", "--quantity", "5",
             "--actor", "alice"]  # fmt: skip
    call_command("place_order", *words, "--type", "limit", "--time-in-force", "gtc", "--limit-price", "90")
    trade = AutoTrade.objects.get(pk=capsys.readouterr().out.strip())
    assert (trade.order_type, trade.time_in_force, trade.limit_price) == ("limit", "gtc", 90)
    with pytest.raises(CommandError, match="limit_price: A limit order needs it"):
        call_command("place_order", *words, "--type", "limit")
    with pytest.raises(CommandError, match="stop_price: 'x' is no number"):
        call_command("place_order", *words, "--type", "stop", "--stop-price", "x")


# --- rules -------------------------------------------------------------------------------------------


def patient(**action: Any) -> dict[str, Any]:
    return {
        "name": "Patient", "rule_type": "entry",
        "conditions": [{"field": "price", "operator": "less_than", "value": 101}],
        "actions": [{"type": "buy", "sizing_method": "fixed", "size_value": 1000, "size_unit": "cash",
                     "order_type": "limit", "limit_offset_bps": 100, "max_position_size": 50, **action}],
    }  # fmt: skip


def of_aaa(desk: Desk) -> list[AutoTrade]:
    return [trade for trade in desk.trades() if trade.symbol == "AAA"]


def evaluated(desk: Desk, **prices: float) -> None:
    desk.market.tick(**prices)
    desk.evaluate()


def test_a_rules_limit_order_is_a_day_order_sized_at_its_limit(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(patient(),))
    evaluated(desk)
    (trade,) = of_aaa(desk)
    assert (trade.order_type, trade.time_in_force, trade.limit_price) == ("limit", "day", 99)
    assert (trade.quantity, trade.trigger_price, trade.expires_at) == (10, 100, LAST_SECOND)
    assert desk.refresh().portfolio.reserved_cash == 3 * D("990.099")


def test_while_its_order_works_a_rule_gets_no_second_one(market: Market) -> None:
    """However often it fires; another limit is another order only once the first is over."""
    market.tick()
    desk = Desk.open(market, rules=(patient(),))
    evaluated(desk)
    (first,) = of_aaa(desk)
    evaluated(desk, AAA=100.5)  # not sent yet
    works(first)
    evaluated(desk, AAA=99.5)
    evaluated(desk, AAA=99.6)
    assert of_aaa(desk) == [first]
    refused = [row for row in desk.decisions() if row.instrument.symbol == "AAA" and row.outcome == "refused"]
    assert {row.code for row in refused} == {"DUPLICATE_ORDER"}
    assert "still work" in refused[-1].detail
