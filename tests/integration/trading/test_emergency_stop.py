"""Stopping always works: armed by one row, nothing goes out afterwards, nobody releases his own halt."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from foundation.clock import database_now
from foundation.errors import Conflict, Forbidden, InvalidInput, NotFound
from journal.core.events import PLATFORM_STREAM
from journal.models import Alert, Entry
from portfolios.services.portfolios import set_member
from tests.harness.databases import CommittedDatabase
from tests.harness.trading import Desk, Market
from tests.integration.trading.steps import risk_officer
from trading.core.halts import HALT_KEY
from trading.management.commands.emergency_stop import BY_HAND
from trading.models import Halt
from trading.services import emergency_stop
from trading.services.draining import drain, drain_all
from trading.services.emergency_stop import arm, release
from trading.services.fresh_state import halts_in_force
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
BASE_DIR = Path(__file__).resolve().parents[3]
WIDE = (("platform", ""), ("symbol", "AAA"))


@pytest.fixture
def bob(market: Market):
    return get_user_model().objects.create(username="bob", is_staff=True)


def test_a_pending_trade_that_meets_a_halt_is_cancelled_and_gives_back_its_cash(
    desk: Desk, market: Market
) -> None:
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    arm(scope="platform", reason="a test", actor=desk.owner)
    execute_pending()
    (trade,) = desk.trades()
    assert trade.status == "cancelled" and trade.status_reason.startswith("HALTED")
    desk.refresh()
    assert desk.portfolio.reserved_cash == 0 and desk.portfolio.cash == 100_000
    assert book_differences() == []


@pytest.mark.parametrize("scope", ["platform", "account", "portfolio", "session", "rule", "symbol"])
def test_every_scope_refuses_new_trades(desk: Desk, market: Market, scope: str) -> None:
    ids = {
        "platform": "", "account": desk.portfolio.broker_account.id, "portfolio": desk.portfolio.id,
        "session": desk.session.id, "symbol": "AAA",
        "rule": desk.portfolio.trading_rules.get(rule_type="entry").id,
    }  # fmt: skip
    arm(scope=scope, scope_id=str(ids[scope]), reason="a test", actor=desk.owner)
    market.advise("AAA")
    desk.step()
    (decision,) = desk.decisions()
    assert (decision.outcome, decision.code) == ("refused", "HALTED")
    assert desk.trades() == []


def test_a_halt_elsewhere_does_not_disturb(desk: Desk, market: Market) -> None:
    arm(scope="symbol", scope_id="BBB", reason="a test", actor=desk.owner)
    market.advise("AAA")
    desk.step()
    assert [trade.status for trade in desk.trades()] == ["filled"]


def test_reduce_only_lets_the_stop_loss_sell(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    arm(
        scope="portfolio",
        scope_id=str(desk.portfolio.id),
        mode="reduce_only",
        reason="a test",
        actor=desk.owner,
    )
    desk.step(AAA=90.0)
    assert [trade.trade_type for trade in desk.trades() if trade.status == "filled"] == ["buy", "sell"]
    assert desk.held("AAA") == 0


def test_nobody_releases_his_own_halt(desk: Desk, market: Market, bob) -> None:
    halt = arm(scope="platform", reason="a test", actor=desk.owner)
    with pytest.raises(Conflict, match="another person"):
        release(halt_id=halt.id, actor=desk.owner)
    release(halt_id=halt.id, actor=bob)
    with pytest.raises(Conflict, match="released already"):
        release(halt_id=halt.id, actor=bob)
    market.advise("AAA")
    desk.step()
    assert [trade.status for trade in desk.trades()] == ["filled"]


def test_a_breakers_halt_needs_a_risk_officer(desk: Desk) -> None:
    halt = arm(scope="portfolio", scope_id=str(desk.portfolio.id), reason="a breaker", actor=None)
    with pytest.raises(Forbidden, match="risk_officer"):
        release(halt_id=halt.id, actor=desk.owner)
    officer = get_user_model().objects.create(username="officer")
    set_member(portfolio=desk.portfolio, user=officer, role="risk_officer", actor=desk.owner)
    assert release(halt_id=halt.id, actor=officer).released_at is not None


def test_a_strangers_release_is_refused(desk: Desk) -> None:
    halt = arm(scope="platform", reason="a test", actor=desk.owner)
    with pytest.raises(Forbidden, match="staff"):
        release(halt_id=halt.id, actor=get_user_model().objects.create(username="charlie"))


def test_arming_alerts(desk: Desk) -> None:
    arm(scope="portfolio", scope_id=str(desk.portfolio.id), reason="smoke in the room", actor=desk.owner)
    alert = Alert.objects.get()
    assert alert.severity == "critical" and "smoke in the room" in alert.message


def test_bad_scopes_are_refused_and_nothing_is_armed(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match="scope_id"):
        arm(scope="portfolio", scope_id="mine", reason="a test", actor=desk.owner)
    with pytest.raises(NotFound, match="ZZZ"):
        arm(scope="symbol", scope_id="ZZZ", reason="a test", actor=desk.owner)
    with pytest.raises(InvalidInput, match="reason"):
        arm(scope="platform", reason=" ", actor=desk.owner)
    assert not Halt.objects.exists()


def test_draining_waits_for_a_batch_that_has_not_seen_the_halt(
    desk: Desk, committed_db: CommittedDatabase
) -> None:
    halt = arm(scope="platform", reason="a test", actor=desk.owner)
    drained = threading.Event()

    def drain_it() -> None:
        drain(halt_id=halt.id)
        drained.set()
        connections.close_all()

    thread = threading.Thread(target=drain_it)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [HALT_KEY])
        thread.start()
        assert not drained.wait(0.7), "drained while a batch was running"
    thread.join(10)
    assert drained.is_set()
    halt.refresh_from_db()
    assert halt.drained_at is not None


@pytest.fixture
def black_hole() -> Iterator[int]:
    """The port of a Valkey that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("valkey", ["down", "black hole"])
