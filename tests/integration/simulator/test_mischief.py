"""Each thing that can go wrong at the simulated broker is shown to happen, and found in the witness afterwards.

One scene a kind, told by Alice's side; `test_no_kind_is_left_out` holds the scenes against the kinds themselves.
"""

import contextlib
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.integration.simulator.talking import KEY, Alpaca
from tests.simulator.mischief import ANSWER, PHASES, STREAM

pytestmark = pytest.mark.integration

Scene = Callable[[Any, Any], None]
SCENES: dict[str, Scene] = {}


def scene(test: Scene) -> Scene:
    SCENES[test.__name__] = test
    return test


def was_taken_once(simulator, client_order_id: str = "one") -> bool:
    return simulator.witness().order(client_order_id).accepted == 1


def was_not_taken(simulator) -> bool:
    order = simulator.witness().order("one")
    return (order.asked, order.accepted, order.refusals) == (1, 0, [])


# before anything is done


@scene
def error_before(alice, simulator):
    simulator.misbehave("error_before", endpoints=["submit"], count=1)
    answer = alice.submit()
    assert (answer.status_code, answer.json()["code"]) == (500, 50010000)
    assert was_not_taken(simulator)
    assert alice.submit("two").status_code == 200


@scene
def rate_limited(alice, simulator):
    simulator.misbehave("rate_limited", seconds=7, count=1)
    answer = alice.submit()
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["code"]) == (429, "7", 42910000)
    assert was_not_taken(simulator)


@scene
def hang_before(alice, simulator):
    simulator.misbehave("hang_before", count=1)
    with pytest.raises(httpx.ReadTimeout):
        alice.http.get("/v2/account", timeout=0.3)
    assert alice.get("account")["status"] == "ACTIVE"


@scene
def close_before(alice, simulator):
    simulator.misbehave("close_before", endpoints=["submit"], count=1)
    with pytest.raises(httpx.TransportError):
        alice.submit()
    assert was_not_taken(simulator)


# while it is done


@scene
def fill_early(alice, simulator):
    simulator.misbehave("fill_early", seconds=0.5, count=1)
    with alice.stream() as ear:
        began = time.monotonic()
        answer = alice.submit()
        assert time.monotonic() - began >= 0.5
        assert answer.json()["status"] == "pending_new"
        new, fill = ear.events(2)  # both were there before the answer
    assert (new["event"], fill["event"]) == ("new", "fill")
    assert was_taken_once(simulator)


@scene
def fill_late(alice, simulator):
    simulator.misbehave("fill_late", seconds=0.6, client_order_id="one")
    alice.submit()
    alice.submit("two")
    alice.wait_for("filled", "two")
    time.sleep(0.2)
    assert alice.order()["status"] == "new"
    alice.wait_for("filled")


@scene
def appears_late(alice, simulator):
    simulator.misbehave("appears_late", seconds=0.7, count=1)
    made = alice.submit().json()
    query = {"client_order_id": "one"}
    assert alice.http.get("/v2/orders:by_client_order_id", params=query).status_code == 404
    assert alice.http.get(f"/v2/orders/{made['id']}").status_code == 404
    assert alice.get("orders", status="all") == []
    assert alice.submit().json()["message"] == "client_order_id must be unique"
    assert was_taken_once(simulator)
    alice.wait_until(lambda: alice.http.get("/v2/orders:by_client_order_id", params=query).status_code == 200)
    assert alice.order()["id"] == made["id"]


@scene
def fill_beats_cancel(alice, simulator):
    simulator.policy(hold=True)
    simulator.misbehave("fill_beats_cancel", count=1)
    alice.submit()
    assert alice.cancel().status_code == 204
    assert alice.order()["status"] == "filled"
    order = simulator.witness().order("one")
    assert (order.state, order.cancels_asked, order.filled) == ("filled", 1, 10)


@scene
def lists_late(alice, simulator):
    simulator.misbehave("lists_late", seconds=0.7)
    alice.submit()
    alice.wait_for("filled")
    assert alice.get("account/activities/FILL") == []
    assert alice.get("positions")[0]["qty"] == "10"
    alice.wait_until(lambda: len(alice.get("account/activities/FILL")) == 1)


