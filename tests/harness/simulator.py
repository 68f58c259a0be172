"""The broker simulator as a process of a test, and the hand that scripts it.

    def test_x(simulator):
        simulator.account("K", cash="100000")
        simulator.quotes(AAPL="100.00")
        simulator.misbehave("hang", endpoints=["submit"], count=1)
        …
        assert simulator.witness().order("some-client-id").accepted == 1

What can be asked and what can go wrong is described in tests/simulator/control.py and tests/simulator/mischief.py.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from autotrading_project.embedded.network import free_port
from autotrading_project.embedded.processes import dies_with_parent, stop_child
from tests.simulator.witness import Witness, read_witness

BASE_DIR = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
STOP_SECONDS = 10.0
ANSWER_SECONDS = 10.0
Number = str | int | Decimal


class Simulator:
    """One process. All methods speak to it over its port; `witness` reads its log."""

    def __init__(
        self, directory: Path, *, seed: int = 0, text_frames: bool = False, port: int | None = None
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.log_path = directory / "simulator.jsonl"
        self.output_path = directory / "simulator.out"
        self.seed = seed
        self.port = port or free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.stream_url = f"ws://127.0.0.1:{self.port}/stream"
        self._arguments = [
            *(sys.executable, "-m", "tests.simulator", "--port", str(self.port)),
            *("--log", str(self.log_path), "--seed", str(seed)),
            *(["--text"] if text_frames else []),
        ]
        self._child: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(base_url=f"{self.base_url}/control", timeout=ANSWER_SECONDS)

    # the process

    def start(self) -> None:
        """Start it and wait until it answers; it ends when pytest does."""
        with self.output_path.open("ab") as output:
            self._child = subprocess.Popen(
                self._arguments,
                cwd=BASE_DIR,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=dies_with_parent(signal.SIGKILL),
            )
        self.wait_until_it_answers()

    def stop(self) -> None:
        """End it by its pid."""
        self._client.close()
        if self._child is not None:
            stop_child(self._child, (signal.SIGTERM, STOP_SECONDS))

    @property
    def pid(self) -> int:
        assert self._child is not None, "it was not started"
        return self._child.pid

    def wait_until_it_answers(self, *, seconds: float = START_SECONDS) -> None:
        """Also after `refuse_connections`, to know that they are over."""
        assert self._child is not None, "it was not started"
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._call("GET", "health")
                return
            except httpx.TransportError:
                assert self._child.poll() is None, f"the simulator ended:\n{self.output_path.read_text()}"
                assert time.monotonic() < deadline, (
                    f"no answer in {seconds} s:\n{self.output_path.read_text()}"
                )
                time.sleep(0.02)

    def witness(self) -> Witness:
        """What it did until now."""
        return read_witness(self.log_path)

    # accounts and prices

    def account(self, key: str, *, secret: str = "secret", cash: Number = "100000", **more: Any) -> str:
        """A new account; more: number, may_short, multiplier, fee_per_unit (of sales, accrued until `charge_fees`),
        currency, status. Its account number."""
        facts = {"key": key, "secret": secret, "cash": str(cash)} | more
        return str(self._call("POST", "accounts", facts)["number"])

    def change_account(self, key: str, **changes: Any) -> None:
        """status, currency, may_short, trading_blocked, account_blocked, trade_suspended_by_user."""
        self._call("POST", f"accounts/{key}", changes)

    def quotes(self, quotes: dict[str, Any] | None = None, **more: Number | tuple[Number, Number]) -> None:
        """symbol -> a price, or (bid, ask). Symbols that are no Python names go into the dict."""
        told = {}
        for symbol, quote in ((quotes or {}) | more).items():
            bid, ask = quote if isinstance(quote, tuple) else (quote, quote)
            told[symbol] = {"bid": str(bid), "ask": str(ask)}
        self._call("POST", "quotes", told)

    def walk(self, *, every_seconds: float, basis_points: int = 10, symbols: list[str] | None = None) -> None:
        """Let prices walk from the seed; 0 seconds ends it."""
        self._call("POST", "walk", {"every": every_seconds, "basis_points": basis_points, "symbols": symbols})

    def policy(self, **changes: Any) -> None:
        """delay, parts, part_delay, cancel_delay (each from, to), hold, answer_status; for all, or one of account,
        symbol, client_order_id."""
        self._call("POST", "policy", changes)

    def state(self) -> dict[str, Any]:
        return self._call("GET", "state")

    # orders

    def fill(
        self, order: str, *, quantity: Number | None = None, price: Number | None = None, **more: str
    ) -> None:
        """Fill an order (client's or broker's id) now, even one that is on hold; what is left, at the last price."""
        given = {"qty": quantity, "price": price}
        self._call(
            "POST", f"orders/{order}/fill", more | {n: str(v) for n, v in given.items() if v is not None}
        )

    def cancel(self, order: str) -> None:
        """As if the broker or somebody in its app had cancelled it."""
        self._call("POST", f"orders/{order}/cancel")

    def expire(self, order: str) -> None:
        self._call("POST", f"orders/{order}/expire")

    def reject(self, order: str) -> None:
        self._call("POST", f"orders/{order}/reject")

    def expire_day_orders(self, **account: str) -> int:
        """The exchange closes. How many ended."""
        return int(self._call("POST", "expire_day", account)["expired"])

    # others in the account

    def foreign_order(
        self, account: str, *, symbol: str, side: str, qty: Number, **terms: Any
    ) -> dict[str, Any]:
        """An order that somebody made in the broker's own app; as Alpaca tells it."""
        facts = {"account": account, "symbol": symbol, "side": side, "qty": str(qty)}
        return self._call("POST", "foreign/order", facts | {"type": "market", "time_in_force": "day"} | terms)

    def foreign_position(self, account: str, *, symbol: str, qty: Number) -> None:
        self._call("POST", "foreign/position", {"account": account, "symbol": symbol, "qty": str(qty)})

    def foreign_cash(self, account: str, amount: Number) -> None:
        self._call("POST", "foreign/cash", {"account": account, "amount": str(amount)})

    def activity(
        self, account: str, activity_type: str, amount: Number | None, *, in_cash: bool = True, listed: bool = True,
        listed_after: float = 0.0, **more: Any,
    ) -> str:  # fmt: skip
        """Money that the broker moves outside of orders; more: further facts as Alpaca tells them. Its id."""
        facts = {
            "account": account,
            "activity_type": activity_type,
            "net_amount": amount and str(amount),
        } | more
        how = {"in_cash": in_cash, "listed": listed, "listed_after": listed_after}
        return str(self._call("POST", "activity", facts | how)["id"])

    def charge_fees(self, account: str) -> str:
        """The day is over: what its sales have accrued is charged. The activity's id."""
        return str(self._call("POST", "charge_fees", {"account": account})["id"])

    # what goes wrong

    def misbehave(self, name: str, **rule: Any) -> int:
        """One rule, see tests/simulator/mischief.py; its number."""
        return int(self._call("POST", "mischief", {"rules": [{"name": name} | rule]})["rules"][0])

    def behave(self) -> None:
        """Forget all rules."""
        self._call("DELETE", "mischief")

    def cut_streams(self, *, account: str = "", every_seconds: tuple[float, float] | None = None) -> None:
        """Break them now, or again and again after so many seconds."""
        facts: dict[str, Any] = {"account": account} | ({"every": every_seconds} if every_seconds else {})
        self._call("POST", "streams/cut", facts)

    def leave_streams_alone(self) -> None:
        """No more `cut_streams` by itself."""
        self._call("POST", "streams/cut", {"every": None})

    def refuse_connections(self, seconds: float) -> None:
        """Break all connections, and refuse new ones, this object's too, for so long."""
        self._call("POST", "refuse", {"seconds": seconds})

    def _call(self, method: str, path: str, facts: dict[str, Any] | None = None) -> dict[str, Any]:
        response = self._client.request(method, f"/{path}", json=facts)
        assert response.status_code == 200, f"{method} {path} {facts}: {response.status_code} {response.text}"
        answer: dict[str, Any] = response.json()
        return answer


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    """A simulator of one's own; what it printed is shown with a failure."""
    started = Simulator(tmp_path / "simulator")
    try:
        started.start()
        yield started
    finally:
        started.stop()
        print(started.output_path.read_text()[-4000:])
