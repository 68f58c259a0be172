"""Kelly, volatility target and risk per trade on real rows: where their numbers come from, and what is told of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from market.models import CalendarDay, CorporateAction
from market.services import corporate_actions, snapshots
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.models import LedgerTransfer
from portfolios.services.books import open_books
from portfolios.services.limits import PLATFORM_DEFAULTS, set_limits
from rules.core.actions import ActionRequest
from rules.models import TradingRule
from rules.services.rules import update_rule
from tests.harness.trading import SYMBOLS, Desk, Market
from tests.integration.trading.steps import decisions_of, step_later
from trading import selectors
from trading.models import Execution
from trading.selectors import track_record_of
from trading.services.corrections import reverse_ledger_entry
from trading.services.facts import market_view
from trading.services.fresh_state import FreshState, fresh_states
from trading.services.position_sizing import size_action
from trading.services.trade_execution import execute_pending
from trading.services.verification import book_differences

pytestmark = pytest.mark.integration
ADVISED = [{"field": "ai_recommendation", "operator": "equals", "value": "STRONG_BUY"}]
AT_100 = [{"field": "price", "operator": "between", "value": [99, 101]}]
KELLY = {"type": "buy", "sizing_method": "kelly", "size_value": 0.1, "max_position_size": 20}
BY_VOLATILITY = {
    "type": "buy",
    "sizing_method": "volatility_target",
    "size_value": 2,
    "max_position_size": 20,
}
FIVE_PERCENT = {"type": "buy", "sizing_method": "percentage", "size_value": 5, "max_position_size": 5}


def entry(conditions: list[Any], *actions: Any, **more: Any) -> Any:
    rule = {"name": "Entry", "rule_type": "entry", "conditions": conditions, "actions": list(actions)}
    return rule | more


AWAY_FROM_100 = {
    "name": "Exit",
    "rule_type": "exit",
    "conditions": [{"not": AT_100[0]}],
    "actions": [{"type": "sell", "sizing_method": "full_position"}],
}


@pytest.fixture
def kelly_desk(market: Market) -> Desk:
    market.tick()
    return Desk.open(market, rules=(entry(ADVISED, KELLY),))


# Kelly, by a recommendation.


def test_a_recommendation_with_target_and_stop_sizes_the_trade(kelly_desk: Desk, market: Market) -> None:
    advice = market.advise("AAA", confidence=0.55, target_price=Decimal(120), stop_price=Decimal(90))
    kelly_desk.step()
    (trade,) = kelly_desk.trades()
    (told,) = decisions_of(kelly_desk, "Entry")
    # 0.55/0.10 - 0.45/0.20 = 3.25 of wealth; a tenth of it is 32.5 %, of which 20 % may be held.
    assert (trade.quantity, trade.recommendation_id) == (Decimal(200), advice.id)
    assert told.outcome == "traded"
    assert told.sizing == {
        "method": "kelly", "side": "buy", "price": "100", "lot": "1",
        "odds_by": "recommendation", "recommendation_id": str(advice.id), "target_price": "120", "stop_price": "90",
        "win_probability": "0.55", "gain_fraction": "0.2", "loss_fraction": "0.1", "edge": "0.065",
        "full_kelly": "3.25", "kelly_fraction": "0.1", "equity": "100000", "target_value": "32500",
        "exposure": "0", "missing_value": "32500", "max_position_size": "20", "room": "20000", "quantity": "200",
    }  # fmt: skip
    assert book_differences() == []


def test_a_trade_names_the_recommendation_that_only_its_size_rests_on(market: Market) -> None:
    market.tick()
    desk = Desk.open(market, rules=(entry(AT_100, KELLY),))
    advice = market.advise("BBB", confidence=0.4, target_price=Decimal(120), stop_price=Decimal(90))
    desk.step()
    (trade,) = desk.trades()
    assert (trade.symbol, trade.quantity, trade.recommendation_id) == ("BBB", Decimal(100), advice.id)


def test_below_the_ceiling_the_odds_decide_and_no_more_is_bought_on_top(
    kelly_desk: Desk, market: Market
) -> None:
    market.advise("AAA", confidence=0.4, target_price=Decimal(120), stop_price=Decimal(90))
    kelly_desk.step()
    assert kelly_desk.held("AAA") == 100  # 0.4/0.10 - 0.6/0.20 = 1, a tenth of it
    kelly_desk.step()
    assert kelly_desk.held("AAA") == 100
    told = decisions_of(kelly_desk, "Entry")[-1]
    assert (told.outcome, told.detail) == ("no_size", "the position is at its Kelly size")


def test_without_an_edge_there_is_no_trade_and_the_numbers_are_told(kelly_desk: Desk, market: Market) -> None:
    market.advise("AAA", confidence=0.3, target_price=Decimal(120), stop_price=Decimal(90))
    kelly_desk.step()
    assert kelly_desk.trades() == []
    (told,) = decisions_of(kelly_desk, "Entry")
    assert (told.outcome, told.detail) == (
        "no_size", "no edge by the recommendation: 0.3 × 0.2 − 0.7 × 0.1 = -0.01",
    )  # fmt: skip
    assert (told.sizing["edge"], told.sizing["full_kelly"], told.sizing["quantity"]) == ("-0.01", "-0.5", "0")


def test_without_odds_there_is_no_trade_and_both_reasons_are_told(kelly_desk: Desk, market: Market) -> None:
    market.advise("AAA", confidence=0.9, target_price=Decimal(120))
    kelly_desk.step()
    assert kelly_desk.trades() == []
    (told,) = decisions_of(kelly_desk, "Entry")
    assert (told.outcome, told.detail) == (
        "no_size",
        "Kelly knows no odds: the recommendation has no stop, and its confidence says nothing of other exits, "
        "and the rule has 0 closed round trips, 20 fewer than the 20 needed",
    )


def test_a_target_that_the_price_has_reached_is_none(kelly_desk: Desk, market: Market) -> None:
    market.advise("AAA", confidence=0.9, target_price=Decimal(120), stop_price=Decimal(90))
    kelly_desk.step(AAA=120.0)
    assert kelly_desk.trades() == []
    assert (
        "target 120.00000000 is not above the price 120.00000000"
        in decisions_of(kelly_desk, "Entry")[0].detail
    )


# Kelly, by a recommendation of before a split.
CLOSE = datetime(2010, 3, 5, 21, tzinfo=UTC)  # a Friday
OPEN = datetime(2010, 3, 8, 14, 30, tzinfo=UTC)
SESSION = timedelta(hours=6.5)


@pytest.fixture
def split_desk(kelly_desk: Desk, market: Market) -> Desk:
    """AAA, which nobody holds, is split 2:1 on Monday; it is Friday, an hour before the close."""
    CalendarDay.objects.bulk_create(
        CalendarDay(
            exchange=market.instruments[0].exchange, day=at.date(), opens_at=at, closes_at=at + SESSION
        )
        for at in (CLOSE - SESSION, OPEN)
    )
    until(market, CLOSE - timedelta(hours=1))
    split = NewCorporateAction(
        external_id="split", symbol="AAA", kind="split", ex_at=OPEN, new_units=2, old_units=1,
        cash_in_lieu_price=Decimal(50),
    )  # fmt: skip
    record(split, actor=None)
    return kelly_desk


def until(market: Market, moment: datetime, **prices: float) -> None:
    market.tick(minutes=(moment - market.as_of).total_seconds() / 60, **prices)


def kelly_of_aaa(desk: Desk) -> Any:
    with fresh(desk) as state:
        return sized_by(state, desk, wish("kelly", "0.1"))


def test_over_a_split_target_and_stop_count_in_new_units(split_desk: Desk, market: Market) -> None:
    market.advise("AAA", confidence=0.4, target_price=Decimal(120), stop_price=Decimal(90))
    market.tick()
    assert kelly_of_aaa(split_desk).quantity == 100
    until(market, OPEN, AAA=50.0)
    sized = kelly_of_aaa(split_desk)
    told = {name: sized.arithmetic.get(name) for name in ("target_price", "stop_price", "split_since")}
    assert told == {"target_price": 60, "stop_price": 45, "split_since": "2:1"}
    assert (sized.quantity, sized.arithmetic["full_kelly"]) == (200, 1)


def test_between_the_close_and_the_split_nobody_knows_the_units(split_desk: Desk, market: Market) -> None:
    market.advise("AAA", confidence=0.4, target_price=Decimal(120), stop_price=Decimal(90))
    until(market, OPEN - timedelta(minutes=30), AAA=50.0)
    assert "a split is at hand" in kelly_of_aaa(split_desk).reason
    # Nor of advice that was given then, once the market is open.
    market.advise("AAA", confidence=0.4, target_price=Decimal(60), stop_price=Decimal(45))
    until(market, OPEN + timedelta(minutes=1))
    assert "a split is at hand" in kelly_of_aaa(split_desk).reason


def test_advice_of_after_the_split_counts_as_it_stands(split_desk: Desk, market: Market) -> None:
    until(market, OPEN, AAA=50.0)
    market.advise("AAA", confidence=0.4, target_price=Decimal(60), stop_price=Decimal(45))
    market.tick()
    sized = kelly_of_aaa(split_desk)
    assert (sized.quantity, sized.arithmetic["target_price"]) == (200, 60)


def test_a_split_that_was_withdrawn_changes_no_price(split_desk: Desk, market: Market) -> None:
    market.advise("AAA", confidence=0.4, target_price=Decimal(120), stop_price=Decimal(90))
    corporate_actions.withdraw(action_id=CorporateAction.objects.get().id, actor=None, reason="called off")
    until(market, OPEN)
    sized = kelly_of_aaa(split_desk)
    assert (sized.quantity, sized.arithmetic["target_price"]) == (100, 120)


# Kelly, by the rule's own record.


def trade_back_and_forth(desk: Desk, rounds: int) -> None:
    """In each round every symbol is bought at 100 and sold, two thirds of them at 112 and the rest at 94."""
    for number in range(rounds):
        step_later(desk, minutes=1440, **dict.fromkeys(SYMBOLS, 100.0))
        ends = {symbol: 94.0 if (number + place) % 3 == 0 else 112.0 for place, symbol in enumerate(SYMBOLS)}
        step_later(desk, minutes=1, **ends)


def to_kelly(desk: Desk, **changes: Any) -> TradingRule:
    rule = TradingRule.objects.get(portfolio=desk.portfolio, name="Entry")
    return update_rule(rule_id=rule.id, rule=entry(AT_100, {**KELLY, **changes}), actor=desk.owner)


@pytest.fixture
def worn_desk(market: Market) -> Desk:
    """Six round trips of the entry rule, sized by percentage: 4 gained, 2 (of AAA and CCC) lost.

    The days between them pass in moments, so that no limit counts what is sent in a second."""
    unlimited = dict.fromkeys(("max_messages_per_second", "max_messages_per_minute"), Decimal(10**6))
    set_limits(scope="platform", values=PLATFORM_DEFAULTS | unlimited, actor=None)
    market.tick(**dict.fromkeys(SYMBOLS, 120.0))
    desk = Desk.open(market, rules=(entry(AT_100, FIVE_PERCENT), AWAY_FROM_100))
    trade_back_and_forth(desk, 2)
    assert Execution.objects.count() == 12
    return desk


def test_the_rules_own_round_trips_size_it_when_there_are_enough(worn_desk: Desk, market: Market) -> None:
    trade_back_and_forth(worn_desk, 4)
    to_kelly(worn_desk, size_value=0.01)
    step_later(worn_desk, minutes=1440, **dict.fromkeys(SYMBOLS, 100.0))
    short = decisions_of(worn_desk, "Entry")[-1]
    assert (short.outcome, short.sizing["round_trips"]) == ("no_size", 18)
    assert short.detail.endswith("the rule has 18 closed round trips, 2 fewer than the 20 needed")

    rule = TradingRule.objects.get(portfolio=worn_desk.portfolio, name="Entry")
    update_rule(rule_id=rule.id, rule=entry(AT_100, FIVE_PERCENT), actor=worn_desk.owner)
    trade_back_and_forth(worn_desk, 1)
    to_kelly(worn_desk, size_value=0.01)
    step_later(worn_desk, minutes=1440, AAA=100.0)
    told = decisions_of(worn_desk, "Entry")[-1]
    assert (told.outcome, told.instrument.symbol if told.instrument else None) == ("traded", "AAA")
    sizing = told.sizing
    assert (sizing["odds_by"], sizing["round_trips"], sizing["wins"]) == ("track record", 21, 14)
    assert sizing["no_odds_by_recommendation"] == "there is no recommendation"
    bought, fees = 100.12, 0.0001 * (100.12 + 111.87)  # at the ask and at the bid with slippage, 1 bp of each
    assert float(sizing["mean_gain"]) == pytest.approx((111.87 - bought - fees) / bought, abs=2e-4)
    assert float(sizing["mean_loss"]) == pytest.approx((bought + fees - 93.9) / bought, abs=2e-4)
    p, gain, loss = (Decimal(sizing[key]) for key in ("win_probability", "gain_fraction", "loss_fraction"))
    assert p < Decimal(14) / 21, "shrunk"
    assert Decimal(sizing["full_kelly"]) == pytest.approx(p / loss - (1 - p) / gain, abs=Decimal("1e-7"))
    target = Decimal(sizing["equity"]) * Decimal(sizing["full_kelly"]) * Decimal("0.01")
    assert worn_desk.held("AAA") == int(target / 100) > 0
    assert book_differences() == []


@contextmanager
def fresh(desk: Desk) -> Iterator[FreshState]:
    """The state under the portfolio's lock, as a decision finds it."""
    snapshot = snapshots.current()
    assert snapshot is not None
    with transaction.atomic():
        books = open_books([desk.portfolio.id])
        states = fresh_states(books, sessions={desk.portfolio.id: desk.session}, view=market_view(snapshot))
        yield states[desk.portfolio.id]