@scene
def listed_twice(alice, simulator):
    alice.submit()
    alice.wait_for("filled")
    simulator.misbehave("listed_twice", endpoints=["fills"], count=1)
    first, again = alice.get("account/activities/FILL")
    assert first == again
    assert len(alice.get("account/activities/FILL")) == 1


# when it has been done


@scene
def hang(alice, simulator):
    simulator.misbehave("hang", endpoints=["submit"], count=1)
    order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    with pytest.raises(httpx.ReadTimeout):
        alice.http.post("/v2/orders", json=order | {"client_order_id": "one"}, timeout=0.3)
    assert was_taken_once(simulator)
    assert alice.submit().status_code == 422, "the first was never answered, and is there all the same"
    alice.wait_for("filled")


@scene
def close(alice, simulator):
    simulator.misbehave("close", endpoints=["submit"], count=1)
    with pytest.raises(httpx.TransportError):
        alice.submit()
    assert was_taken_once(simulator)


@scene
def error_after(alice, simulator):
    simulator.misbehave("error_after", endpoints=["submit"], count=1)
    answer = alice.submit()
    assert (answer.status_code, answer.headers["content-type"]) == (504, "text/html")
    assert was_taken_once(simulator)


@scene
def duplicate_answer(alice, simulator):
    simulator.misbehave("duplicate_answer", count=1)
    answer = alice.submit()
    assert (answer.status_code, answer.json()["code"]) == (422, 40010001)
    order = simulator.witness().order("one")
    assert (order.accepted, order.duplicates) == (1, 0)


@scene
def lost_connection(alice, simulator):
    simulator.misbehave("lost_connection", endpoints=["submit"], seconds=0.6, count=1)
    with alice.stream() as ear:
        with pytest.raises(httpx.TransportError):
            alice.submit()
        with pytest.raises(ConnectionClosed):
            ear.hear()
    with pytest.raises(httpx.ConnectError):
        alice.http.get("/v2/account")
    simulator.wait_until_it_answers()
    assert was_taken_once(simulator)
    assert alice.order()["symbol"] == "AAPL"


@scene
def slow(alice, simulator):
    simulator.misbehave("slow", endpoints=["account"], seconds=0.4, count=1)
    began = time.monotonic()
    assert alice.get("account")["currency"] == "USD"
    assert time.monotonic() - began >= 0.4


@scene
def dribble(alice, simulator):
    simulator.misbehave("dribble", endpoints=["submit"], seconds=0.4, count=1)
    began = time.monotonic()
    with alice.http.stream(
        "POST",
        "/v2/orders",
        json={
            "symbol": "AAPL",
            "qty": "1",
            "side": "buy",
            "type": "market",
            "time_in_force": "day",
            "client_order_id": "one",
        },
    ) as answer:
        pieces = list(answer.iter_raw())
    assert time.monotonic() - began >= 0.4
    assert len(pieces) >= 5 and b"".join(pieces).startswith(b'{"id"')


@scene
def garbage(alice, simulator):
    simulator.misbehave("garbage", endpoints=["submit"], count=1)
    answer = alice.submit()
    assert answer.status_code == 200
    with pytest.raises(ValueError):
        answer.json()
    assert was_taken_once(simulator)


@scene
def wrong_symbol(alice, simulator):
    simulator.misbehave("wrong_symbol", endpoints=["submit"], count=1)
    assert alice.submit().json()["symbol"] == "WRONG"
    assert alice.order()["symbol"] == simulator.witness().order("one").symbol == "AAPL"


@scene
def nan(alice, simulator):
    alice.submit()
    alice.wait_for("filled")
    simulator.misbehave("nan", endpoints=["order_by_client_id", "positions", "account", "fills"], count=4)
    assert (alice.order()["qty"], alice.order()["filled_avg_price"]) == ("NaN", "NaN")
    assert alice.get("positions")[0]["qty"] == "NaN"
    assert alice.get("account/activities/FILL")[0]["price"] == "NaN"
    assert alice.get("account")["cash"] == "98999.9", "the rule has acted four times"


