"""A stop of the platform or of a symbol is told to each portfolio that it concerns, in its own journal, once."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from journal.core.events import PLATFORM_STREAM
from journal.models import Alert, AlertDelivery, Entry, Stream
from sessions.services.sessions import start_trading_session, stop_trading_session
from tests.harness.people import person
from tests.harness.trading import Desk, Market
from tests.integration.trading.steps import held_by_another
from trading.models import Halt, HaltNotice
from trading.services.breakers import trip
from trading.services.draining import drain_all
from trading.services.emergency_stop import arm, release, release_after_outage
from trading.services.stop_notices import tell_portfolios
from trading.services.stopping import finish_stopping
from trading.tasks import drain_halts

pytestmark = pytest.mark.integration


def heard(desk: Desk) -> list[str]:
    """What the portfolio's journal tells of stops."""
    told = Entry.objects.filter(stream_id=desk.portfolio.id, kind__startswith="halt.").order_by("seq")
    return list(told.values_list("kind", flat=True))


@pytest.fixture
def dora(market: Market) -> Any:
    return get_user_model().objects.create(username="dora", is_staff=True)


@pytest.fixture
def root(market: Market) -> Any:
    return get_user_model().objects.create(username="root", is_staff=True)


def stopped(desk: Desk) -> Desk:
    stop_trading_session(session_id=desk.session.id, actor=desk.owner, reason="enough")
    finish_stopping()
    assert desk.refresh().session.status == "stopped"
    return desk


def test_whoever_trades_hears_of_the_arming_and_of_the_release_once(
    desks: Callable[[int], list[Desk]], dora: Any, root: Any
) -> None:
    one, other, idle = desks(3)
    stopped(idle)
    halt = arm(scope="platform", reason="smoke in the room", actor=dora)
    for _ in range(2):
        drain_halts()
    assert [heard(desk) for desk in (one, other, idle)] == [["halt.armed"], ["halt.armed"], []]
    release(halt_id=halt.id, actor=root)
    for _ in range(2):
        drain_halts()
    assert [heard(desk) for desk in (one, other, idle)] == [["halt.armed", "halt.released"]] * 2 + [[]]
    assert not HaltNotice.objects.exists()
    told = Entry.objects.get(stream_id=one.portfolio.id, kind="halt.armed")
    assert f'"halt_id":"{halt.id}"' in told.payload and '"scope":"platform"' in told.payload
    assert told.at == halt.armed_at


def test_it_is_a_notification_of_the_owner_and_the_operators_get_no_second_message(
    desk: Desk, dora: Any, settings: Any
) -> None:
    settings.ALERT_WEBHOOK_URL = "https://operators.example/"
    arm(scope="platform", reason="smoke in the room", actor=dora)
    drain_halts()
    headers = person("alice").headers
    found = Client().get("/api/alerts", headers=headers).json()["results"]
    assert [(row["severity"], row["kind"]) for row in found] == [("critical", "halt.armed")]
    assert "(halt on platform) armed by dora: smoke in the room" in found[0]["message"]
    assert Alert.objects.count() == 2
    delivered = AlertDelivery.objects.values_list("alert__stream", "channel")
    assert sorted(delivered) == [(PLATFORM_STREAM, "log"), (PLATFORM_STREAM, "webhook")]


def test_a_busy_journal_keeps_nobody_else_from_hearing(desks: Callable[[int], list[Desk]], dora: Any) -> None:
    made = desks(3)
    arm(scope="platform", reason="a test", actor=dora)
    with held_by_another(Stream, made[1].portfolio.id):
        drain_halts()
        assert [heard(desk) for desk in made] == [["halt.armed"], [], ["halt.armed"]]
    drain_halts()
    assert [heard(desk) for desk in made] == [["halt.armed"]] * 3


