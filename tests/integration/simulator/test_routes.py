"""Every route of the simulated broker answers as Alpaca's does, and each order type fills when it should."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

pytestmark = pytest.mark.integration

REFUSALS = [
    # (terms, status, code, a part of the message)
    ({"symbol": "NONE"}, 422, 42210000, 'asset "NONE" not found'),
    ({"qty": "0"}, 422, 40010001, "qty must be > 0"),
    ({"qty": "-1"}, 422, 40010001, "qty must be > 0"),
    ({"qty": "many"}, 422, 40010001, "qty is not a number"),
    ({"qty": None}, 422, 40010001, "qty or notional is required"),
    ({"qty": "0.5", "time_in_force": "gtc"}, 422, 42210000, "fractional orders must be DAY orders"),
    ({"side": "hold"}, 422, 40010001, "invalid side"),
    ({"type": "iceberg"}, 422, 40010001, "invalid order type"),
    ({"time_in_force": "never"}, 422, 40010001, "invalid time_in_force"),
    ({"type": "limit"}, 422, 40010001, "limit orders require limit price"),
    ({"limit_price": "1"}, 422, 40010001, "market orders require no limit price"),
    ({"type": "stop"}, 422, 40010001, "stop orders require stop price"),
    ({"type": "trailing_stop"}, 422, 40010001, "one of trail_price or trail_percent"),
    ({"type": "limit", "limit_price": "100.005"}, 422, 42210000, "sub-penny increment"),
    ({"client_order_id": "x" * 129}, 422, 40010001, "no more than 128 characters"),
    ({"qty": "1001"}, 403, 40310000, "insufficient buying power"),
    ({"side": "sell"}, 403, 40310000, "account is not allowed to short"),
]


@pytest.mark.parametrize(("terms", "status", "code", "words"), REFUSALS, ids=lambda value: str(value)[:40])
def test_what_cannot_be_is_refused_in_alpacas_words(alice, simulator, terms, status, code, words):
    answer = alice.submit(**terms)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert words in answer.json()["message"]
    assert simulator.witness().taken() == []
    assert alice.get("orders", status="all") == []


def test_the_wrong_secret_opens_nothing(alice, simulator):
    answer = httpx.get(f"{simulator.base_url}/v2/account", headers={"APCA-API-KEY-ID": "ALICE"})
    assert (answer.status_code, answer.json()["code"]) == (401, 40110000)
    assert simulator.witness().requests["refused"] == 1


def test_a_market_order_is_pending_then_filled_at_the_ask(alice, simulator):
    answer = alice.submit(qty="10")
    assert answer.status_code == 200
    assert answer.json()["status"] == "pending_new"
    order = alice.wait_for("filled")
    assert (order["filled_qty"], order["filled_avg_price"], order["qty"]) == ("10", "100.01", "10")
    assert order["order_class"] == "" and order["legs"] is None and order["filled_at"] is not None
    assert alice.get(f"orders/{order['id']}") == order
    (position,) = alice.get("positions")
    assert (position["symbol"], position["qty"], position["side"], position["qty_available"]) == (
        *("AAPL", "10", "long", "10"),
    )
    assert position["avg_entry_price"] == "100.01"
    account = alice.get("account")
    assert (account["cash"], account["currency"], account["status"]) == ("98999.9", "USD", "ACTIVE")


def test_the_same_client_id_is_refused_even_after_the_end(alice, simulator):
    alice.submit()
    alice.wait_for("filled")
    again = alice.submit()
    assert (again.status_code, again.json()["message"]) == (422, "client_order_id must be unique")
    assert again.json()["code"] == 40010001
    seen = simulator.witness().order("one")
    assert (seen.asked, seen.accepted, seen.duplicates, seen.filled) == (2, 1, 1, 10)


def test_two_accounts_may_use_the_same_client_id(alice, simulator):
    simulator.account("BOB", secret="other")
    bob = type(alice)(simulator, "BOB", "other")
    assert (alice.submit().status_code, bob.submit(qty="2").status_code) == (200, 200)
    alice.wait_for("filled")
    assert bob.wait_for("filled")["filled_qty"] == "2"
    assert alice.order()["id"] != bob.order()["id"]
    assert [item["qty"] for item in bob.get("positions")] == ["2"]
    bob.http.close()


def test_more_is_not_sold_than_is_free(alice, simulator):
    alice.submit(qty="10")
    alice.wait_for("filled")
    resting = alice.submit("resting", side="sell", qty="6", type="limit", limit_price="120")
    assert resting.json()["position_intent"] == "sell_to_close"
    refused = alice.submit("more", side="sell", qty="5")
    assert refused.status_code == 403
    assert refused.json() == {
        "code": 40310000,
        "message": "insufficient qty available for order (requested: 5, available: 4)",
        "available": "4",
        "existing_qty": "10",
        "held_for_orders": "6",
        "symbol": "AAPL",
    }


def test_open_buy_orders_hold_buying_power(alice):
    alice.submit("resting", qty="900", type="limit", limit_price="90", time_in_force="gtc")
    assert alice.get("account")["buying_power"] == "19000"
    refused = alice.submit("more", qty="200")
    assert refused.json()["message"] == "insufficient buying power"
    assert (refused.json()["buying_power"], refused.json()["cost_basis"]) == ("19000", "20002")


def test_a_limit_order_waits_for_its_price(alice, simulator):
    alice.submit(type="limit", limit_price="95", time_in_force="gtc")
    alice.wait_for("new")
    simulator.quotes(AAPL=("94.98", "95.01"))
    time.sleep(0.1)
    assert alice.order()["status"] == "new"
    simulator.quotes(AAPL=("94.90", "94.92"))
    assert alice.wait_for("filled")["filled_avg_price"] == "94.92"


def test_a_stop_sells_once_the_price_has_fallen_to_it(alice, simulator):
    alice.submit("buy")
    alice.wait_for("filled", "buy")
    alice.submit(side="sell", type="stop", stop_price="95")
    alice.wait_for("new")
    simulator.quotes(AAPL="95.01")
    time.sleep(0.1)
    assert alice.order()["status"] == "new"
    simulator.quotes(AAPL=("94.99", "95.01"))
    assert alice.wait_for("filled")["filled_avg_price"] == "94.99"


def test_a_stop_limit_is_a_limit_order_after_the_stop(alice, simulator):
    alice.submit(type="stop_limit", stop_price="105", limit_price="105.5")
    alice.wait_for("new")
    simulator.quotes(AAPL="106")
    time.sleep(0.1)
    assert alice.order()["status"] == "new"
    simulator.quotes(AAPL="105.2")
    assert alice.wait_for("filled")["filled_avg_price"] == "105.2"


def test_a_trailing_stop_follows_the_best_price(alice, simulator):
    alice.submit("buy")
    alice.wait_for("filled", "buy")
    alice.submit(side="sell", type="trailing_stop", trail_percent="10", time_in_force="gtc")
    simulator.quotes(AAPL="120")
    alice.wait_until(lambda: alice.order()["hwm"] == "120")
    assert alice.order()["stop_price"] == "108"
    simulator.quotes(AAPL="110")
    simulator.quotes(AAPL="108")
    assert alice.wait_for("filled")["filled_avg_price"] == "108"


def test_orders_fill_in_parts_when_told_to(alice, simulator):
    simulator.policy(parts=[3, 3])
    alice.submit()
    alice.wait_for("filled")
    fills = alice.get("account/activities/FILL", direction="asc")
    assert [fill["type"] for fill in fills] == ["partial_fill", "partial_fill", "fill"]
    assert sum(int(fill["qty"]) for fill in fills) == 10
    assert [fill["leaves_qty"] for fill in fills][-1] == "0"
    assert [fill["cum_qty"] for fill in fills][-1] == "10"


def test_a_held_order_is_filled_by_hand(alice, simulator):
    simulator.policy(hold=True)
    alice.submit()
    simulator.fill("one", quantity=4, price="99.5")
    assert alice.order()["status"] == "partially_filled"
    assert (alice.order()["filled_qty"], alice.order()["filled_avg_price"]) == ("4", "99.5")
    simulator.fill("one")
    assert alice.order()["status"] == "filled"


def test_a_cancel_ends_a_working_order_and_refuses_a_finished_one(alice, simulator):
    simulator.policy(hold=True)
    alice.submit()
    assert alice.cancel().status_code == 204
    order = alice.order()
    assert order["status"] == "canceled" and order["canceled_at"] is not None
    again = alice.cancel()
    assert (again.status_code, again.json()["code"]) == (422, 42210000)
    assert again.json()["message"] == 'order is already in "canceled" state'
    assert simulator.witness().order("one").state == "canceled"


def test_a_slow_cancel_is_pending_and_can_be_overtaken_by_a_fill(alice, simulator):
    simulator.policy(hold=True, cancel_delay=[30, 30])
    alice.submit()
    assert alice.cancel().status_code == 204
    assert alice.order()["status"] == "pending_cancel"
    assert alice.cancel().status_code == 422
    simulator.fill("one")
    assert alice.order()["status"] == "filled"
    assert simulator.witness().order("one").state == "filled"


@pytest.mark.parametrize(
    "path", ["/v2/orders/nobody", "/v2/orders:by_client_order_id?client_order_id=nobody"]
)
def test_what_is_not_there_is_404(alice, path):
    answer = alice.http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, 40410000)
    assert alice.http.delete("/v2/orders/nobody").status_code == 404
    assert alice.http.patch("/v2/orders/nobody", json={"qty": "1"}).status_code == 404


def test_a_replaced_order_lives_on_under_another_id(alice, simulator):
    simulator.policy(hold=True)
    alice.submit(type="limit", limit_price="95", time_in_force="gtc")
    old = alice.wait_for("new")
    answer = alice.http.patch(
        f"/v2/orders/{old['id']}", json={"qty": "4", "limit_price": "96", "client_order_id": "two"}
    )
    assert answer.status_code == 200
    new = alice.order("two")
    assert (new["replaces"], new["qty"], new["limit_price"], new["id"]) == (
        old["id"],
        "4",
        "96",
        answer.json()["id"],
    )
    assert (alice.order()["status"], alice.order()["replaced_by"]) == ("replaced", new["id"])
    refused = alice.http.patch(f"/v2/orders/{old['id']}", json={"qty": "1"})
    assert (refused.status_code, refused.json()["code"]) == (422, 42210000)
    assert simulator.witness().order("two").replaces == old["id"]


def test_orders_are_listed_by_status_time_and_direction(alice, simulator):
    simulator.policy(hold=True)
    for name in "abcd":
        alice.submit(name, qty="1")
    simulator.fill("b")

    def listed(**query: str) -> str:
        return "".join(order["client_order_id"] for order in alice.get("orders", **query))

    assert listed() == "dca"
    assert listed(status="closed") == "b"
    assert listed(status="all", direction="asc") == "abcd"
    assert listed(status="all", direction="asc", limit="2") == "ab"
    after_b = alice.order("b")["submitted_at"]
    assert listed(status="all", direction="asc", after=after_b) == "cd"
    assert listed(status="all", direction="asc", until=after_b) == "a"
    assert listed(status="all", symbols="MSFT") == ""
    assert alice.http.get("/v2/orders", params={"limit": "501"}).status_code == 422
    assert alice.http.get("/v2/orders", params={"after": "yesterday"}).status_code == 422


def test_fills_are_listed_in_pages(alice, simulator):
    simulator.policy(parts=[5, 5])
    alice.submit()
    alice.wait_for("filled")
    first = alice.get("account/activities", activity_types="FILL", direction="asc", page_size="2")
    second = alice.get("account/activities/FILL", direction="asc", page_size="2", page_token=first[-1]["id"])
    third = alice.get("account/activities/FILL", direction="asc", page_size="2", page_token=second[-1]["id"])
    pages = [*first, *second, *third]
    assert [fill["id"] for fill in pages] == [
        fill["id"] for fill in reversed(alice.get("account/activities/FILL"))
    ]
    assert len(pages) == 5
    later = alice.get("account/activities/FILL", after=pages[2]["transaction_time"], direction="asc")
    assert [fill["id"] for fill in later] == [fill["id"] for fill in pages[3:]]
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert alice.get("account/activities/FILL", after=soon) == []


def test_a_day_order_ends_with_the_day_and_a_gtc_does_not(alice, simulator):
    simulator.policy(hold=True)
    alice.submit("day")
    alice.submit("gtc", time_in_force="gtc")
    assert simulator.expire_day_orders() == 1
    assert alice.order("day")["status"] == "expired" and alice.order("day")["expired_at"] is not None
    assert alice.order("gtc")["status"] == "new"


def test_others_act_in_the_account(alice, simulator):
    made = simulator.foreign_order("ALICE", symbol="MSFT", side="buy", qty=3, client_order_id="by-hand")
    alice.wait_for("filled", "by-hand")
    assert alice.order("by-hand")["id"] == made["id"]
    simulator.foreign_position("ALICE", symbol="AAPL", qty=7)
    simulator.foreign_cash("ALICE", "-500")
    assert {item["symbol"]: item["qty"] for item in alice.get("positions")} == {"AAPL": "7", "MSFT": "3"}
    assert alice.get("account")["cash"] == "99350"
    witness = simulator.witness()
    assert (witness.taken(), [order.client_order_id for order in witness.taken(foreign=True)]) == (
        [],
        ["by-hand"],
    )
    assert witness.cash["ALICE"] == 99350
    assert dict(witness.positions["ALICE"]) == {"AAPL": 7, "MSFT": 3}


def test_an_account_can_be_closed_for_trade(alice, simulator):
    simulator.change_account("ALICE", trading_blocked=True)
    assert alice.get("account")["trading_blocked"] is True
    assert alice.submit().status_code == 403
    assert simulator.witness().order("one").refusals == ["account is not authorized to trade"]


def test_an_order_can_be_rejected_by_the_exchange(alice, simulator):
    simulator.policy(hold=True)
    alice.submit()
    simulator.reject("one")
    assert alice.order()["status"] == "rejected" and alice.order()["failed_at"] is not None


def test_prices_walk_from_the_seed(alice, simulator):
    alice.submit(type="limit", limit_price="99.5", time_in_force="gtc")
    simulator.walk(every_seconds=0.005, basis_points=50)
    alice.wait_for("filled")
    simulator.walk(every_seconds=0)


def test_every_answer_tells_the_rate_as_alpaca_does(alice):
    for answer in (alice.submit(), alice.http.get("/v2/account"), alice.http.get("/v2/orders/none")):
        assert int(answer.headers["x-ratelimit-remaining"]) > 0
        assert 0 <= int(answer.headers["x-ratelimit-reset"]) - time.time() <= 61


def test_what_is_no_trade_is_a_list_of_its_own(alice, simulator):
    names = [simulator.activity("ALICE", "FEE", f"-0.0{n}", activity_sub_type="TAF") for n in (1, 2, 3)]
    simulator.activity("ALICE", "DIV", "5", date="2020-01-02", symbol="AAPL")
    simulator.activity("ALICE", "INT", "7", listed_after=60)
    day = datetime.now(UTC).date() - timedelta(days=2)
    asked = {"category": "non_trade_activity", "after": day.isoformat(), "direction": "asc", "page_size": "2"}
    first = alice.get("account/activities", **asked)
    assert [(row["id"], row["activity_type"], row["net_amount"]) for row in first] == [
        (names[0], "FEE", "-0.01"), (names[1], "FEE", "-0.02"),
    ]  # fmt: skip
    (last,) = alice.get("account/activities", **asked, page_token=names[1])
    assert (last["id"], last["status"], last["activity_sub_type"]) == (names[2], "executed", "TAF")
    assert alice.get("account")["cash"] == "100011.94"
    assert simulator.witness().cash["ALICE"] == Decimal("100011.94")
