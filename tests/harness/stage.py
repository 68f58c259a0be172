"""The stage of the end-to-end tests: everything that the Procfile starts, on the sample market."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from market.models import RecommendationSource
from market.services.load import load_sample_market
from rules.examples import EXAMPLES
from tests.harness.people import Person, person
from tests.harness.processes import Processes

WORKERS = ("worker_evaluation", "worker_execution", "worker_notification", "worker_support")


class Stage:
    """Nobody trades yet; `start` starts the processes, with more environment for single ones if need be."""

    def __init__(self, processes: Processes, alice: Person, recommender: Person) -> None:
        self.processes = processes
        self.alice = httpx.Client(base_url=processes.base_url, headers=alice.headers, timeout=10)
        self.recommender = httpx.Client(base_url=processes.base_url, headers=recommender.headers, timeout=10)
        self.headers = alice.headers

    def start(self, *, bars_per_second: str = "2", **environment_of: dict[str, str]) -> None:
        for name in ("web", "feed", "beat", *WORKERS):
            self.processes.start(name, REPLAY_BARS_PER_SECOND=bars_per_second, **environment_of.get(name, {}))
        self.processes.wait_ready("web", *WORKERS)

    def post(self, path: str, body: Any, *, client: httpx.Client | None = None) -> Any:
        answer = (client or self.alice).post(f"/api/{path}", json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self.alice.get(f"/api/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def open_portfolio(self, name: str = "First") -> str:
        """A portfolio with money and the specification's two rules, all over HTTP."""
        portfolio_id: str = self.post("portfolios", {"name": name})["id"]
        self.post(f"portfolios/{portfolio_id}/deposits", {"amount": "100000.00"})
        for example in EXAMPLES:
            self.post("auto-trading/rules", json.loads(example) | {"portfolio_id": portfolio_id})
        return portfolio_id

    def advise(self, *symbols: str) -> None:
        """STRONG_BUY, pushed through the API until the feed has given the market its time."""
        items = [
            {"external_id": f"e2e:{symbol}", "symbol": symbol, "recommendation": "STRONG_BUY", "confidence": 0.9,
             "expires_at": "2013-12-31T00:00:00Z"}
            for symbol in symbols
        ]  # fmt: skip

        def pushed() -> bool:
            body = {"source": "demo", "recommendations": items}
            return self.recommender.post("/api/recommendations", json=body).status_code in (200, 201)

        self.processes.wait_for("web", pushed)

    def follow(self, portfolio_id: str, *, since: int) -> ClientConnection:
        url = self.processes.base_url.replace("http", "ws")
        return connect(
            f"{url}/ws/events?portfolio={portfolio_id}&since={since}", additional_headers=self.headers
        )


@pytest.fixture
def stage(processes: Processes) -> Iterator[Stage]:
    load_sample_market()
    alice, recommender = person("alice"), person("demo-recommender")
    RecommendationSource.objects.create(name="demo", pusher=recommender.user)
    made = Stage(processes, alice, recommender)
    with made.alice, made.recommender:
        yield made