def wish(method: str, value: str, symbol: str = "AAA", **more: str) -> ActionRequest:
    action = ActionRequest(
        symbol=symbol, side="buy", sizing_method=method, size_value=Decimal(value), size_unit=None,
        max_position_size=Decimal(20), order_type="market",
    )  # fmt: skip
    stops: dict[str, Any] = {name: Decimal(text) for name, text in more.items()}
    return replace(action, **stops)


def sized_by(state: FreshState, desk: Desk, action: ActionRequest) -> Any:
    rule = TradingRule.objects.get(portfolio=desk.portfolio, name="Entry")
    instrument = state.view.by_symbol[action.symbol]
    return size_action(state, action, instrument=instrument, rule_id=rule.id, sources=())[0]


def test_the_record_is_read_once_for_a_rule_however_many_symbols_it_wants(worn_desk: Desk) -> None:
    with fresh(worn_desk) as state, CaptureQueriesContext(connection) as queries:
        for symbol in SYMBOLS:
            sized_by(state, worn_desk, wish("kelly", "0.5", symbol))
    read = [query["sql"] for query in queries if "trading_execution" in query["sql"]]
    assert len(read) == 1
    assert not any("market_recommendation" in query["sql"] for query in queries), "there is none"


def test_recommendations_are_read_once_for_all_symbols(kelly_desk: Desk, market: Market) -> None:
    for symbol in SYMBOLS:
        market.advise(symbol, confidence=0.4, target_price=Decimal(120), stop_price=Decimal(90))
    market.tick()
    with fresh(kelly_desk) as state, CaptureQueriesContext(connection) as queries:
        for symbol in SYMBOLS:
            assert sized_by(state, kelly_desk, wish("kelly", "0.1", symbol)).quantity == 100
    assert sum('FROM "market_recommendation"' in query["sql"] for query in queries) == 1
    assert not any("trading_execution" in query["sql"] for query in queries), "the record is not asked"


