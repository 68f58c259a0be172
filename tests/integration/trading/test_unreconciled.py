"""An account whose books cannot be compared with the broker's makes no entry any more; exits go on."""

from datetime import timedelta
from typing import Any

import pytest

from foundation.clock import database_now
from foundation.errors import Forbidden, RecordedRefusal
from portfolios.models import BrokerAccount, BrokerCredential
from tests.harness.at_broker import connect, ordered, report
from tests.harness.trading import Desk
from tests.integration.trading.steps import risk_officer
from trading.models import Halt, Reconciliation
from trading.services import watching
from trading.services.emergency_stop import release
from trading.services.watching import PlatformWatch, watch_unreconciled

pytestmark = pytest.mark.integration
LIMIT = 300


@pytest.fixture
def account(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> BrokerAccount:
    """Alice's, connected an hour ago, and watched by a worker that has been there all the time."""
    account, hour_ago = connect(desk), database_now() - timedelta(hours=1)
    BrokerAccount.objects.update(created_at=hour_ago)
    BrokerCredential.objects.update(set_at=hour_ago)
    watch = PlatformWatch()
    watch.since = hour_ago
    monkeypatch.setattr(watching, "WATCH", watch)
    return account


def compared(account: BrokerAccount, *, seconds_ago: float, failure: str = "") -> None:
    at = database_now() - timedelta(seconds=seconds_ago)
    row = Reconciliation.objects.create(account=account, trigger="periodic", failure=failure, finished_at=at)
    Reconciliation.objects.filter(pk=row.pk).update(started_at=at)


def halts() -> list[Any]:
    rows = Halt.objects.filter(released_at=None)
    return list(rows.values_list("armed_by_breaker", "scope", "mode"))


def test_compared_within_the_limit_it_trades_on(account: BrokerAccount) -> None:
    compared(account, seconds_ago=LIMIT - 30)
    compared(account, seconds_ago=10, failure="AskFailed: away")
    watch_unreconciled()
    assert halts() == []


def test_beyond_it_entries_are_refused_and_exits_go_out(desk: Desk, account: BrokerAccount) -> None:
    report(ordered(desk, quantity=10), "filled", 10, fill=10)
    compared(account, seconds_ago=LIMIT + 1)
    compared(account, seconds_ago=10, failure="AskFailed: away")
    watch_unreconciled()
    watch_unreconciled()
    assert halts() == [("unreconciled", "account", "reduce_only")]
    with pytest.raises(RecordedRefusal) as refused:
        ordered(desk)
    assert refused.value.code == "HALTED"
    assert ordered(desk, side="sell").status == "pending"


def test_one_that_was_never_compared_counts_from_its_connection(account: BrokerAccount) -> None:
    BrokerCredential.objects.update(set_at=database_now() - timedelta(seconds=LIMIT - 30))
    watch_unreconciled()
    assert halts() == []
    BrokerCredential.objects.update(set_at=database_now() - timedelta(seconds=LIMIT + 1))
    watch_unreconciled()
    assert halts() == [("unreconciled", "account", "reduce_only")]


def test_after_a_night_everybody_gets_the_limits_time(account: BrokerAccount) -> None:
    compared(account, seconds_ago=3000)
    watching.WATCH.since = database_now() - timedelta(seconds=LIMIT - 30)
    watch_unreconciled()
    assert halts() == []


def test_a_paper_account_is_compared_with_nobody(account: BrokerAccount) -> None:
    BrokerAccount.objects.update(broker="paper")
    watch_unreconciled()
    assert halts() == []


def test_a_risk_officer_releases_it_and_the_next_silence_trips_it_again(
    desk: Desk, account: BrokerAccount
) -> None:
    compared(account, seconds_ago=2000)
    watch_unreconciled()
    (halt,) = Halt.objects.all()
    with pytest.raises(Forbidden):
        release(halt_id=halt.pk, actor=desk.owner)
    release(halt_id=halt.pk, actor=risk_officer(desk))
    watch_unreconciled()
    assert halts() == [], "it is the same silence"
    compared(account, seconds_ago=LIMIT + 1)
    watch_unreconciled()
    assert halts() == [("unreconciled", "account", "reduce_only")]
