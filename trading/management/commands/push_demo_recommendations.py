"""A process of the demonstration: it pushes invented advice through the public API, as any source would."""

import json
import signal
import threading
from datetime import UTC, date
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.dateparse import parse_datetime

from trading.services.demo import DEMO_SOURCE, invented_recommendations

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
        pushed_day: date | None = None
        with httpx.Client(base_url=demo["base_url"], headers=headers, timeout=TIMEOUT_SECONDS) as client:
            while not stop.wait(POLL_SECONDS):
                try:
                    pushed_day = push_if_new_day(client, pushed_day)
                except httpx.HTTPError as error:
                    log.warning("demo_push_failed", error=repr(error))


def push_if_new_day(client: httpx.Client, pushed_day: date | None) -> date | None:
    """Push once for each market day; returns the day that is pushed. Raises httpx.HTTPError: try again.

    A conflict means that the day was pushed before with other content, by an older version of this code:
    what is stored stands, and trying again would change nothing.
    """
    answer = client.get("/api/market/snapshot")
    if answer.status_code == 404:  # nothing is published yet
        return pushed_day
    snapshot = answer.raise_for_status().json()
    as_of = parse_datetime(snapshot["as_of"])
    assert as_of is not None
    day = as_of.astimezone(UTC).date()
    if day == pushed_day:
        return pushed_day
    symbols = [row["symbol"] for row in snapshot["symbols"] if row["price"] is not None]
    items = invented_recommendations(symbols=symbols, day=day)
    if items:
        answer = client.post("/api/recommendations", json={"source": DEMO_SOURCE, "recommendations": items})
        if answer.status_code == httpx.codes.CONFLICT:
            log.info("demo_day_was_pushed_before", day=day.isoformat())
        else:
            answer.raise_for_status()
    return day