def counted(desk: Desk, **held: int) -> tuple[int, int]:
    rule = TradingRule.objects.get(portfolio=desk.portfolio, name="Entry")
    units = {row.id: Decimal(held.get(row.symbol, 0)) for row in desk.market.instruments}
    record = track_record_of(desk.portfolio.id, rule_id=rule.id, held=units)
    return record.round_trips, record.wins


def test_only_what_the_rule_bought_in_this_portfolio_counts(worn_desk: Desk, market: Market) -> None:
    assert counted(worn_desk) == (6, 4)
    other = Desk.open(market, owner="oscar", rules=(entry(AT_100, FIVE_PERCENT), AWAY_FROM_100))
    rule = worn_desk.add_rule(name="Newer", conditions=AT_100, actions=[FIVE_PERCENT], priority=9)
    trade_back_and_forth(other, 1)
    assert counted(worn_desk) == (6, 4), "the newer rule went first, with the higher priority"
    newer = track_record_of(worn_desk.portfolio.id, rule_id=rule.id, held={})
    assert (newer.round_trips, newer.wins) == (3, 2)
    assert counted(other) == (3, 2)


def test_an_instrument_whose_fills_do_not_explain_what_is_held_is_left_out(worn_desk: Desk) -> None:
    assert counted(worn_desk, AAA=100) == (4, 3)
    assert counted(worn_desk, AAA=100, BBB=1) == (2, 1)


