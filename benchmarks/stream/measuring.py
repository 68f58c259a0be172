"""Event → client, and how many deliveries a second, of a thousand clients; the floor is a bare Channels `group_send`.

Our server and the bare one, each one process by the Procfile's line, stand beside each other on the same Valkey, with
as many clients each: twenty on each of fifty portfolios. Rounds take turns. In a quiet round one event is sent at a
time, at a steady pace, and each delivery is timed from the commit (or the call of `group_send`) to the client's socket.
In a loud round all are sent as fast as they go, and the deliveries counted from the first commit to the last of them.

Then ours alone: every client is cut again and again, all of them once at the same moment, and Valkey is killed and
comes back empty while events go on. Each client must have had every event once and in order, or there are no figures.
"""

import asyncio
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypedDict
from uuid import UUID

from channels.layers import get_channel_layer
from django.db import transaction
from knox.models import get_token_model

from autotrading_project.embedded.servers import EmbeddedServers
from benchmarks.figure import Figure
from benchmarks.stream.bare import group_of
from benchmarks.stream.crowd import Crowd, Got, Server, allow_sockets, pause, plan
from benchmarks.trading_world import user
from foundation.clock import database_now
from foundation.core.canonical import canonical_json
from journal.core.events import Event
from journal.core.kinds import EventKind, register
from journal.selectors import heads
from journal.services.journal import append
from portfolios.services.portfolios import create_portfolio

CLIENTS = int(os.environ.get("STREAM_CLIENTS", "1000"))
PORTFOLIOS = 50
PROCESSES = 2
ROUNDS = 5
QUIET_EVENTS, QUIET_PER_SECOND = 100, 10
LOUD_EVENTS_EACH = 20
RESTLESS_SECONDS = 30.0
RESTLESS_FOR_SECONDS = 40.0
WAIT_SECONDS = 120.0
FILLER = "x" * 500  # with it an event is about as long as a fill
KIND = "benchmark.happened"
AT = "2026-11-02T15:30:00.123456Z"
Moments = dict[tuple[str, int], float]


class Happened(TypedDict):
    filler: str


register(EventKind(KIND, "Made by a benchmark", Happened))


class Ours:
    """Appends events as services do; `seq` by stream."""

    def __init__(self, streams: Sequence[UUID]) -> None:
        self.seqs = heads(streams)

    def send(self, streams: Sequence[UUID], moments: Moments) -> None:
        """One transaction; the moment of its commit is noted for each event."""
        for stream in streams:
            self.seqs[stream] += 1
        keys = [(str(stream), self.seqs[stream]) for stream in streams]

        def committed() -> None:
            moments.update(dict.fromkeys(keys, time.monotonic()))

        with transaction.atomic():
            transaction.on_commit(committed)  # before the hints, which go out on commit too
            append([Event(stream, KIND, database_now(), {"filler": FILLER}) for stream in streams])

    def heads(self) -> dict[str, int]:
        return {str(stream): seq for stream, seq in self.seqs.items()}


class Bare:
    """The same texts to the groups of a bare server."""

    def __init__(self, streams: Sequence[UUID]) -> None:
        self.seqs = dict.fromkeys(streams, 0)

    async def send(self, stream: UUID, moments: Moments) -> None:
        self.seqs[stream] += 1
        seq = self.seqs[stream]
        text = canonical_json(
            {"stream": stream, "seq": seq, "kind": KIND, "at": AT, "payload": {"filler": FILLER}}
        )  # fmt: skip
        moments[str(stream), seq] = time.monotonic()
        await get_channel_layer().group_send(group_of(str(stream)), {"type": "told", "text": text})


