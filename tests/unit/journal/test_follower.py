"""A follower is known to the hub for as long as its socket is open, and no longer."""

import asyncio
from collections import defaultdict
from uuid import UUID

import pytest
from django.db import OperationalError

from journal.stream.follower import Follower

FIRST, LATE = UUID(int=1), UUID(int=2)


class HubOfOne:
    """Keeps who is attached to what; a stream has three events, and its head is read with a pause, if it can be."""

    def __init__(self):
        self.followers = defaultdict(set)
        self.is_broken = False

    async def attach(self, follower, streams):
        for stream in streams:
            self.followers[stream].add(follower)
        await asyncio.sleep(0)
        if self.is_broken:
            raise OperationalError("the database has gone")
        return dict.fromkeys(streams, 3)

    def detach(self, follower, streams):
        for stream in streams:
            self.followers[stream].discard(follower)

    @property
    def attached(self):
        return {stream for stream, followers in self.followers.items() if followers}


async def _nothing(text):
    """Nobody reads it."""


def followed():
    hub = HubOfOne()
    return hub, Follower(hub, _nothing, heartbeat_seconds=30)


def test_a_portfolio_that_joins_is_attached_until_the_end():
    async def play():
        hub, follower = followed()
        await follower.begin({FIRST: 0})
        await follower.begin({LATE: None})
        assert hub.attached == {FIRST, LATE}
        follower.end()
        return hub

    assert asyncio.run(play()).attached == set()


def test_a_portfolio_that_joins_a_socket_that_has_ended_is_not_attached():
    async def play():
        hub, follower = followed()
        await follower.begin({FIRST: 0})
        follower.end()
        await follower.begin({LATE: None})
        return hub, follower

    hub, follower = asyncio.run(play())
    assert hub.attached == set()
    assert LATE not in follower.streams


def test_a_socket_that_ends_while_a_portfolio_joins_leaves_nothing():
    async def play():
        hub, follower = followed()
        await follower.begin({FIRST: 0})
        joining = asyncio.create_task(follower.begin({LATE: None}))
        await asyncio.sleep(0)
        assert hub.attached == {FIRST, LATE}
        follower.end()
        await joining
        return hub

    assert asyncio.run(play()).attached == set()


def test_a_portfolio_that_could_not_join_is_not_followed_and_joins_later():
    async def play():
        hub, follower = followed()
        await follower.begin({FIRST: 0})
        hub.is_broken = True
        with pytest.raises(OperationalError):
            await follower.begin({LATE: None})
        assert (hub.attached, follower.streams) == ({FIRST}, {FIRST})
        hub.is_broken = False
        await follower.begin({LATE: None})
        return hub, follower

    hub, follower = asyncio.run(play())
    assert hub.attached == follower.streams == {FIRST, LATE}
    assert follower.position_of(LATE) == 3