def test_the_command_line_stops_with_valkey_workers_and_web_down(
    desk: Desk, market: Market, committed_db: CommittedDatabase, black_hole: int, valkey: str
) -> None:
    """No process runs but the database's; the journal and the alert do not wait for anybody either."""
    market.advise("AAA")
    market.tick()
    desk.evaluate()
    port = 1 if valkey == "down" else black_hole
    environment = committed_db.environment | {"REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    command = [sys.executable, "manage.py", "emergency_stop", "--reason", "everything else is down"]
    done = subprocess.run(
        command, cwd=BASE_DIR, env=os.environ | environment, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("armed ") and "drained" in done.stdout
    (trade,) = desk.trades()
    assert trade.status == "cancelled"
    halt = Halt.objects.get()
    assert halt.drained_at is not None and (halt.scope, halt.mode) == ("platform", "halt")
    told = Entry.objects.filter(stream_id=PLATFORM_STREAM, kind__startswith="halt.").order_by("seq")
    assert list(told.values_list("kind", flat=True)) == ["halt.armed", "halt.drained"]
    assert "everything else is down" in Alert.objects.get(kind="halt.armed").message


def test_the_command_line_says_what_to_do_where_postgresql_is_away() -> None:
    environment = os.environ | {"DATABASE_URL": "postgres://nobody:nothing@127.0.0.1:1/nowhere"}
    done = subprocess.run(
        [sys.executable, "manage.py", "emergency_stop", "--reason", "a test"], cwd=BASE_DIR, env=environment,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.strip().splitlines()  # no traceback hides it
    assert line.startswith("CommandError: NOT ARMED: PostgreSQL did not confirm it (")
    assert "Connection refused" in line and line.endswith(BY_HAND)


def test_the_command_line_says_so_where_the_table_is_locked(
    desk: Desk, committed_db: CommittedDatabase
) -> None:
    with committed_db.as_owner() as owner, owner.transaction():
        owner.execute("LOCK TABLE trading_halt IN EXCLUSIVE MODE")
        with pytest.raises(CommandError, match=r"NOT ARMED: .*lock timeout.*Stop the workers by hand"):
            call_command("emergency_stop", "--reason", "a test")
    assert not Halt.objects.exists()


def test_the_command_line_says_so_where_the_disk_is_full(desk: Desk, committed_db: CommittedDatabase) -> None:
    with committed_db.as_owner() as owner:
        owner.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END $$"
        )
        owner.execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON trading_halt FOR EACH ROW EXECUTE FUNCTION full_disk()"
        )
    with pytest.raises(CommandError, match=r"NOT ARMED: .*no space left on device.* cancel at the broker"):
        call_command("emergency_stop", "--reason", "a test")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--scope", "portfolio", "--scope-id", "mine"], "must be a UUID"),
        (["--scope", "symbol", "--scope-id", "ZZZ"], "There is no instrument"),
    ],
)
def test_the_command_line_says_what_it_cannot_stop(desk: Desk, options: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command("emergency_stop", "--reason", "a test", *options)
    assert not Halt.objects.exists()


def test_a_batch_reads_only_the_halts_of_its_own_scopes(
    market: Market, desks: Callable[[int], list[Desk]]
) -> None:
    mine, other = desks(2)

    def halts_of(desk: Desk) -> set[UUID]:
        ids = {
            "account": desk.portfolio.broker_account.id, "portfolio": desk.portfolio.id,
            "session": desk.session.id, "rule": desk.portfolio.trading_rules.get(rule_type="entry").id,
        }  # fmt: skip
        return {
            arm(scope=scope, scope_id=str(key), reason="a test", actor=desk.owner).id
            for scope, key in ids.items()
        }

    expected = halts_of(mine)
    halts_of(other)
    expected |= {arm(scope=scope, scope_id=key, reason="a test", actor=None).id for scope, key in WIDE}
    arm(scope="platform", reason="released", actor=mine.owner)
    Halt.objects.filter(reason="released").update(released_at=database_now(), released_by=other.owner)
    found = halts_in_force(
        [mine.portfolio.id],
        account_ids=[mine.portfolio.broker_account.id],
        session_ids=[mine.session.id, None],
    )
    assert {halt.id for halt in found} == expected


def test_draining_many_halts_waits_for_the_batches_once(desk: Desk) -> None:
    for symbol in ("AAA", "BBB", "CCC"):
        arm(scope="symbol", scope_id=symbol, reason="a test", actor=desk.owner)
    with CaptureQueriesContext(connection) as captured:
        assert drain_all() == 3
    assert sum("pg_advisory_xact_lock(" in query["sql"] for query in captured) == 1
    assert not Halt.objects.filter(drained_at=None).exists()
    with CaptureQueriesContext(connection) as captured:
        assert drain_all() == 0
    assert not any("pg_advisory_xact_lock(" in query["sql"] for query in captured), (
        "there is nothing to drain"
    )


def test_halts_of_one_scope_are_told_and_drained_together(desk: Desk) -> None:
    """Several rules of a portfolio may arm theirs in one evaluation."""
    with CaptureQueriesContext(connection) as captured:
        with transaction.atomic():
            for number in range(5):
                arm(scope="portfolio", scope_id=str(desk.portfolio.id), reason=f"number {number}", actor=None)
        assert drain_all() == 5
    assert told_of(desk) == ["halt.armed"] * 5 + ["halt.drained"] * 5
    assert Alert.objects.count() == 5
    appended = [query["sql"] for query in captured if "UPDATE journal_streams" in query["sql"]]
    assert len(appended) == 2


def busy(*_: Any) -> None:
    raise OperationalError("the journal's row is locked")


def told_of(desk: Desk) -> list[str]:
    entries = Entry.objects.filter(stream_id=desk.portfolio.id, kind__startswith="halt.")
    return list(entries.order_by("seq").values_list("kind", flat=True))


@pytest.fixture
def untold(desk: Desk) -> Halt:
    """A halt that was armed while the journal was busy."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(emergency_stop, "append", busy)
        halt = arm(scope="portfolio", scope_id=str(desk.portfolio.id), reason="a test", actor=desk.owner)
    assert told_of(desk) == []
    return halt


def test_an_arming_is_told_before_its_release_however_busy_the_journal_was(desk: Desk, untold: Halt) -> None:
    bob = risk_officer(desk)
    assert release(halt_id=untold.id, actor=bob).journalled_at is not None
    drain_all()
    assert told_of(desk) == ["halt.armed", "halt.released"]


def test_the_sweep_tells_of_an_arming_that_is_over_already(desk: Desk, untold: Halt) -> None:
    Halt.objects.update(released_at=database_now(), released_by=risk_officer(desk))
    for _ in range(2):
        assert drain_all() == 0
    assert told_of(desk) == ["halt.armed"]
