"""Short words for what the tests of rules in force do again and again."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections, transaction

from portfolios.services.portfolios import set_member
from tests.harness.trading import Desk
from trading.models import Decision
from trading.services.trade_execution import execute_pending


def step_later(desk: Desk, *, minutes: float, **prices: float) -> None:
    """Like `desk.step`, with more of market time gone by."""
    desk.market.tick(minutes=minutes, **prices)
    while desk.evaluate() is not None:
        pass
    execute_pending()


def decisions_of(desk: Desk, rule_name: str) -> list[Decision]:
    return list(
        Decision.objects.filter(portfolio=desk.portfolio, rule__name=rule_name)
        .select_related("instrument")
        .order_by("slot", "instrument__symbol")
    )


def outcomes_of(desk: Desk, rule_name: str) -> list[tuple[str | None, str, int]]:
    """(symbol, outcome, how often repeated) of a rule's decisions, the first taken first."""
    return [
        (row.instrument.symbol if row.instrument else None, row.outcome, row.repeated)
        for row in decisions_of(desk, rule_name)
    ]


def risk_officer(desk: Desk, name: str = "bob") -> Any:
    bob, _ = get_user_model().objects.get_or_create(username=name)
    set_member(portfolio=desk.portfolio, user=bob, role="risk_officer", actor=None)
    return bob


@contextmanager
def held_by_another(model: Any, key: uuid.UUID) -> Iterator[None]:
    """Another connection holds a row, as a worker does that was stopped in the middle of its work."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            model.objects.select_for_update(no_key=True).get(pk=key)
            held.set()
            done.wait(20)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    try:
        yield
    finally:
        done.set()
        thread.join(20)
