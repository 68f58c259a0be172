"""What the controls know of earlier orders, on real rows: rests, caps and repeated executions."""

from decimal import Decimal
from typing import Any

import pytest

from portfolios.models import Portfolio, PortfolioMark, Role
from portfolios.services.limits import set_limits
from portfolios.services.marks import EquityMark, note_equity
from portfolios.services.portfolios import set_member, withdraw
from tests.harness.people import person
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from trading.models import Halt
from trading.services.emergency_stop import release
from trading.services.manual import place_trade, preview_trade
from trading.services.trade_execution import execute_pending

pytestmark = pytest.mark.integration
D = Decimal


def limit(desk: Desk, **values: int) -> None:
    amounts = {name: D(value) for name, value in values.items()}
    set_limits(scope="portfolio", scope_id=desk.portfolio.id, values=amounts, actor=desk.owner)


def trade(desk: Desk, symbol: str, side: str, quantity: int) -> None:
    place_trade(
        portfolio_id=desk.portfolio.id, symbol=symbol, side=side, quantity=D(quantity), actor=desk.owner
    )
    execute_pending()
    desk.market.tick()


def code(desk: Desk, symbol: str, side: str, quantity: int) -> str | None:
    seen = preview_trade(
        portfolio_id=desk.portfolio.id, symbol=symbol, side=side, quantity=D(quantity), actor=desk.owner
    )
    return seen.code or None


@pytest.mark.parametrize("scope", ["portfolio", "instrument"])
def test_a_symbol_rests_after_its_sale_by_the_portfolios_limit_or_its_own(
    desk: Desk, market: Market, scope: str
) -> None:
    market.tick()
    where: dict[str, Any] = {"scope_id": desk.portfolio.id} if scope == "portfolio" else {}
    if scope == "instrument":
        where = {"instrument_id": market.instruments[0].id}
    set_limits(scope=scope, values={"entry_cooldown_minutes": D(600)}, actor=desk.owner, **where)
    trade(desk, "AAA", "buy", 10)
    trade(desk, "AAA", "sell", 10)
    assert code(desk, "AAA", "buy", 11) == "COOLDOWN"
    assert code(desk, "BBB", "buy", 11) is None
    market.tick(minutes=600)
    assert code(desk, "AAA", "buy", 11) is None


def test_windows_beyond_all_dates_block_no_exit(desk: Desk, market: Market) -> None:
    market.advise("AAA")
    desk.step()
    del market.advice["AAA"]
    ages = 10**12 - 1
    limit(desk, entry_cooldown_minutes=ages, duplicate_order_seconds=ages, rule_execution_window_minutes=ages)
    desk.step(AAA=80.0)
    assert desk.held("AAA") == 0


def test_a_session_invests_its_part_and_what_was_there_before_gives_no_room(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(), config={"capital_cap": {"amount": "4000"}})
    trade(desk, "AAA", "buy", 30)
    assert code(desk, "BBB", "buy", 10) is None
    assert code(desk, "BBB", "buy", 11) == "CAPITAL_CAP"
    trade(desk, "AAA", "sell", 30)
    assert code(desk, "BBB", "buy", 39) is None


def test_a_part_of_an_unknown_equity_refuses(market: Market) -> None:
    """BBB is held and its price is not known: what is a tenth of that?"""
    market.tick()
    desk = Desk.open(market, rules=(), config={"capital_cap": {"percentage": 10}})
    trade(desk, "BBB", "buy", 10)
    market.tick(BBB=float("nan"))
    assert code(desk, "AAA", "buy", 10) is not None


def test_a_rule_that_fires_too_often_is_disabled_each_time_until_it_is_released(market: Market) -> None:
    market.tick()
    bob = person("bob").user
    every = {**STRONG_BUY_ENTRY, "actions": [{"type": "buy", "sizing_method": "fixed", "size_unit": "shares",
                                               "size_value": 3}]}  # fmt: skip
    desk = Desk.open(market, rules=(every,))
    set_member(portfolio=desk.portfolio, user=bob, role=Role.RISK_OFFICER, actor=desk.owner)
    limit(desk, max_rule_executions=2)
    market.advise("AAA")
    for burst in (1, 2):
        for _ in range(4):
            desk.step()
        assert len(desk.trades()) == 2 * burst
        halt = Halt.objects.get(released_at=None)
        assert (halt.scope, halt.mode, halt.armed_by_breaker) == ("rule", "reduce_only", "repeated_execution")
        assert desk.decisions()[-1].code == "HALTED"
        release(halt_id=halt.id, actor=bob)


def test_an_equity_from_before_a_withdrawal_makes_no_peak(desk: Desk, market: Market) -> None:
    desk.step()
    cash = Portfolio.objects.get(pk=desk.portfolio.id).cash
    withdraw(portfolio_id=desk.portfolio.id, amount=D(60_000), actor=desk.owner)
    before = PortfolioMark.objects.get(portfolio=desk.portfolio)
    note_equity([EquityMark(desk.portfolio.id, market.as_of.date(), D(100_499), cash)])
    assert PortfolioMark.objects.get(portfolio=desk.portfolio).peak_equity == before.peak_equity == 40_000