@scene
def negative_quantity(alice, simulator):
    simulator.misbehave("negative_quantity", endpoints=["submit"], count=1)
    answer = alice.submit().json()
    assert (answer["qty"], answer["filled_qty"]) == ("-10", "0")
    assert simulator.witness().order("one").quantity == 10


@scene
def new_status(alice, simulator):
    simulator.policy(hold=True)
    alice.submit()
    alice.submit("two")
    simulator.misbehave("new_status", endpoints=["orders"], count=1)
    first, second = alice.get("orders")
    assert first["status"] == "pending_something" != second["status"]
    assert all(order["status"] != "pending_something" for order in alice.get("orders"))


# on the stream


@scene
def stream_twice(alice, simulator):
    simulator.misbehave("stream_twice", events=["fill"], count=1)
    with alice.stream() as ear:
        alice.submit()
        new, fill, again = ear.events(3)
    assert (new["event"], fill["event"], again) == ("new", "fill", fill)
    assert simulator.witness().order("one").filled == 10


@scene
def stream_drop(alice, simulator):
    simulator.misbehave("stream_drop", events=["fill"], count=1)
    with alice.stream() as ear:
        alice.submit()
        assert ear.events(1)[0]["event"] == "new"
        alice.wait_for("filled")
        assert ear.is_silent()
    assert len(alice.get("account/activities/FILL")) == 1


@scene
def stream_late(alice, simulator):
    simulator.misbehave("stream_late", events=["fill"], seconds=0.6, count=1)
    with alice.stream() as ear:
        alice.submit()
        ear.events(1)
        alice.wait_for("filled")
        assert ear.is_silent(0.2)
        assert ear.events(1)[0]["event"] == "fill"


@scene
def stream_reorder(alice, simulator):
    """A part and the cancel after it come the wrong way round; and what nothing follows comes late."""
    simulator.policy(hold=True)
    simulator.misbehave("stream_reorder", events=["partial_fill"], seconds=0.5, count=2)
    with alice.stream() as ear:
        alice.submit()
        simulator.fill("one", quantity=4)
        simulator.cancel("one")
        assert [event["event"] for event in ear.events(3)] == ["new", "canceled", "partial_fill"]
        alice.submit("two")
        simulator.fill("two", quantity=4)
        assert [event["event"] for event in ear.events(2)] == ["new", "partial_fill"]
    assert simulator.witness().mischief["stream_reorder"] == 2


@scene
def stream_cut(alice, simulator):
    simulator.misbehave("stream_cut", events=["fill"], count=1)
    with alice.stream() as ear:
        alice.submit()
        assert ear.events(1)[0]["event"] == "new"
        with pytest.raises(ConnectionClosed):
            ear.hear()
    assert alice.order()["status"] == "filled"


@scene
def stream_nan_price(alice, simulator):
    simulator.misbehave("stream_nan_price", events=["fill"], count=1)
    with alice.stream() as ear:
        alice.submit()
        fill = ear.events(2)[1]
    assert (fill["price"], fill["qty"]) == ("NaN", "10")
    assert alice.get("account/activities/FILL")[0]["price"] == "100.01"


@scene
def stream_negative_quantity(alice, simulator):
    simulator.misbehave("stream_negative_quantity", events=["fill"], count=1)
    with alice.stream() as ear:
        alice.submit()
        fill = ear.events(2)[1]
    assert (fill["qty"], fill["order"]["qty"]) == ("-10", "-10")


@scene
def stream_wrong_symbol(alice, simulator):
    simulator.misbehave("stream_wrong_symbol", events=["fill"], count=1)
    with alice.stream() as ear:
        alice.submit()
        assert ear.events(2)[1]["order"]["symbol"] == "WRONG"
    assert alice.order()["symbol"] == "AAPL"


@scene
def stream_garbage(alice, simulator):
    simulator.misbehave("stream_garbage", events=["new"], count=1)
    with alice.stream() as ear:
        alice.submit()
        with pytest.raises(ValueError):
            ear.hear()
        assert ear.hear()["data"]["event"] == "fill"