def test_what_another_process_is_telling_is_not_told_twice(desk: Desk, dora: Any) -> None:
    arm(scope="platform", reason="a test", actor=dora)
    drain_all()
    notice = HaltNotice.objects.get()
    with held_by_another(HaltNotice, notice.pk):
        tell_portfolios()
        assert heard(desk) == []
    tell_portfolios()
    assert heard(desk) == ["halt.armed"]


def test_a_stop_that_is_over_before_anybody_heard_is_told_in_its_order(
    desk: Desk, dora: Any, root: Any
) -> None:
    halt = arm(scope="platform", reason="a test", actor=dora)
    release(halt_id=halt.id, actor=root)
    drain_halts()
    assert heard(desk) == ["halt.armed", "halt.released"]


def test_who_begins_to_trade_while_it_is_in_force_hears_that_it_is_over(
    desk: Desk, dora: Any, root: Any
) -> None:
    stopped(desk)
    halt = arm(scope="platform", reason="a test", actor=dora)
    drain_halts()
    start_trading_session(portfolio_id=desk.portfolio.id, config={}, actor=desk.owner)
    release(halt_id=halt.id, actor=root)
    drain_halts()
    assert heard(desk) == ["halt.released"]


def test_the_end_of_an_outage_is_told_as_a_release_is(desk: Desk) -> None:
    halt = trip(
        breaker="beat_silence", scope="platform", scope_id="", episode="first", reason="silent",
        numbers={"limit": 60},
    )  # fmt: skip
    assert halt is not None
    drain_halts()
    release_after_outage(halt_id=halt.id)
    drain_halts()
    assert heard(desk) == ["halt.armed", "halt.released"]
    told = Alert.objects.get(stream=desk.portfolio.id, kind="halt.released").message
    assert told == f"Emergency stop ({halt}) over: what its breaker missed is heard again"


def test_a_symbols_stop_concerns_whoever_may_trade_or_holds_it(market: Market, dora: Any) -> None:
    market.tick()
    exchange = market.instruments[0].exchange_id

    def trading(owner: str, **config: Any) -> Desk:
        return Desk.open(market, owner=owner, config=config)

    concerned = [
        trading("all"), trading("named", universe={"symbols": ["AAA", "BBB"]}),
        trading("listed", universe={"symbols": ["BBB"], "exchanges": [exchange]}),
    ]  # fmt: skip
    market.advise("AAA")
    holder = trading("holder")
    holder.step()
    assert holder.held("AAA") > 0
    stopped(holder)
    start_trading_session(
        portfolio_id=holder.portfolio.id, config={"universe": {"symbols": ["BBB"]}}, actor=holder.owner
    )
    other = trading("other", universe={"symbols": ["BBB"]})
    arm(scope="symbol", scope_id="AAA", reason="a test", actor=dora)
    drain_halts()
    assert [heard(desk) for desk in (*concerned, holder)] == [["halt.armed"]] * 4
    assert heard(other) == []


def test_a_portfolios_own_stop_is_told_as_before(desks: Callable[[int], list[Desk]]) -> None:
    mine, other = desks(2)
    arm(scope="portfolio", scope_id=str(mine.portfolio.id), reason="a test", actor=mine.owner)
    drain_halts()
    assert [heard(mine), heard(other)] == [["halt.armed", "halt.drained"], []]
    assert not HaltNotice.objects.exists()


def test_many_are_told_in_as_many_queries_as_few(
    desks: Callable[[int], list[Desk]], dora: Any, root: Any
) -> None:
    def queries() -> int:
        halt = arm(scope="platform", reason="a test", actor=dora)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            drain_halts()
            release(halt_id=halt.id, actor=root)
            drain_halts()
        return len(captured)

    few = desks(2)
    of_few = queries()
    many = desks(6)
    assert queries() == of_few
    assert [heard(desk) for desk in many] == [["halt.armed", "halt.released"]] * 6
    assert [len(heard(desk)) for desk in few] == [4, 4]
    assert Halt.objects.filter(released_at=None).count() == 0