def measure() -> Iterator[Figure]:
    allow_sockets(4 * CLIENTS + 500)
    valkey = EmbeddedServers(Path(os.environ["DATA_DIR"]), durable=True, say=lambda _: None, postgres=False)
    valkey.start()  # anew, as a child that can be killed
    streams, tokens = _make_world()
    server, bare_server = Server(), Server("benchmarks.stream.bare:application")
    crowd, bare_crowd = Crowd(processes=PROCESSES), Crowd(processes=PROCESSES)
    try:
        ours, bare = Ours(streams), Bare(streams)
        each = [streams[number % PORTFOLIOS] for number in range(CLIENTS)]
        crowd.connect(
            [
                plan(
                    server,
                    path=f"/ws/events?portfolio={key}",
                    stream=str(key),
                    since=ours.seqs[key],
                    token=tokens[key],
                )
                for key in each
            ]
        )
        bare_crowd.connect([plan(bare_server, path=f"/?{key}", stream=str(key), since=None) for key in each])
        clients_of = {str(key): each.count(key) for key in streams}
        quiet, loud = _take_turns(ours, bare, crowd, bare_crowd)
        bare_crowd.stop()
        told = _disturb(ours, crowd, valkey)
        yield from _figures(quiet, loud, clients_of, told)
    finally:
        crowd.stop()
        server.stop()
        bare_server.stop()
        valkey.stop()


def _make_world() -> tuple[list[UUID], dict[UUID, str]]:
    """Portfolios, and the token of each one's owner."""
    streams, tokens = [], {}
    for number in range(PORTFOLIOS):
        owner = user(f"owner{number}")
        portfolio = create_portfolio(name=f"Crowd {number}", owner=owner)
        streams.append(portfolio.pk)
        _, tokens[portfolio.pk] = get_token_model().objects.create(user=owner)
    return streams, tokens


Round = tuple[Moments, Got]


def _take_turns(
    ours: Ours, bare: Bare, crowd: Crowd, bare_crowd: Crowd
) -> tuple[list[tuple[Round, Round]], list[tuple[Round, Round]]]:
    """Quiet and loud rounds, each of ours and of the bare one; the first of each warms up and does not count."""
    quiet, loud = [], []
    for _ in range(1 + ROUNDS):
        quiet.append(
            (
                _round(crowd, ours.heads, partial(_ours_quiet, ours)),
                _bare_round(bare_crowd, bare, _bare_quiet),
            )
        )
        loud.append(
            (_round(crowd, ours.heads, partial(_ours_loud, ours)), _bare_round(bare_crowd, bare, _bare_loud))
        )
    return quiet[1:], loud[1:]


def _round(crowd: Crowd, wanted: Callable[[], Mapping[str, int]], send: Callable[[Moments], None]) -> Round:
    moments: Moments = {}
    send(moments)
    return moments, crowd.until(wanted(), seconds=WAIT_SECONDS)


def _bare_round(crowd: Crowd, bare: Bare, send: Callable[[Bare, Moments], None]) -> Round:
    before = dict(bare.seqs)
    return _round(
        crowd, lambda: {str(key): bare.seqs[key] - before[key] for key in bare.seqs}, partial(send, bare)
    )


def _ours_quiet(ours: Ours, moments: Moments) -> None:
    streams, begin = list(ours.seqs), time.monotonic()
    for number in range(QUIET_EVENTS):
        pause(begin + number / QUIET_PER_SECOND)
        ours.send([streams[number % PORTFOLIOS]], moments)


def _bare_quiet(bare: Bare, moments: Moments) -> None:
    async def send() -> None:
        streams, begin = list(bare.seqs), time.monotonic()
        for number in range(QUIET_EVENTS):
            await asyncio.sleep(max(0.0, begin + number / QUIET_PER_SECOND - time.monotonic()))
            await bare.send(streams[number % PORTFOLIOS], moments)

    asyncio.run(send())


def _ours_loud(ours: Ours, moments: Moments) -> None:
    for _ in range(LOUD_EVENTS_EACH):
        ours.send(list(ours.seqs), moments)


