"""What a portfolio's risk is told from: real rows, the shipped bars, the limits in force."""

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from foundation.clock import database_now
from foundation.errors import NotFound
from market.models import Bar, CalendarDay, Instrument, Quote
from market.services import returns, snapshots
from market.services.feed_state import build_snapshot, load_state
from market.services.load import load_sample_market
from portfolios.core.limits import LIMIT_NAMES
from portfolios.models import LimitSet, PortfolioMark, Position, Reservation
from portfolios.selectors import effective_limits
from portfolios.services.limits import set_limits
from portfolios.services.portfolios import create_portfolio, deposit
from tests.harness.trading import Desk, Market
from tests.integration.trading.steps import risk_officer
from trading.core.breakers import Breaker, Tripped
from trading.models import AutoTrade
from trading.services.emergency_stop import arm, release
from trading.services.facts import market_view, read_owned, valuation_of
from trading.services.portfolio_risk import assess_portfolio

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

D = Decimal
CLOSE = datetime(2004, 12, 31, 21, 0, tzinfo=UTC)
HELD = ("AAPL", "IBM", "MSFT")


def publish(as_of=CLOSE):
    snapshots.publish(snapshot=build_snapshot(load_state(), as_of=as_of))


@pytest.fixture
def sample(settings, monkeypatch, db):
    """The five symbols up to the end of 2004, when FB is not traded yet; nothing is cached."""
    monkeypatch.setattr(returns, "_cache", type(returns._cache)())
    snapshots._cache.clear()
    settings.REPLAY_START = "2005-01-01"
    load_sample_market()
    for instrument in Instrument.objects.exclude(symbol="FB"):
        close = Bar.objects.filter(instrument=instrument, at__lte=CLOSE).latest("at").close
        Quote.objects.create(
            instrument=instrument, bid=close, ask=close, last=close, volume=1, market_time=CLOSE,
            received_at=database_now(),
        )  # fmt: skip
    publish()


@pytest.fixture
def alice(sample):
    """Her portfolio holds AAPL and IBM, and a buy of MSFT is working; GOOG is not hers."""
    user = get_user_model().objects.create(username="alice")
    portfolio = create_portfolio(name="Alice's", owner=user)
    deposit(portfolio_id=portfolio.id, amount=D(10_000), actor=user)
    for symbol in ("AAPL", "IBM"):
        hold(portfolio, symbol, 50)
    Reservation.objects.create(
        owner_id=uuid.uuid4(), portfolio=portfolio, instrument=Instrument.objects.get(symbol="MSFT"), cash=500
    )
    return portfolio


def hold(portfolio, symbol, quantity):
    Position.objects.create(
        portfolio=portfolio, instrument=Instrument.objects.get(symbol=symbol), quantity=quantity
    )


def returns_by_hand(*symbols, without=(), days=250):
    """float64[W, S], W ≤ 250: straight from the stored bars."""
    table = []
    for symbol in symbols:
        rows = Bar.objects.filter(instrument__symbol=symbol, at__lte=CLOSE).exclude(at__date__in=without)
        table.append(
            [float(close) for close in rows.order_by("-at").values_list("close", flat=True)[: days + 1]]
        )
    closes = np.array(table)[:, ::-1].T
    return closes[1:] / closes[:-1] - 1


def use_of(risk, name):
    (found,) = [row for row in risk.limits if row.spec.name == name]
    return found


def price(symbol):
    return snapshots.current().price(symbol)


def test_the_statistics_are_those_of_the_stored_bars(alice):
    risk = assess_portfolio(alice.id)
    equity = 10_000 + 50 * price("AAPL") + 50 * price("IBM")
    assert risk.equity == equity
    exposures = np.array([float(50 * price("AAPL")), float(50 * price("IBM")), 500.0])
    weights = exposures / float(equity)
    table = returns_by_hand(*HELD)
    assert table.shape == (250, 3) and risk.returns.days == 250 and risk.returns.missing == ()
    matrix = np.corrcoef(table, rowvar=False)
    told = risk.returns.correlation
    assert told.average == pytest.approx(matrix[np.triu_indices(3, 1)].mean(), abs=1e-9)
    highest = max((matrix[i, j], HELD[i], HELD[j]) for i in range(3) for j in range(i + 1, 3))
    assert told.highest.correlation == pytest.approx(highest[0], abs=1e-9)
    assert {told.highest.first, told.highest.second} == set(highest[1:])
    variance = weights @ np.cov(table, rowvar=False) @ weights
    assert risk.returns.volatility == pytest.approx((252 * variance) ** 0.5)
    losses = sorted(-(table @ weights), reverse=True)
    for row, worst in zip(risk.returns.values_at_risk, (12, 2), strict=True):
        assert row.percentage == pytest.approx(100 * losses[worst - 1])
        assert float(row.amount) == pytest.approx(losses[worst - 1] * float(equity), abs=1e-6)
        assert row.shortfall_percentage == pytest.approx(100 * sum(losses[:worst]) / worst)


