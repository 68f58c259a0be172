"""A client of the simulated broker that knows nothing but the protocol: plain HTTP and a plain WebSocket."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.harness.simulator import Simulator

KEY, SECRET = "ALICE", "secret"
HEARS_SECONDS = 5.0


class Alpaca:
    """A client that knows nothing but the protocol."""

    def __init__(self, simulator: Simulator, key: str = KEY, secret: str = SECRET) -> None:
        self.key, self.secret = key, secret
        self._stream_url = simulator.stream_url
        self.http = httpx.Client(
            base_url=simulator.base_url,
            headers={"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret},
            timeout=HEARS_SECONDS,
        )

    def submit(self, client_order_id: str = "one", **terms: Any) -> httpx.Response:
        """A market order for 10 AAPL, day, unless told otherwise; None leaves a term out."""
        order = {"symbol": "AAPL", "qty": "10", "side": "buy", "type": "market", "time_in_force": "day"}
        wanted = order | {"client_order_id": client_order_id} | terms
        return self.http.post("/v2/orders", json={n: v for n, v in wanted.items() if v is not None})

    def order(self, client_order_id: str = "one") -> dict[str, Any]:
        answer = self.http.get("/v2/orders:by_client_order_id", params={"client_order_id": client_order_id})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def cancel(self, client_order_id: str = "one") -> httpx.Response:
        return self.http.delete(f"/v2/orders/{self.order(client_order_id)['id']}")

    def get(self, path: str, **query: str) -> Any:
        answer = self.http.get(f"/v2/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_until(self, condition: Callable[[], bool], seconds: float = HEARS_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not so after {seconds} s"
            time.sleep(0.01)

    def wait_for(self, status: str, client_order_id: str = "one") -> dict[str, Any]:
        """The order, once it has this status."""
        self.wait_until(lambda: self.order(client_order_id)["status"] == status)
        return self.order(client_order_id)

    @contextmanager
    def stream(self) -> Iterator["Ear"]:
        """Logged in and listening."""
        with connect(self._stream_url) as connection:
            ear = Ear(connection)
            ear.say("authenticate", key_id=self.key, secret_key=self.secret)
            assert ear.hear()["data"]["status"] == "authorized"
            ear.say("listen", streams=["trade_updates"])
            assert ear.hear() == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
            yield ear


class Ear:
    """One WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def say(self, action: str, **data: Any) -> None:
        self.connection.send(json.dumps({"action": action, "data": data}))

    def hear(self, seconds: float = HEARS_SECONDS) -> dict[str, Any]:
        """The next message; TimeoutError when there is none."""
        message: dict[str, Any] = json.loads(self.connection.recv(timeout=seconds))
        return message

    def events(self, count: int) -> list[dict[str, Any]]:
        """The data of the next events."""
        return [self.hear()["data"] for _ in range(count)]

    def is_silent(self, seconds: float = 0.2) -> bool:
        try:
            self.connection.recv(timeout=seconds)
        except TimeoutError:
            return True
        return False
