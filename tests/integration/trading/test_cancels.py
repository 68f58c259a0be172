"""Cancelling: at once where nobody else has the order, asked for where a broker has it, remembered in doubt."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import transaction

from foundation.errors import Conflict, NotFound
from journal.models import Entry
from tests.harness.racing import racing
from tests.harness.trading import Desk, Market
from tests.harness.working import ACCEPTED, at_alpaca, fill, limit_at, place, works
from trading.core.order_states import OrderState as S
from trading.models import AutoTrade, OrderMessage
from trading.services.order_management import cancel_trade, move
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
ROUNDS = 8


def kinds(desk: Desk) -> list[str]:
    rows = Entry.objects.filter(stream_id=desk.portfolio.id, kind__startswith="trade.").order_by("seq")
    return list(rows.values_list("kind", flat=True))


def cancels(desk: Desk) -> int:
    return OrderMessage.objects.filter(portfolio=desk.portfolio, kind="cancel").count()


def reserved(desk: Desk) -> Decimal:
    return desk.refresh().portfolio.reserved_cash


def test_what_was_not_sent_is_cancelled_at_once_and_says_nothing_to_a_broker(desk: Desk) -> None:
    trade = cancel_trade(trade_id=place(desk, limit_at(90)).id, actor=desk.owner)
    assert (trade.status, trade.status_reason) == ("cancelled", "by alice")
    assert (reserved(desk), cancels(desk), kinds(desk)) == (0, 0, ["trade.created", "trade.cancelled"])
    assert book_differences() == []


def test_what_works_on_paper_is_cancelled_at_once_and_keeps_its_fills(desk: Desk) -> None:
    trade = works(place(desk, limit_at(90)))
    fill(trade, 4, 90, ACCEPTED, S.PARTIALLY_FILLED)
    assert reserved(desk) > 0
    cancelled = cancel_trade(trade_id=trade.id, actor=desk.owner)
    assert (cancelled.status, cancelled.filled_quantity) == ("cancelled", 4)
    assert (reserved(desk), desk.held("AAA"), cancels(desk)) == (0, 4, 1)
    assert book_differences() == []


def test_what_works_at_a_real_broker_is_cancelling_until_that_says_so(desk: Desk) -> None:
    at_alpaca(desk)
    trade = works(place(desk, limit_at(90)))
    before = reserved(desk)
    told = cancel_trade(trade_id=trade.id, actor=desk.owner)
    assert (told.status, told.cancel_reason, told.claimed_until) == ("cancelling", "by alice", None)
    assert told.cancel_requested_at is not None
    assert (reserved(desk), cancels(desk)) == (before, 1), "it may still be filled"
    with pytest.raises(Conflict, match="on its way"):
        cancel_trade(trade_id=trade.id, actor=desk.owner)
    assert (kinds(desk)[-1], cancels(desk)) == ("trade.cancelling", 1)


@pytest.mark.parametrize("path", [(), (S.UNKNOWN,), (S.UNKNOWN, S.QUARANTINED)])
def test_what_is_in_doubt_is_cancelled_once_it_is_known_where_it_is(
    desk: Desk, path: tuple[str, ...]
) -> None:
    at_alpaca(desk)
    trade = place(desk, limit_at(90))
    move([trade], S.PENDING, S.SUBMITTING, *path)
    state, before = trade.status, reserved(desk)
    told = cancel_trade(trade_id=trade.id, actor=desk.owner)
    told.refresh_from_db()
    assert (told.status, told.cancel_reason) == (state, "by alice") and told.cancel_requested_at is not None
    assert (reserved(desk), cancels(desk), kinds(desk)[-1]) == (before, 1, "trade.cancel_requested")
    with pytest.raises(Conflict, match="asked for already"):
        cancel_trade(trade_id=trade.id, actor=desk.owner)


def test_what_is_over_cannot_be_cancelled(desk: Desk) -> None:
    trade = place(desk, limit_at(90))
    cancel_trade(trade_id=trade.id, actor=desk.owner)
    with pytest.raises(Conflict, match="The trade is cancelled; only an open one") as refusal:
        cancel_trade(trade_id=trade.id, actor=desk.owner)
    assert refusal.value.code == "trade_state"
    with pytest.raises(NotFound):
        cancel_trade(trade_id=desk.portfolio.id, actor=None)


def test_a_fill_that_was_faster_than_the_cancel_is_booked(desk: Desk) -> None:
    trade = works(place(desk, limit_at(90)))
    cancel_trade(trade_id=trade.id, actor=desk.owner)
    fill(trade, 4, 90, S.CANCELLED, S.PARTIALLY_FILLED)
    assert (desk.held("AAA"), reserved(desk)) == (4, 0)
    trade.refresh_from_db()
    assert trade.status == "partially_filled"
    cancel_trade(trade_id=trade.id, actor=None)
    trade.refresh_from_db()
    assert (trade.status, trade.status_reason) == ("cancelled", "by system")
    assert book_differences() == []


def test_two_cancels_at_once_ask_the_broker_once(desks: Callable[[int], list[Desk]]) -> None:
    (desk,) = desks(1)
    at_alpaca(desk)
    current: list[AutoTrade] = []

    def cancel() -> object:
        return cancel_trade(trade_id=current[-1].id, actor=None).status

    with racing(cancel, cancel) as racers:
        for number in range(ROUNDS):
            desk.market.tick()
            current.append(works(place(desk, limit_at(80 + number), quantity=1)))
            answers = racers.race()
            assert {"cancelling", "Conflict"} == {
                type(answer).__name__ if isinstance(answer, Exception) else str(answer) for answer in answers
            }
            assert cancels(desk) == number + 1
    assert racers.deadlocks() == 0


def test_a_cancel_against_a_claim_either_ends_it_unsent_or_is_remembered(
    desks: Callable[[int], list[Desk]],
) -> None:
    """The claim takes the trade alone, as senders do; whoever is second sees the other."""
    (desk,) = desks(1)
    at_alpaca(desk)
    current: list[AutoTrade] = []

    def cancel() -> object:
        return cancel_trade(trade_id=current[-1].id, actor=None).status

    def claim() -> object:
        with transaction.atomic():
            row = AutoTrade.objects.select_for_update(no_key=True).get(pk=current[-1].id)
            return (
                "claimed" if row.status == S.PENDING and move([row], S.PENDING, S.SUBMITTING) else "nothing"
            )

    with racing(cancel, claim) as racers:
        for number in range(ROUNDS):
            desk.market.tick()
            current.append(place(desk, limit_at(80 + number), quantity=1))
            answers = set(map(str, racers.race()))
            row = AutoTrade.objects.get(pk=current[-1].id)
            if "claimed" in answers:
                assert row.status == "submitting" and row.cancel_requested_at is not None
            else:
                assert (row.status, answers) == ("cancelled", {"cancelled", "nothing"})
    assert racers.deadlocks() == 0 and book_differences() == []


def test_a_rule_whose_order_came_to_nothing_need_not_rest(market: Market) -> None:
    market.tick()
    entry = {
        "name": "Patient", "rule_type": "entry",
        "conditions": [{"field": "price", "operator": "greater_than", "value": 1}],
        "actions": [{"type": "buy", "sizing_method": "fixed", "size_value": 5, "size_unit": "shares",
                     "max_position_size": 50, "order_type": "limit", "limit_offset_bps": 100}],
        "cooldown": {"minutes": 600},
    }  # fmt: skip
    desk = Desk.open(market, rules=(entry,), config={"universe": {"symbols": ["AAA"]}})
    desk.market.tick()
    desk.evaluate()
    (trade,) = [trade for trade in desk.trades() if trade.symbol == "AAA"]
    cancel_trade(trade_id=works(trade).id, actor=None)
    market.tick()
    desk.evaluate()
    assert len([trade for trade in desk.trades() if trade.symbol == "AAA"]) == 2