def test_holdings_are_told_with_working_buys_the_largest_first(alice):
    risk = assess_portfolio(alice.id)
    assert [row.symbol for row in risk.holdings] == ["IBM", "MSFT", "AAPL"]
    assert risk.holdings[1].exposure == 500
    assert sum(row.risk_share for row in risk.holdings) == pytest.approx(1)
    assert risk.concentration.largest_symbol == "IBM"
    assert [row.sector for row in risk.sectors] == ["Technology"]
    assert risk.sectors[0].exposure_percentage == pytest.approx(
        100 * sum(row.weight for row in risk.holdings)
    )


def test_they_agree_with_what_rules_are_told(alice):
    PortfolioMark.objects.create(
        portfolio=alice, day=date(2004, 12, 31), day_open_equity=D(16_000), peak_equity=D(20_000)
    )
    risk, view = assess_portfolio(alice.id), market_view(snapshots.current())
    facts = valuation_of(read_owned([alice.id]), alice.id, view).portfolio
    assert float(risk.drawdown.percentage) == pytest.approx(facts["drawdown_percentage"])
    assert float(risk.drawdown.daily_pnl_percentage) == pytest.approx(facts["daily_pnl_percentage"])
    gross = use_of(risk, "max_gross_exposure_percentage").value
    assert float(gross) == pytest.approx(facts["gross_exposure_percentage"])
    assert use_of(risk, "max_open_positions").value == facts["open_positions"] == 3


def test_the_correlation_limit_is_used_as_the_control_measures_it(alice):
    """Of 60 days, as everywhere where a limit or a rule asks."""
    matrix = np.corrcoef(returns_by_hand(*HELD, days=60), rowvar=False)
    found = use_of(assess_portfolio(alice.id), "max_correlation")
    assert float(found.value) == pytest.approx(matrix[np.triu_indices(3, 1)].max(), abs=1e-8)
    assert found.subject.kind == "pair"


def test_a_holding_without_history_makes_it_unknown_and_is_named(alice):
    """It has a price, but no bars."""
    Bar.objects.filter(instrument__symbol="GOOG").delete()
    hold(alice, "GOOG", 5)
    risk = assess_portfolio(alice.id)
    assert risk.returns.missing == ("GOOG",)
    assert risk.returns.volatility is None and risk.returns.correlation.average is None
    assert {row.amount for row in risk.returns.values_at_risk} == {None}
    assert risk.equity is not None and risk.concentration.largest_symbol is not None
    assert {row.risk_share for row in risk.holdings} == {None}


def test_a_short_history_shortens_it_for_all(alice):
    goog = Instrument.objects.get(symbol="GOOG")
    hold(alice, "GOOG", 5)
    known = Bar.objects.filter(instrument=goog, at__lte=CLOSE).count()
    assert 60 < known < 100  # listed in August
    risk = assess_portfolio(alice.id)
    assert risk.returns.days == known - 1 and risk.returns.volatility is not None
    of_95, of_99 = risk.returns.values_at_risk
    assert of_95.amount is not None
    assert of_99.amount is None and of_99.days_min == 100  # its tail has no day yet


def test_a_gap_leaves_out_its_two_returns(alice):
    Bar.objects.filter(instrument__symbol="IBM", at__date="2004-11-10").delete()
    assert assess_portfolio(alice.id).returns.days == 248


def test_a_holiday_of_one_exchange_is_left_out_for_all(alice):
    holiday = date(2004, 12, 15)
    CalendarDay.objects.filter(exchange_id="XNYS", day=holiday).delete()
    Bar.objects.filter(instrument__symbol="IBM", at__date=holiday).delete()
    risk = assess_portfolio(alice.id)
    weights = np.array([next(row.weight for row in risk.holdings if row.symbol == name) for name in HELD])
    daily = returns_by_hand(*HELD, without=[holiday]) @ weights
    assert risk.returns.days == 250
    assert risk.returns.volatility == pytest.approx(daily.std(ddof=1) * 252**0.5)