def test_fills_that_were_taken_back_do_not_count(worn_desk: Desk) -> None:
    """Neither for the round trip, nor for what the history explains of what is held."""
    for side in ("sell", "buy"):
        trade = worn_desk.portfolio.trades.filter(symbol="AAA", trade_type=side).latest("executed_at")
        entry_id = LedgerTransfer.objects.filter(owner_id=trade.id, kind="fill").latest("id").entry_id
        reverse_ledger_entry(
            portfolio_id=worn_desk.portfolio.id, entry_id=entry_id, actor=worn_desk.owner, reason="busted"
        )
    assert counted(worn_desk) == (5, 3), "but for the last gain of AAA"


def test_of_a_long_history_the_newest_count(worn_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "RECORD_FILLS_MAX", 6)  # the last round
    assert counted(worn_desk) == (3, 2)
    monkeypatch.setattr(
        selectors, "RECORD_FILLS_MAX", 9
    )  # one and the sells of the one before, whose buys are gone
    assert counted(worn_desk) == (3, 2)


# Volatility target.


def test_a_position_is_sized_by_its_volatility(market: Market) -> None:
    market.volatilities = {"AAA": 0.25, "BBB": 0.0}
    market.tick()
    desk = Desk.open(market, rules=(entry(ADVISED, BY_VOLATILITY),))
    for symbol in SYMBOLS:
        market.advise(symbol)
    desk.step()
    told = {row.instrument.symbol: row for row in decisions_of(desk, "Entry") if row.instrument}
    assert desk.held("AAA") == 80  # 2 % of equity at 25 % a year: 8,000
    assert (told["AAA"].sizing["volatility"], told["AAA"].sizing["target_value"]) == ("0.25", "8000")
    assert (told["BBB"].outcome, told["CCC"].outcome) == ("no_size", "no_size")
    assert told["BBB"].detail == "BBB has no volatility: no size has the one that is wanted"
    assert told["CCC"].detail == "the volatility of CCC is unknown"
    desk.step()
    assert desk.held("AAA") == 80, "the position is what it should be"


