"""How sessions do: what is theirs of a portfolio's profit, and when it is not known."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from market.models import Snapshot
from portfolios.models import EquityPoint, LedgerTransfer
from portfolios.services.corrections import reverse_entry
from portfolios.services.portfolios import deposit, withdraw
from sessions.services.sessions import start_trading_session, stop_trading_session
from tests.harness.trading import Desk, Market
from trading.core.market_facts import STALE_SECONDS
from trading.models import AutoTrade, Execution
from trading.selectors.equity import equity_points_of
from trading.services.corrections import reverse_ledger_entry
from trading.services.performance import get_session_performance
from trading.services.stopping import finish_stopping
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
D = Decimal
TAKE_PROFIT = {
    "rule_type": "exit",
    "conditions": [{"field": "position_pnl_percentage", "operator": "greater_than", "value": 5}],
    "actions": [{"type": "sell", "sizing_method": "full_position"}],
}


def told(desk: Desk) -> dict[str, Any]:
    return get_session_performance(desk.session.id)


def buy(desk: Desk, symbol: str = "AAA") -> AutoTrade:
    """At 100, by the specification's rule; then the advice is withdrawn."""
    desk.market.advise(symbol)
    desk.step()
    del desk.market.advice[symbol]
    trade = desk.trades()[-1]
    assert (trade.symbol, trade.trade_type, trade.status) == (symbol, "buy", "filled")
    return trade


def sell_what_has_gained(desk: Desk, **prices: float) -> AutoTrade:
    desk.add_rule(**TAKE_PROFIT)
    desk.step(**prices)
    trade = desk.trades()[-1]
    assert (trade.trade_type, trade.status) == ("sell", "filled")
    return trade


def stop(desk: Desk) -> None:
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert finish_stopping() == 1


def start_another(desk: Desk) -> Desk:
    session = start_trading_session(portfolio_id=desk.portfolio.id, config={}, actor=desk.owner)
    return Desk(desk.market, desk.owner, desk.portfolio, session)


def earned(desk: Desk) -> Decimal:
    """By the curve: what equity has grown by, without what was paid in."""
    points = list(equity_points_of(desk.refresh().session).order_by("at", "id"))
    first, last = points[0], points[-1]
    return (last.equity - last.paid_in) - (first.equity - first.paid_in)


def test_profit_realised_and_not_is_what_the_equity_has_grown_by(desk: Desk) -> None:
    bought = buy(desk)
    sell_what_has_gained(desk, AAA=120)
    buy(desk, "BBB")
    desk.market.tick(minutes=15)
    desk.evaluate()
    desk.step(BBB=97)
    now = told(desk)
    assert now["realised_pnl"] > 0 and now["unrealised_pnl"] < 0
    held = desk.portfolio.positions.get(instrument__symbol="BBB")
    assert now["unrealised_pnl"] == held.quantity * 97 - held.cost
    stop(desk)
    end = told(desk)
    assert end["realised_pnl"] + end["unrealised_pnl"] == earned(desk) > 0
    assert end["return_percentage"] == (earned(desk) / 100_000 * 100).quantize(D("0.0001"))
    assert end["max_drawdown_percentage"] > 0
    assert (end["total_trades"], end["successful_trades"], end["win_rate"]) == (3, 1, 1)
    assert end["mean_exposure_percentage"] <= end["max_exposure_percentage"]
    assert end["sharpe_ratio"] is None  # it ran for less than twenty days
    assert bought.symbol == "AAA" and book_differences() == []


