"""The stream of the simulated broker tells what REST tells, in Alpaca's form."""

import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.harness.simulator import Simulator

pytestmark = pytest.mark.integration


def test_nobody_hears_without_the_right_keys(alice, simulator):
    with connect(simulator.stream_url) as connection:
        connection.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        assert json.loads(connection.recv(timeout=5))["data"]["status"] == "unauthorized"
        connection.send(
            json.dumps({"action": "authenticate", "data": {"key_id": "ALICE", "secret_key": "wrong"}})
        )
        assert json.loads(connection.recv(timeout=5)) == {
            "stream": "authorization",
            "data": {
                "action": "authenticate",
                "message": "access key verification failed",
                "status": "unauthorized",
            },
        }
        connection.send("nonsense")
        assert json.loads(connection.recv(timeout=5))["stream"] == "error"
    with pytest.raises(InvalidStatus):
        connect(simulator.stream_url.replace("/stream", "/elsewhere"))


def test_an_order_is_told_from_new_to_filled(alice, simulator):
    simulator.policy(parts=[2, 2])
    with alice.stream() as ear:
        alice.submit()
        new, part, fill = ear.events(3)
    assert [new["event"], part["event"], fill["event"]] == ["new", "partial_fill", "fill"]
    assert {event["order"]["client_order_id"] for event in (new, part, fill)} == {"one"}
    assert new["execution_id"] and new["timestamp"] and "qty" not in new
    assert (part["price"], part["order"]["status"]) == ("100.01", "partially_filled")
    assert int(part["qty"]) + int(fill["qty"]) == 10
    assert (part["position_qty"], fill["position_qty"]) == (part["qty"], "10")
    assert fill["order"] == alice.order()
    rows = alice.get("account/activities/FILL", direction="asc")
    assert [row["cum_qty"] for row in rows] == [event["order"]["filled_qty"] for event in (part, fill)]
    witnessed = simulator.witness().order("one").fills
    assert [seen.execution_id for seen in witnessed] == [part["execution_id"], fill["execution_id"]]
    assert not {row["id"].partition("::")[2] for row in rows} & {seen.execution_id for seen in witnessed}


def test_every_end_is_told(alice, simulator):
    simulator.policy(hold=True)
    with alice.stream() as ear:
        for name in ("canceled", "expired", "rejected"):
            alice.submit(name, qty="1")
        simulator.cancel("canceled")
        simulator.expire("expired")
        simulator.reject("rejected")
        told = ear.events(6)
    assert [event["event"] for event in told] == ["new"] * 3 + ["canceled", "expired", "rejected"]
    assert [event["order"]["status"] for event in told[3:]] == ["canceled", "expired", "rejected"]


def test_only_ones_own_orders_are_told(alice, simulator):
    simulator.account("BOB", secret="secret")
    bob = type(alice)(simulator, "BOB", "secret")
    with alice.stream() as ear:
        bob.submit()
        bob.wait_for("filled")
        assert ear.is_silent()
    bob.http.close()


def test_all_listeners_of_an_account_are_told(alice):
    with alice.stream() as one, alice.stream() as other:
        alice.submit()
        assert one.events(2) == other.events(2)


def test_frames_are_binary_unless_text_is_wanted(alice, simulator, tmp_path):
    with alice.stream() as ear:
        alice.submit()
        assert isinstance(ear.connection.recv(timeout=5), bytes)
    other = Simulator(tmp_path / "text", text_frames=True)
    try:
        other.start()
        other.account("ALICE")
        with connect(other.stream_url) as connection:
            connection.send(
                json.dumps({"action": "authenticate", "data": {"key_id": "ALICE", "secret_key": "secret"}})
            )
            assert isinstance(connection.recv(timeout=5), str)
    finally:
        other.stop()


def test_pings_are_answered(alice):
    with alice.stream() as ear:
        assert ear.connection.ping().wait(5)


def test_streams_are_cut_now_and_again_and_again(alice, simulator):
    with alice.stream() as ear:
        simulator.cut_streams()
        with pytest.raises(ConnectionClosed):
            ear.hear()
    simulator.cut_streams(every_seconds=(0.05, 0.1))
    for _ in range(2):
        with alice.stream() as ear, pytest.raises(ConnectionClosed):
            ear.hear()
    simulator.leave_streams_alone()
    with alice.stream() as ear:
        assert ear.is_silent(0.3)
    assert simulator.witness().mischief["stream_cut"] >= 3