@pytest.mark.parametrize("name", SCENES)
def test_it_happens_and_is_witnessed(alice, simulator, name):
    SCENES[name](alice, simulator)
    witness = simulator.witness()
    assert witness.mischief[name] >= 1
    assert set(witness.mischief) == {name}, "and nothing else went wrong"
    assert all(order.accepted <= 1 for order in witness.orders.values())


def test_no_kind_is_left_out():
    assert set(SCENES) == set(PHASES)


def test_connections_can_be_refused_for_a_while(alice, simulator):
    simulator.refuse_connections(0.5)
    with pytest.raises(httpx.TransportError):
        alice.get("account")
    simulator.wait_until_it_answers()
    assert alice.get("account")["status"] == "ACTIVE"
    assert simulator.witness().mischief["lost_connection"] == 1


def test_a_rule_can_be_narrowed_to_one_order_account_and_symbol(alice, simulator):
    simulator.misbehave("error_before", client_order_id="two")
    simulator.misbehave("error_before", client_order_id_prefix="other-", status=503)
    simulator.misbehave("error_before", account="BOB")
    simulator.misbehave("error_before", symbol="MSFT", status=502)
    statuses = [alice.submit(name, qty="1").status_code for name in ("one", "two", "other-1", "three")]
    assert statuses == [200, 500, 503, 200]
    assert alice.submit("four", symbol="MSFT").status_code == 502


def test_a_rule_skips_acts_and_ends(alice, simulator):
    simulator.misbehave("error_before", endpoints=["account"], after=2, count=2)
    statuses = [alice.http.get("/v2/account").status_code for _ in range(6)]
    assert statuses == [200, 200, 500, 500, 200, 200]
    simulator.misbehave("error_before", endpoints=["account"])
    simulator.behave()
    assert alice.http.get("/v2/account").status_code == 200


def test_several_things_can_go_wrong_at_once(alice, simulator):
    simulator.misbehave("appears_late", seconds=0.3)
    simulator.misbehave("error_after", endpoints=["submit"])
    simulator.misbehave("stream_twice", events=["fill"])
    with alice.stream() as ear:
        assert alice.submit().status_code == 504
        assert [event["event"] for event in ear.events(3)] == ["new", "fill", "fill"]
    assert simulator.witness().mischief_by_order["ALICE", "one"] == [
        "appears_late", "error_after", "stream_twice",
    ]  # fmt: skip


@pytest.mark.parametrize("rule", [{"name": "no_such"}, {"name": "hang", "colour": "red"}])
def test_a_rule_that_nobody_would_understand_is_refused(simulator, rule):
    with pytest.raises(AssertionError, match="no such rule"):
        simulator.misbehave(**rule)


def fate(simulator_of, seed: int) -> tuple[dict[str, list[str]], dict[str, list[Decimal]]]:
    """What went wrong with each of forty orders, and the parts in which it was filled."""
    simulator = simulator_of(seed)
    simulator.account(KEY)
    simulator.quotes(AAPL="10")
    simulator.policy(parts=[1, 4], delay=[0, 0.01], part_delay=[0, 0.01])
    for name in sorted(ANSWER.keys() - {"hang", "lost_connection"} | STREAM.keys() - {"stream_cut"}):
        simulator.misbehave(name, probability=0.15, seconds=0.01)
    alice = Alpaca(simulator)
    names = [f"order-{number}" for number in range(40)]
    with alice.stream():
        for name in names:
            with contextlib.suppress(httpx.TransportError):
                alice.submit(name)
        alice.wait_until(
            lambda: all(order.state == "filled" for order in simulator.witness().orders.values()), seconds=10
        )
    alice.http.close()
    witness = simulator.witness()
    parts = {name: [fill.quantity for fill in witness.order(name).fills] for name in names}
    return {name: witness.mischief_by_order[KEY, name] for name in names}, parts


def test_nothing_goes_wrong_with_what_nobody_hears(alice, simulator):
    simulator.misbehave("stream_twice")
    alice.submit()
    alice.wait_for("filled")
    assert not simulator.witness().mischief


def test_the_same_seed_brings_the_same_misfortunes(simulator_of):
    first, again, other = fate(simulator_of, 1), fate(simulator_of, 1), fate(simulator_of, 2)
    assert first == again
    assert first != other
    assert sum(map(len, first[0].values())) > 20
