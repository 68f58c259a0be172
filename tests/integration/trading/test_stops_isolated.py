"""A stop cancels each portfolio's orders on its own: one that is busy or broken keeps nobody else's in the market."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from journal.models import Alert, Stream
from portfolios.models import Portfolio
from tests.harness.databases import CommittedDatabase
from tests.harness.trading import Desk, Market
from tests.integration.trading.steps import held_by_another
from trading.management.commands import emergency_stop as command
from trading.models import Halt
from trading.services.draining import drain_all
from trading.services.emergency_stop import arm
from trading.services.verification import book_differences
from trading.services.watching import watch_breakers

pytestmark = pytest.mark.integration
Trouble = Callable[[Desk], AbstractContextManager[None]]


@pytest.fixture
def three(market: Market, desks: Callable[[int], list[Desk]]) -> list[Desk]:
    """Each has an order that waits."""
    made = desks(3)
    market.advise("AAA")
    market.tick()
    made[0].evaluate()
    assert statuses(made) == ["pending"] * 3
    return made


def statuses(desks: list[Desk]) -> list[str]:
    return [desk.trades()[0].status for desk in desks]


@pytest.fixture
def trouble(request: pytest.FixtureRequest, committed_db: CommittedDatabase) -> Trouble:
    """Keeps a portfolio's cancels from being written for as long as it lasts."""

    @contextmanager
    def broken(desk: Desk) -> Iterator[None]:
        with committed_db.as_owner() as owner:
            owner.execute(
                "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                f" IF NEW.portfolio_id = '{desk.portfolio.id}' THEN RAISE EXCEPTION 'a defect'; END IF;"
                " RETURN NEW; END $$"
            )
            owner.execute(
                "CREATE TRIGGER broken BEFORE UPDATE ON auto_trades FOR EACH ROW EXECUTE FUNCTION broken()"
            )
            yield
            owner.execute("DROP FUNCTION broken() CASCADE")

    return {
        "its books are locked": lambda desk: held_by_another(Portfolio, desk.portfolio.id),
        "its journal is locked": lambda desk: held_by_another(Stream, desk.portfolio.id),
        "it is broken": broken,
    }[request.param]


ALL = pytest.mark.parametrize(
    "trouble", ["its books are locked", "its journal is locked", "it is broken"], indirect=True
)


@ALL
def test_the_others_are_cancelled_at_once_and_the_one_that_is_left_by_the_next_round(
    three: list[Desk], trouble: Trouble
) -> None:
    arm(scope="platform", reason="a test", actor=three[0].owner)
    with trouble(three[1]):
        assert drain_all() == 0
        assert statuses(three) == ["cancelled", "pending", "cancelled"]
        assert Halt.objects.get().drained_at is None, "an order in its scope is not cancelled"
    assert drain_all() == 1
    assert statuses(three) == ["cancelled"] * 3
    assert [desk.refresh().portfolio.reserved_cash for desk in three] == [0, 0, 0]
    assert book_differences() == []


@ALL
def test_whoever_is_left_is_named(three: list[Desk], trouble: Trouble) -> None:
    arm(scope="platform", reason="a test", actor=three[0].owner)
    with trouble(three[1]):
        drain_all()
        Halt.objects.update(armed_at=F("armed_at") - timedelta(seconds=61))
        watch_breakers()
    (message,) = Alert.objects.filter(kind="halt.not_drained").values_list("message", flat=True)
    assert f"1 orders of 1 portfolios are left: {three[1].portfolio.id} (1)" in message


@pytest.mark.parametrize("trouble", ["it is broken"], indirect=True)
def test_the_command_line_names_whoever_is_left(
    three: list[Desk], trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "DRAIN_SECONDS_MAX", 0)
    with trouble(three[1]), pytest.raises(CommandError, match=f"left: {three[1].portfolio.id} \\(1\\)"):
        call_command("emergency_stop", "--reason", "a test")
    assert statuses(three) == ["cancelled", "pending", "cancelled"]