def test_slippage_is_measured_against_the_price_that_was_decided_on(desk: Desk, market: Market) -> None:
    bought = buy(desk)
    assert bought.trigger_price == 100 and bought.executed_price > 100
    cost = (bought.executed_price - 100) * bought.filled_quantity
    assert (told(desk)["slippage"], told(desk)["fees"]) == (cost, bought.fees)
    assert told(desk)["slippage_bps"] == ((bought.executed_price - 100) * 100).quantize(D("0.0001"))
    sold = sell_what_has_gained(desk, AAA=120)
    cost += (sold.trigger_price - sold.executed_price) * sold.filled_quantity
    assert told(desk)["slippage"] == cost
    # what is reversed has cost nothing
    entry = LedgerTransfer.objects.filter(owner_id=sold.id, kind="fill").latest("id").entry_id
    reverse_ledger_entry(
        portfolio_id=desk.portfolio.id, entry_id=entry, actor=desk.owner, reason="a busted trade"
    )
    assert told(desk)["slippage"] == (bought.executed_price - 100) * bought.filled_quantity


def test_money_paid_in_or_out_is_no_profit(desk: Desk, market: Market) -> None:
    buy(desk)
    market.tick(AAA=110)
    before = told(desk)
    names = ("realised_pnl", "unrealised_pnl", "return_percentage", "max_drawdown_percentage")
    for move, amount in ((deposit, D(900_000)), (withdraw, D(300_000))):
        move(portfolio_id=desk.portfolio.id, amount=amount, actor=desk.owner)
        assert {name: told(desk)[name] for name in names} == {name: before[name] for name in names}
    # what is earned with the new money counts by it
    market.tick(AAA=120)
    held = desk.held("AAA")
    start, worth = D(100_000), D(100_000) + before["realised_pnl"] + before["unrealised_pnl"]
    grown = (worth / start) * ((worth + 600_000 + held * 10) / (worth + 600_000))
    assert told(desk)["return_percentage"] == ((grown - 1) * 100).quantize(D("0.0001"))
    assert desk.refresh().portfolio.paid_in == 700_000


def test_a_deposit_that_is_taken_back_was_none(desk: Desk, market: Market) -> None:
    buy(desk)
    before = told(desk)
    deposit(portfolio_id=desk.portfolio.id, amount=D(50_000), actor=desk.owner)
    entry = LedgerTransfer.objects.filter(kind="deposit").latest("id").entry_id
    reverse_entry(portfolio_id=desk.portfolio.id, entry_id=entry, actor=desk.owner, reason="a typing error")
    assert desk.refresh().portfolio.paid_in == 100_000
    assert told(desk)["return_percentage"] == before["return_percentage"]
    assert book_differences() == []


def test_what_was_held_before_it_began_has_earned_nothing_for_it(desk: Desk, market: Market) -> None:
    buy(desk)
    desk.step(AAA=150)
    stop(desk)
    second = start_another(desk)
    assert told(second)["unrealised_pnl"] == 0
    assert told(second)["return_percentage"] == 0
    second.step(AAA=151)
    assert told(second)["unrealised_pnl"] == desk.held("AAA")
    # it sells what the first one has bought: a large profit is realised, of which little was made by now
    sell_what_has_gained(second, AAA=152)
    now = told(second)
    assert now["realised_pnl"] > 40 * desk.trades()[0].quantity
    stop(second)
    assert told(second)["realised_pnl"] + told(second)["unrealised_pnl"] == earned(second)
    assert 0 < earned(second) <= 2 * desk.trades()[0].quantity


def test_two_sessions_of_a_portfolio_share_no_profit(desk: Desk, market: Market) -> None:
    """The second begins on the very snapshot on which the first has ended."""
    buy(desk)
    desk.step(AAA=110)
    stop(desk)
    first = told(desk)
    second = start_another(desk)
    second.step(AAA=130)
    assert told(desk) == first
    assert first["measured_to"] == told(second)["measured_from"]
    ids = [
        set(equity_points_of(row.refresh().session).values_list("id", flat=True)) for row in (desk, second)
    ]
    assert ids[0] and ids[1] and not ids[0] & ids[1]
    total = first["unrealised_pnl"] + told(second)["unrealised_pnl"]
    assert total == desk.held("AAA") * 130 - desk.portfolio.positions.get().cost


