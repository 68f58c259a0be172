"""A process of the demonstration: it pushes invented advice through the public API, as any source would."""

import json
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.dateparse import parse_datetime

from trading.services.demo import invented_recommendations

log = structlog.get_logger(__name__)
POLL_SECONDS = 0.5
TIMEOUT_SECONDS = 5.0


class Command(BaseCommand):
    help = "Push invented recommendations, labelled `demo`, through the API with every new market day."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()

        def end(number: int, frame: FrameType | None) -> None:
            stop.set()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        demo = json.loads((Path(settings.DATA_DIR) / "demo.json").read_text())
        headers = {"Authorization": f"Token {demo['users']['demo-recommender']['token']}"}
        pushed_day = None
        with httpx.Client(base_url=demo["base_url"], headers=headers, timeout=TIMEOUT_SECONDS) as client:
            while not stop.wait(POLL_SECONDS):
                try:
                    pushed_day = _push_if_new_day(client, pushed_day)
                except httpx.HTTPError as error:
                    log.warning("demo_push_failed", error=repr(error))


def _push_if_new_day(client: httpx.Client, pushed_day: str | None) -> str | None:
    """Push once for each market day; returns the day that is pushed."""
    answer = client.get("/api/market/snapshot")
    if answer.status_code == 404:  # nothing is published yet
        return pushed_day
    snapshot = answer.raise_for_status().json()
    as_of = parse_datetime(snapshot["as_of"])
    assert as_of is not None
    day = as_of.date().isoformat()
    if day == pushed_day:
        return pushed_day
    symbols = [row["symbol"] for row in snapshot["symbols"] if row["price"] is not None]
    items = invented_recommendations(symbols=symbols, as_of=as_of)
    if items:
        client.post(
            "/api/recommendations", json={"source": "demo", "recommendations": items}
        ).raise_for_status()
    return day