def test_later_bars_than_the_snapshots_are_not_looked_at(alice):
    before = assess_portfolio(alice.id)
    for symbol in HELD:
        Bar.objects.create(
            instrument=Instrument.objects.get(symbol=symbol), at=datetime(2005, 1, 3, 21, 0, tzinfo=UTC),
            open=1, high=1, low=1, close=1, volume=1,
        )  # fmt: skip
    assert assess_portfolio(alice.id) == before


def test_a_stale_price_makes_the_equity_unknown_and_is_named(alice, monkeypatch):
    monkeypatch.setattr("trading.core.market_facts.STALE_SECONDS", -1.0)
    risk = assess_portfolio(alice.id)
    assert risk.unknown_prices == ("AAPL", "IBM")
    assert risk.equity is None and risk.concentration is None and risk.returns.volatility is None
    assert [row.exposure for row in risk.holdings if row.symbol == "MSFT"] == [500]
    unknown = use_of(risk, "max_position_percentage")
    assert (unknown.value, unknown.utilisation, unknown.headroom) == (None, None, None) and unknown.note
    assert use_of(risk, "max_open_positions").value == 3


def test_before_the_first_snapshot_nothing_is_known_but_the_limits(db):
    user = get_user_model().objects.create(username="alice")
    portfolio = create_portfolio(name="Alice's", owner=user)
    risk = assess_portfolio(portfolio.id)
    assert (risk.snapshot_version, risk.as_of, risk.equity, risk.concentration) == (None, None, None, None)
    assert use_of(risk, "max_position_percentage").limit == 25
    assert use_of(risk, "max_daily_trades").value is None


def test_cash_alone_has_no_risk_from_prices(alice):
    Position.objects.all().delete()
    Reservation.objects.all().delete()
    risk = assess_portfolio(alice.id)
    assert risk.returns.volatility == 0
    assert [row.amount for row in risk.returns.values_at_risk] == [0, 0]
    assert use_of(risk, "max_gross_exposure_percentage").value == 0
    assert use_of(risk, "min_effective_holdings").note == "Nothing is held."


def test_who_sets_the_tightest_limit_is_told(alice):
    owner = get_user_model().objects.get(username="alice")
    _limit("portfolio", alice.id, owner, max_position_percentage=D(20), max_leverage=D("0.5"))
    risk = assess_portfolio(alice.id)
    assert {row.spec.name: row.limit for row in risk.limits} == dict(
        effective_limits({alice.id: None})[alice.id].values
    )
    scopes = {row.spec.name: row.scope for row in risk.limits}
    assert scopes["max_position_percentage"] == scopes["max_leverage"] == "portfolio"
    assert scopes["max_order_value"] == "platform"
    assert risk.limits_version == "platform:1 portfolio:1"


def test_an_instruments_own_limit_decides_which_position_is_the_worst(alice):
    """IBM is the largest, but AAPL may be a hundredth of what others may."""
    assert use_of(assess_portfolio(alice.id), "max_position_percentage").subject.name == "IBM"
    LimitSet.objects.create(
        scope="instrument", instrument=Instrument.objects.get(symbol="AAPL"), version=1,
        max_position_percentage=D("0.25"),
    )  # fmt: skip
    found = use_of(assess_portfolio(alice.id), "max_position_percentage")
    assert (found.subject.name, found.scope, found.limit) == ("AAPL", "instrument", D("0.25"))
    assert found.headroom < 0 and found.utilisation > 1


def _limit(scope, scope_id, actor, **values):
    every = dict.fromkeys(LIMIT_NAMES) | values
    set_limits(scope=LimitSet.Scope(scope), scope_id=scope_id, values=every, actor=actor)


def test_the_number_of_queries_does_not_grow(alice):
    def measure():
        assess_portfolio(
            alice.id
        )  # the snapshot and the returns of rules are in the process's caches from here on
        with CaptureQueriesContext(connection) as queries:
            risk = assess_portfolio(alice.id)
        return len(risk.holdings), len(queries)

    holdings, queries = measure()
    hold(alice, "GOOG", 5)
    hold(alice, "MSFT", 5)
    LimitSet.objects.create(
        scope="instrument", instrument=Instrument.objects.get(symbol="AAPL"), version=1, max_position_value=1
    )
    assert measure() == (holdings + 1, queries)
    assert queries <= 25


def test_a_portfolio_that_is_not_there(sample):
    with pytest.raises(NotFound):
        assess_portfolio(uuid.uuid4())


# What trading leaves behind: on a market of three symbols that the test moves by hand.


@pytest.fixture
def desk(db):
    market = Market()
    market.tick()
    return Desk.open(market)


