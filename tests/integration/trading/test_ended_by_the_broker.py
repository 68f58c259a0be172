"""An order that is to last until it is cancelled, and that its broker ends by itself, is told of to people."""

import pytest

from journal.models import Alert
from tests.harness.at_broker import report
from tests.harness.trading import Desk
from tests.harness.working import at_alpaca, limit_at, place, stop_at, works
from tests.integration.trading.at_brokers import clean, reserved, state
from trading.core.order_states import OrderState as S
from trading.services.order_management import cancel_trade

pytestmark = pytest.mark.integration


def alerts() -> list[tuple[str, str]]:
    kinds = ["trade.cancelled", "trade.expired"]
    return list(Alert.objects.filter(kind__in=kinds).order_by("id").values_list("kind", "severity"))


@pytest.mark.parametrize("ended", ["cancelled", "expired"])
def test_a_gtc_order_that_nobody_here_has_cancelled(desk: Desk, ended: str) -> None:
    """As Alpaca does when it is 90 days old."""
    at_alpaca(desk)
    trade = works(place(desk, stop_at(140)))
    report(trade, ended)
    report(trade, ended)
    assert (state(trade), reserved(trade), alerts()) == (ended, False, [(f"trade.{ended}", "warning")])
    message = Alert.objects.get(kind=f"trade.{ended}").message
    assert "(stop, buy 10 AAA): the broker says so (stream). Nobody here has asked for that" in message
    assert clean()


def test_it_says_what_is_left_of_one_that_was_filled_in_part(desk: Desk) -> None:
    at_alpaca(desk)
    trade = works(place(desk, limit_at(90, gtc=True)))
    report(trade, S.PARTIALLY_FILLED, 4, fill=4)
    report(trade, S.CANCELLED, 4)
    assert "(limit, buy 6 AAA)" in Alert.objects.get(kind="trade.cancelled").message


def test_what_was_asked_for_or_ends_with_its_day_is_no_news(desk: Desk) -> None:
    at_alpaca(desk)
    day, wanted, whole = (
        works(place(desk, terms, quantity=quantity))
        for quantity, terms in enumerate((limit_at(90), limit_at(91, gtc=True), limit_at(92, gtc=True)), 10)
    )
    report(day, S.EXPIRED)
    cancel_trade(trade_id=wanted.id, actor=desk.owner)
    report(wanted, S.CANCELLED)
    report(whole, S.FILLED, 12, fill=12)
    assert [state(trade) for trade in (day, wanted, whole)] == ["expired", "cancelled", "filled"]
    assert alerts() == []
