"""Cash and positions always add up: at the broker's own account, in its lists and in the witness's log."""

import asyncio
import contextlib
import os
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.integration

CENTS = st.integers(100, 50_000).map(lambda cents: f"{Decimal(cents) / 100}")
ORDERS = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from(["AAPL", "MSFT"]),
        "side": st.sampled_from(["buy", "sell"]),
        "qty": st.one_of(
            st.integers(1, 300).map(str), st.integers(1, 10**10).map(lambda n: f"{Decimal(n).scaleb(-9):f}")
        ),
        "limit_price": st.one_of(st.none(), CENTS),
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("order"), ORDERS),
        st.tuples(st.just("quote"), st.tuples(st.sampled_from(["AAPL", "MSFT"]), CENTS)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("cash"), st.integers(-5000, 5000)),
    ),
    min_size=3,
    max_size=25,
)
numbers = iter(range(10**6))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, parts=st.integers(1, 4))
def test_cash_is_what_was_there_less_all_fills_and_positions_are_the_fills(simulator, steps, parts):
    key = f"account-{next(numbers)}"
    simulator.account(key, cash="50000", may_short=True)
    simulator.quotes(AAPL="100", MSFT="40")
    simulator.policy(parts=[1, parts], delay=[0, 0], part_delay=[0, 0])
    names = [f"{key}-{place}" for place in range(len(steps))]
    headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": "secret"}
    with httpx.Client(base_url=simulator.base_url, headers=headers) as client:
        given_cash = Decimal(50_000)
        for name, (kind, what) in zip(names, steps, strict=True):
            given_cash += carry_out(simulator, client, key, name, kind, what)
        settle(simulator, key)
        fills = all_fills(client)
        account, positions = client.get("/v2/account").json(), client.get("/v2/positions").json()
        orders = client.get("/v2/orders", params={"status": "all", "limit": "500"}).json()
    cash = given_cash
    moved_by: dict[str, Decimal] = defaultdict(Decimal)
    by_order: dict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        moved = Decimal(fill["qty"]) * (1 if fill["side"] == "buy" else -1)
        cash -= moved * Decimal(fill["price"])
        moved_by[fill["symbol"]] += moved
        by_order[fill["order_id"]] += Decimal(fill["qty"])
    held = {symbol: quantity for symbol, quantity in moved_by.items() if quantity}
    witness = simulator.witness()
    assert witness.cash[key] == cash == Decimal(simulator.state()["accounts"][key]["cash"])
    assert Decimal(account["cash"]) == cash.quantize(Decimal("0.01"))
    assert {item["symbol"]: Decimal(item["qty"]) for item in positions} == held
    assert {symbol: quantity for symbol, quantity in witness.positions[key].items() if quantity} == held
    assert len({fill["id"] for fill in fills}) == len(fills)
    for order in orders:
        filled = Decimal(order["filled_qty"])
        assert by_order[order["id"]] == filled == witness.order(order["client_order_id"]).filled
        assert filled <= Decimal(order["qty"])
        assert (filled == Decimal(order["qty"])) == (order["status"] == "filled")
    assert {order["client_order_id"] for order in orders} == {
        order.client_order_id for order in witness.taken(account=key)
    }


def carry_out(simulator: Any, client: httpx.Client, key: str, name: str, kind: str, what: Any) -> Decimal:
    """One step; what it adds to the cash without a fill."""
    if kind == "order":
        terms = {"type": "limit" if what["limit_price"] else "market", "time_in_force": "day"}
        wanted = {field: value for field, value in what.items() if value} | terms
        answer = client.post("/v2/orders", json=wanted | {"client_order_id": name})
        assert answer.status_code in (200, 403), answer.text
    elif kind == "quote":
        simulator.quotes({what[0]: what[1]})
    elif kind == "cancel":
        found = client.get("/v2/orders", params={"status": "all", "limit": "500"}).json()
        if found:
            answer = client.delete(f"/v2/orders/{found[what % len(found)]['id']}")
            assert answer.status_code in (204, 422)
    else:
        simulator.foreign_cash(key, what)
        return Decimal(what)
    return Decimal(0)


def settle(simulator: Any, key: str) -> None:
    """Wait until nothing more is filled: every order that could be was."""
    seen = -1
    while (now := sum(len(order.fills) for order in simulator.witness().taken(account=key))) != seen:
        seen = now
        time.sleep(0.03)


def all_fills(client: httpx.Client) -> list[dict[str, Any]]:
    """All pages."""
    found: list[dict[str, Any]] = []
    query = {"direction": "asc", "page_size": "7"}
    while page := client.get("/v2/account/activities/FILL", params=query).json():
        found += page
        query["page_token"] = page[-1]["id"]
    return found


def test_hundreds_of_orders_a_second_and_thousands_of_broken_connections(simulator):
    """Counted in the process's own processor time, so that a busy machine does not matter."""
    simulator.account("ALICE", cash="10000000")
    simulator.quotes(AAPL="10")
    simulator.misbehave("close", probability=0.5, endpoints=["account"])
    headers = {"APCA-API-KEY-ID": "ALICE", "APCA-API-SECRET-KEY": "secret"}

    async def raw(request: bytes, times: int) -> int:
        """How often an answer came, on a new connection each time."""
        answered = 0
        for _ in range(times):
            reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
            writer.write(request)
            with contextlib.suppress(ConnectionResetError):
                answered += bool(await reader.read(1))
            writer.transport.abort()  # whatever else it would have said
        return answered

    async def submit(client: httpx.AsyncClient, worker: int) -> None:
        for number in range(50):
            order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
            answer = await client.post("/v2/orders", json=order | {"client_order_id": f"{worker}-{number}"})
            assert answer.status_code == 200

    async def run() -> tuple[float, int]:
        head = "GET /v2/account HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in headers.items()
        )
        answered = sum(await asyncio.gather(*(raw(head.encode() + b"\r\n", 100) for _ in range(20))))
        began = processor_seconds(simulator.pid)
        async with httpx.AsyncClient(base_url=simulator.base_url, headers=headers, timeout=30) as client:
            await asyncio.gather(*(submit(client, worker) for worker in range(8)))
        return (processor_seconds(simulator.pid) - began) / 400, answered

    seconds_each, answered = asyncio.run(run())
    witness = simulator.witness()
    assert witness.mischief["close"] == 2000 - answered > 500
    assert len(witness.taken()) == 400
    assert seconds_each < 0.005


def processor_seconds(pid: int) -> float:
    """Used by a process until now; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
