"""A cancel that does not come through and a stop that does not drain are told of: somebody must speak to the broker."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from journal.models import Alert
from tests.harness.at_broker import connect, ordered, report
from tests.harness.trading import Desk
from trading.models import AutoTrade, Halt
from trading.services.draining import drain_all
from trading.services.emergency_stop import arm
from trading.services.order_management import cancel_trade
from trading.services.watching import watch_breakers

pytestmark = pytest.mark.integration


@pytest.fixture
def working(desk: Desk) -> AutoTrade:
    """Alice's order works at a real broker."""
    connect(desk)
    return report(ordered(desk))


def alerts(kind: str) -> list[str]:
    return list(Alert.objects.filter(kind=kind, severity="critical").values_list("message", flat=True))


def pass_time(seconds: float) -> None:
    span = timedelta(seconds=seconds)
    AutoTrade.objects.update(cancel_requested_at=F("cancel_requested_at") - span)
    Halt.objects.update(armed_at=F("armed_at") - span)
    Alert.objects.update(created_at=F("created_at") - span)


def test_a_cancel_that_does_not_come_through_is_told_of_once(working: AutoTrade, settings: Any) -> None:
    cancel_trade(trade_id=working.pk, actor=None)
    pass_time(settings.BROKER_QUARANTINE_SECONDS - 10)
    watch_breakers()
    assert alerts("orders.not_cancelled") == []
    pass_time(20)
    watch_breakers()
    pass_time(100)
    watch_breakers()
    (message,) = alerts("orders.not_cancelled")
    assert message.startswith("1 orders are not cancelled") and working.client_order_id in message


def test_the_next_one_is_told_of_when_the_first_is_over(
    desk: Desk, working: AutoTrade, settings: Any
) -> None:
    cancel_trade(trade_id=working.pk, actor=None)
    pass_time(settings.BROKER_QUARANTINE_SECONDS + 10)
    watch_breakers()
    report(working, "cancelled")
    other = report(ordered(desk, symbol="BBB"))
    cancel_trade(trade_id=other.pk, actor=None)
    watch_breakers()
    assert len(alerts("orders.not_cancelled")) == 1
    pass_time(settings.BROKER_QUARANTINE_SECONDS + 10)
    watch_breakers()
    assert [other.client_order_id in message for message in alerts("orders.not_cancelled")].count(True) == 1


def test_a_stop_that_is_not_drained_is_told_of_once(desk: Desk, working: AutoTrade) -> None:
    arm(scope="portfolio", scope_id=str(desk.portfolio.id), reason="It looks wrong", actor=desk.owner)
    arm(scope="platform", reason="So does all", actor=desk.owner)
    assert drain_all() == 0
    watch_breakers()
    assert alerts("halt.not_drained") == []
    pass_time(61)
    watch_breakers()
    watch_breakers()
    assert len(alerts("halt.not_drained")) == 2, "in the portfolio's journal and in the platform's"
    report(working, "cancelled")
    assert drain_all() == 2
    pass_time(100)
    watch_breakers()
    assert len(alerts("halt.not_drained")) == 2
