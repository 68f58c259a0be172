"""A web process that is told to end, as by a deployment, sends its clients away: they come again and miss nothing."""

import json
import signal
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection, connect

from journal.models import Entry
from portfolios.models import Member
from portfolios.services.portfolios import deposit
from tests.harness.following import next_event
from tests.harness.stage import Stage

pytestmark = [pytest.mark.end_to_end, pytest.mark.integration]
SECONDS = 30


def end_of(socket: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """What came until the server closed it, and the code in the frame with which it did."""
    events: list[dict[str, Any]] = []
    while True:
        try:
            events.append(next_event(socket, timeout=SECONDS))
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the line broke without a word"
            return events, closed.rcvd.code


def test_clients_are_told_to_come_again_and_go_on_where_they_were(stage: Stage) -> None:
    stage.processes.start("web")
    stage.processes.wait_ready("web")
    portfolio = stage.open_portfolio()
    address = stage.processes.base_url.replace("http", "ws") + "/ws/events"
    with (
        stage.follow(portfolio, since=0) as following,
        connect(address, additional_headers=stage.headers) as of_everything,
        connect(address, additional_headers=stage.headers),  # has not said yet what it wants
    ):
        of_everything.send(json.dumps({"since": {portfolio: 0}}))
        seen = [next_event(following, timeout=SECONDS)["seq"]]
        assert next_event(of_everything, timeout=SECONDS)["seq"] == 1
        # uvicorn ends in good order, and then by the signal that it was sent
        assert stage.processes.stop("web") == {"web": -signal.SIGTERM}
        for socket in (following, of_everything):
            events, code = end_of(socket)
            assert code == CloseCode.SERVICE_RESTART
            if socket is following:
                seen += [event["seq"] for event in events]

    owner = Member.objects.get(portfolio_id=portfolio).user
    for _ in range(3):  # while nobody serves
        deposit(portfolio_id=UUID(portfolio), amount=Decimal(100), actor=owner)
    stage.processes.start("web")
    stage.processes.wait_ready("web")
    recorded = list(Entry.objects.filter(stream_id=portfolio).order_by("seq").values_list("seq", flat=True))
    with stage.follow(portfolio, since=seen[-1]) as again:
        while len(seen) < len(recorded):
            seen.append(next_event(again, timeout=SECONDS)["seq"])
    assert seen == recorded