def _bare_loud(bare: Bare, moments: Moments) -> None:
    async def send() -> None:
        for _ in range(LOUD_EVENTS_EACH):
            await asyncio.gather(*(bare.send(stream, moments) for stream in list(bare.seqs)))

    asyncio.run(send())


def _disturb(ours: Ours, crowd: Crowd, valkey: EmbeddedServers) -> str:
    """Events all the time; what happened to the clients meanwhile, in words. RuntimeError when one missed any."""
    crowd.be_restless(RESTLESS_SECONDS)
    before = sum(ours.seqs.values())
    begin = time.monotonic()
    _send_for(ours, begin, until=RESTLESS_FOR_SECONDS / 3)
    assert valkey.valkey is not None and valkey.valkey.child is not None
    valkey.valkey.child.kill()
    valkey.valkey.child.wait(10)
    _send_for(ours, begin, until=RESTLESS_FOR_SECONDS / 2)
    valkey.start()
    _send_for(ours, begin, until=RESTLESS_FOR_SECONDS)
    crowd.be_restless(0)
    crowd.until(ours.heads(), seconds=WAIT_SECONDS)
    cut_at = time.monotonic()
    crowd.cut_all()
    ours.send(list(ours.seqs), {})
    got = crowd.until(ours.heads(), seconds=WAIT_SECONDS)
    back = max(moment for _, _, moment in got.received) - cut_at
    events = sum(ours.seqs.values()) - before
    return (
        f"then {got.reconnects} reconnects and a killed Valkey during {events} events, and no client missed one or got "
        f"one twice; cut all at once, the last of {CLIENTS} was back and had what had happened after {back:.1f} s"
    )


def _send_for(ours: Ours, begin: float, *, until: float) -> None:
    """Ten transactions a second, one event for every fifth portfolio each."""
    number = 0
    while time.monotonic() < begin + until:
        ours.send(list(ours.seqs)[number % 5 :: 5], {})
        number += 1
        time.sleep(0.1)


def _figures(
    quiet: Sequence[tuple[Round, Round]],
    loud: Sequence[tuple[Round, Round]],
    clients_of: Mapping[str, int],
    told: str,
) -> Iterator[Figure]:
    where = f"{CLIENTS} clients, {CLIENTS // PORTFOLIOS} on each of {PORTFOLIOS} streams, one server process"
    mine, floor = ([_latencies(rounds[side]) for rounds in quiet] for side in (0, 1))
    deliveries = QUIET_EVENTS * CLIENTS // PORTFOLIOS
    assert all(len(each) == deliveries for each in (*mine, *floor)), "every event came to every client once"
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        yield Figure(
            f"stream.latency_{name}", _median_of(mine, share), "ms", _median_of(floor, share),
            f"{name} of bare Channels group_send → client", n=ROUNDS,
            notes=f"commit → client; {where}; {QUIET_PER_SECOND} events/s, median of {ROUNDS} rounds of {deliveries} "
            "deliveries",
        )  # fmt: skip
    yield Figure(
        "stream.deliveries", _median_rate(loud, 0), "deliveries/s", _median_rate(loud, 1),
        "bare Channels group_send, the same texts", n=ROUNDS,
        notes=f"{where}; {LOUD_EVENTS_EACH * PORTFOLIOS} events as fast as they go, first commit to last delivery; "
        f"{told}",
    )  # fmt: skip


def _latencies(done: Round) -> list[float]:
    """Milliseconds, in order."""
    moments, got = done
    return sorted((moment - moments[stream, seq]) * 1000 for stream, seq, moment in got.received)


def _median_of(rounds: Sequence[Sequence[float]], share: float) -> float:
    return round(statistics.median(each[math.ceil(len(each) * share) - 1] for each in rounds), 2)


def _median_rate(rounds: Sequence[tuple[Round, Round]], side: int) -> float:
    rates = []
    for both in rounds:
        moments, got = both[side]
        rates.append(
            len(got.received) / (max(moment for _, _, moment in got.received) - min(moments.values()))
        )
    return round(statistics.median(rates))