def test_the_days_trades_are_counted_by_rule_and_symbol(desk):
    desk.market.advise("AAA")
    desk.market.advise("BBB")
    desk.step()
    desk.market.advise("BBB", "HOLD")
    desk.step(AAA=80.0)  # the stop loss sells
    assert sorted((row.symbol, row.trade_type) for row in desk.trades()) == [
        ("AAA", "buy"), ("AAA", "sell"), ("BBB", "buy"),
    ]  # fmt: skip
    risk = assess_portfolio(desk.portfolio.id)
    assert use_of(risk, "max_daily_trades").value == 3
    by_rule, by_symbol = (
        use_of(risk, "max_daily_trades_per_rule"),
        use_of(risk, "max_daily_trades_per_symbol"),
    )
    assert (by_rule.value, by_rule.subject.name) == (2, "AI Strong Buy Entry")
    assert (by_symbol.value, by_symbol.subject.name) == (2, "AAA")
    assert use_of(risk, "max_rule_executions").value == 2
    assert use_of(risk, "max_losing_streak").value == 1
    assert use_of(risk, "max_daily_loss_percentage").value > 0
    AutoTrade.objects.filter(trade_type="sell").update(origin="flatten")
    assert use_of(assess_portfolio(desk.portfolio.id), "max_daily_trades").value == 2


def test_what_a_rule_executed_before_its_release_is_judged(desk):
    def executions():
        return use_of(assess_portfolio(desk.portfolio.id), "max_rule_executions").value

    desk.market.advise("AAA")
    desk.step()
    assert executions() == 1
    (trade,) = desk.trades()
    often = Tripped(Breaker.REPEATED_EXECUTION, episode="today", reason="it fired too often")
    halt = arm(
        scope="rule", scope_id=str(trade.rule_id), mode="reduce_only", reason=often.reason, actor=None, tripped=often
    )  # fmt: skip
    assert executions() == 1, "as long as nobody has released it"
    release(halt_id=halt.id, actor=risk_officer(desk))
    assert executions() == 0
    desk.market.advice.clear()
    desk.market.advise("BBB")
    desk.step()
    assert executions() == 1


def test_another_day_counts_from_its_beginning(desk):
    desk.market.advise("AAA")
    desk.step()
    desk.market.tick(minutes=24 * 60)  # not evaluated yet
    risk = assess_portfolio(desk.portfolio.id)
    assert use_of(risk, "max_daily_trades").value == 0
    assert use_of(risk, "max_rule_executions").value == 0
    assert risk.drawdown.daily_pnl is None and risk.drawdown.percentage is not None
    loss = use_of(risk, "max_daily_loss_percentage")
    assert loss.value is None and "first equity" in loss.note


def test_a_gain_ends_a_losing_streak(desk):
    desk.market.advise("AAA")
    desk.step()
    desk.step(AAA=80.0)
    _, lost = desk.trades()
    for number, (pnl, fees) in enumerate([("1.00", "0.50"), ("0.50", "0.50"), ("0.49", "0.50"), ("-3", "0")]):
        _again(lost, number, D(pnl), D(fees))
    # the oldest lost, then 0.50 of gain, then nothing lost, then a cent, then 3
    assert use_of(assess_portfolio(desk.portfolio.id), "max_losing_streak").value == 2


def _again(trade, number, pnl, fees):
    """One more sell like this one, a minute later each."""
    decision = trade.decision
    decision.pk = uuid.uuid4()
    decision._state.adding = True
    decision.save()
    trade.pk, trade._state.adding = uuid.uuid4(), True
    trade.decision, trade.client_order_id, trade.slot = (
        decision,
        f"again-{number}",
        trade.slot + 1_000 + number,
    )
    trade.executed_at += timedelta(minutes=1)
    trade.realised_pnl, trade.fees = pnl, fees
    trade.save()


def test_rejections_of_the_last_minute_are_counted(desk):
    desk.market.advise("AAA")
    desk.step()
    assert use_of(assess_portfolio(desk.portfolio.id), "max_rejections_per_minute").value == 0
    (trade,) = desk.trades()
    AutoTrade.objects.filter(pk=trade.pk).update(status="rejected")
    assert use_of(assess_portfolio(desk.portfolio.id), "max_rejections_per_minute").value == 1
    AutoTrade.objects.filter(pk=trade.pk).update(updated_at=trade.updated_at - timedelta(seconds=61))
    assert use_of(assess_portfolio(desk.portfolio.id), "max_rejections_per_minute").value == 0