def test_the_volatility_of_a_stale_quote_is_unknown(market: Market) -> None:
    market.volatilities = {"AAA": 0.25}
    market.tick()
    desk = Desk.open(market, rules=(entry(ADVISED, BY_VOLATILITY),))
    market.price_age_seconds = 121
    market.tick()
    with fresh(desk) as state:
        assert (
            sized_by(state, desk, wish("volatility_target", "2")).reason == "the volatility of AAA is unknown"
        )
    market.price_age_seconds = 60
    market.tick()
    with fresh(desk) as state:
        assert sized_by(state, desk, wish("volatility_target", "2")).quantity == 80


# Risk per trade, and stops of the action, on fresh state.


def test_a_trade_is_sized_by_what_its_stop_may_cost(kelly_desk: Desk, market: Market) -> None:
    market.tick(AAA=50.0)
    with fresh(kelly_desk) as state:
        sized = sized_by(state, kelly_desk, wish("risk_per_trade", "1", stop_loss_percentage="10"))
        assert sized.quantity == 200  # 1,000 over 5 a share
        capped = wish("risk_per_trade", "5", stop_loss_percentage="10")
        assert sized_by(state, kelly_desk, capped).quantity == 400  # 20 % of equity


def test_a_confidence_is_not_taken_for_the_exits_of_the_action(kelly_desk: Desk, market: Market) -> None:
    """It is the probability of the recommendation's own target before its own stop, and here it has neither."""
    market.advise("AAA", confidence=0.9)
    market.tick()
    action = wish("kelly", "0.1", stop_loss_percentage="10", take_profit_percentage="20")
    with fresh(kelly_desk) as state:
        sized = sized_by(state, kelly_desk, action)
    assert sized.quantity == 0
    assert sized.reason == (
        "Kelly knows no odds: the recommendation has no target and no stop, and its confidence says nothing of other "
        "exits, and the rule has 0 closed round trips, 20 fewer than the 20 needed"
    )


@pytest.mark.parametrize("method", ["kelly", "volatility_target", "risk_per_trade", "percentage", "fixed"])
def test_of_unknown_equity_nothing_is_sized(kelly_desk: Desk, market: Market, method: str) -> None:
    market.volatilities = dict.fromkeys(SYMBOLS, 0.25)
    market.advise("AAA", confidence=0.4, target_price=Decimal(120), stop_price=Decimal(90))
    kelly_desk.step()
    execute_pending()
    assert kelly_desk.held("AAA") == 100
    market.tick(AAA=float("nan"))
    with fresh(kelly_desk) as state:
        assert state.sizing_equity() is None
        action = wish(method, "0.1", "BBB", stop_loss_percentage="10", take_profit_percentage="20")
        sized = sized_by(state, kelly_desk, action)
        assert (sized.quantity, sized.reason) == (0, "the portfolio's equity is unknown")
        assert sized_by(state, kelly_desk, wish(method, "0.1")).reason == "the price is unknown"