def test_a_stale_price_is_not_taken_for_the_present_one(desk: Desk, market: Market) -> None:
    buy(desk)
    market.tick(minutes=15, AAA=110)
    desk.evaluate()
    known = told(desk)
    market.price_age_seconds = STALE_SECONDS + 1
    market.tick(AAA=90)
    now = told(desk)
    assert known["unrealised_pnl"] > 0 and now["unrealised_pnl"] is None
    assert (now["return_percentage"], now["measured_to"]) == (
        known["return_percentage"],
        known["measured_to"],
    )
    assert now["measured_to"] < market.as_of
    # the last price of a market that is closed is what it is worth until it opens
    market.is_open = False
    market.tick(AAA=90)
    assert told(desk)["unrealised_pnl"] < 0 and told(desk)["measured_to"] == market.as_of


def test_a_session_that_began_before_the_first_snapshot_is_measured_from_its_first_evaluation(
    market: Market,
) -> None:
    desk = Desk.open(market)
    nothing = told(desk)
    assert (nothing["unrealised_pnl"], nothing["return_percentage"], nothing["measured_from"]) == (None,) * 3
    desk.step()
    first = market.as_of
    desk.step()
    assert told(desk)["measured_from"] == first
    assert told(desk)["unrealised_pnl"] == 0


def test_neither_money_nor_a_session_hangs_on_a_readable_snapshot(desk: Desk) -> None:
    newest = Snapshot.objects.latest("version")
    Snapshot.objects.create(
        version=newest.version + 1, as_of=newest.as_of, payload=b"of a later format", digest="another"
    )
    deposit(portfolio_id=desk.portfolio.id, amount=D(5), actor=desk.owner)
    stop_trading_session(session_id=desk.session.id, actor=desk.owner)
    assert finish_stopping() == 1
    second = start_another(desk)
    assert told(second)["measured_from"] is None
    assert told(desk)["unrealised_pnl"] == 0


def copy_rows(table: str, count: int, changes: dict[str, str | None]) -> None:
    """So many copies of the table's one row with these columns changed: `n` counts them, None is left to a default."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'",
            [table],
        )
        names = [name for (name,) in cursor.fetchall() if changes.get(name, "") is not None]
        columns = ", ".join(f'"{name}"' for name in names)
        values = ", ".join(changes.get(name) or f'one."{name}"' for name in names)
        cursor.execute(
            f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} AS one, generate_series(1, %s) AS n",
            [count],
        )


def many_more(count: int) -> None:
    decision, trade = "md5('d' || n)::uuid", "md5('t' || n)::uuid"
    copy_rows("trading_decision", count, {"id": decision, "slot": "one.slot + n"})
    names = {"client_order_id": "'copy-' || n", "slot": "one.slot + n"}
    copy_rows("auto_trades", count, {"id": trade, "decision_id": decision, **names})
    copy_rows("trading_execution", count, {"id": None, "trade_id": trade, "execution_id": "'copy-' || n"})


def test_ten_thousand_trades_cost_no_query_more_than_one(desk: Desk) -> None:
    bought = buy(desk)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            told(desk)
        return len(captured)

    few = queries()
    one = told(desk)
    many_more(9_999)
    assert (AutoTrade.objects.count(), Execution.objects.count()) == (10_000, 10_000)
    assert queries() == few <= 10
    many = told(desk)
    assert (many["total_trades"], many["fees"]) == (10_000, 10_000 * bought.fees)
    assert (many["slippage"], many["slippage_bps"]) == (10_000 * one["slippage"], one["slippage_bps"])


def test_points_of_others_are_not_counted(desks: Callable[[int], list[Desk]], market: Market) -> None:
    alice, bob = desks(2)
    buy(alice)
    market.tick(AAA=200)
    alice.evaluate()
    assert bob.portfolio.id != alice.portfolio.id
    owners = set(equity_points_of(bob.session).values_list("portfolio_id", flat=True))
    assert owners == {bob.portfolio.id}
    assert EquityPoint.objects.filter(portfolio=alice.portfolio).exists()
    assert timedelta(0) < told(alice)["measured_to"] - told(alice)["measured_from"]
