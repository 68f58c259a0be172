"""Facts that come from the market's tables: correlations on the shipped bars, advice at completed bars."""

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.contrib.auth import get_user_model

from market.models import (
    Bar,
    CalendarDay,
    Instrument,
    Recommendation,
    RecommendationSource,
    SourceScore,
)
from market.services import returns, snapshots
from market.services.feed_state import build_snapshot, load_state
from market.services.load import load_sample_market
from portfolios.models import Position, Reservation
from portfolios.services.portfolios import create_portfolio, deposit
from rules.core.explanation import explain_rule
from trading.services.facts import facts_of, market_view, read_owned, valuation_of

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

CLOSE = datetime(2004, 12, 31, 21, 0, tzinfo=UTC)
DAY_BEFORE = datetime(2004, 12, 30, 21, 0, tzinfo=UTC)
SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")


@pytest.fixture(autouse=True)
def market(settings, monkeypatch):
    """The five symbols up to the end of 2004, when FB is not traded yet; nothing is cached."""
    monkeypatch.setattr(returns, "_cache", type(returns._cache)())
    snapshots._cache.clear()
    settings.REPLAY_START = "2005-01-01"
    load_sample_market()
    publish()


def publish(as_of=CLOSE):
    snapshots.publish(snapshot=build_snapshot(load_state(), as_of=as_of))


@pytest.fixture
def alice(db):
    """Her portfolio holds AAPL and IBM, and a buy of MSFT is working."""
    user = get_user_model().objects.create(username="alice")
    portfolio = create_portfolio(name="Alice's", owner=user)
    deposit(portfolio_id=portfolio.id, amount=Decimal(10_000), actor=user)
    for symbol in ("AAPL", "IBM"):
        Position.objects.create(
            portfolio=portfolio, instrument=Instrument.objects.get(symbol=symbol), quantity=10
        )
    Reservation.objects.create(
        owner_id=uuid.uuid4(), portfolio=portfolio, instrument=Instrument.objects.get(symbol="MSFT"), cash=500
    )
    return portfolio


def facts(portfolio):
    view = market_view(snapshots.current())
    owned = read_owned([portfolio.id])
    return facts_of(valuation_of(owned, portfolio.id, view), universe=None, view=view)


def closes(symbol, *, until=CLOSE, without=()):
    rows = Bar.objects.filter(instrument__symbol=symbol, at__lte=until).exclude(at__date__in=without)
    return [float(close) for close in rows.order_by("-at").values_list("close", flat=True)[:61]][::-1]


def by_hand(**options):
    """{symbol: {other: correlation}} of 60 daily returns, by NumPy from the stored bars."""
    table = np.array([closes(symbol, **options) for symbol in SYMBOLS])
    matrix = np.corrcoef(table[:, 1:] / table[:, :-1] - 1)
    return {left: dict(zip(SYMBOLS, matrix[row], strict=True)) for row, left in enumerate(SYMBOLS)}


def told(condition, symbol, portfolio, *sources):
    """True, False, or None for unknown."""
    market = market_view(snapshots.current()).facts(sources)
    return explain_rule(
        rule_type="entry", conditions=[condition], trades=True, market=market, portfolio=portfolio, symbol=symbol
    ).outcome  # fmt: skip


def test_correlations_with_what_alice_holds_and_is_buying(alice):
    symbols, r = facts(alice).symbols, by_hand()
    beside = [r["GOOG"][other] for other in ("AAPL", "IBM", "MSFT")]
    assert symbols["GOOG"]["max_correlation"] == pytest.approx(max(beside), abs=1e-9)
    assert symbols["GOOG"]["average_correlation"] == pytest.approx(sum(beside) / 3, abs=1e-9)
    beside = [r["IBM"][other] for other in ("AAPL", "MSFT")]  # it holds IBM itself
    assert symbols["IBM"]["max_correlation"] == pytest.approx(max(beside), abs=1e-9)
    assert np.isnan(symbols["FB"]["max_correlation"])  # it has no history yet
    vector = symbols.vector("max_correlation", ("IBM", "FB", "GOOG"))
    np.testing.assert_array_equal(
        vector, [symbols[name]["max_correlation"] for name in ("IBM", "FB", "GOOG")]
    )


def test_a_rule_on_a_correlation_is_told_from_it(alice):
    rule = {"field": "max_correlation", "operator": "less_than", "value": 0.9}
    assert told(rule, "GOOG", facts(alice)) is True
    assert told(rule, "FB", facts(alice)) is None


def test_bars_are_read_only_when_a_rule_asks_and_once_for_all_portfolios(alice, django_assert_num_queries):
    found = facts(alice).symbols
    with django_assert_num_queries(0):
        assert found["GOOG"]["sector_exposure_percentage"] == 0
    with django_assert_num_queries(3):  # whether the past was changed, the closes, splits and dividends
        highest = found["GOOG"]["max_correlation"]
    publish()  # another snapshot on the same bars
    again = facts(alice).symbols
    with django_assert_num_queries(1):  # whether the past was changed
        assert again["GOOG"]["max_correlation"] == highest
        assert again["GOOG"]["average_correlation"] < highest


def test_an_old_snapshot_is_not_told_by_later_bars(alice):
    before = facts(alice).symbols["GOOG"]["max_correlation"]
    for symbol in SYMBOLS:
        Bar.objects.create(
            instrument=Instrument.objects.get(symbol=symbol), at=datetime(2005, 1, 3, 21, 0, tzinfo=UTC),
            open=1, high=1, low=1, close=1, volume=1,
        )  # fmt: skip
    returns._cache.clear()
    assert facts(alice).symbols["GOOG"]["max_correlation"] == before
    publish(as_of=datetime(2005, 1, 3, 21, 0, tzinfo=UTC))
    assert facts(alice).symbols["GOOG"]["max_correlation"] != before


def test_a_missing_bar_makes_it_unknown_until_it_has_left_the_window(alice):
    Bar.objects.filter(instrument__symbol="IBM", at__date="2004-12-01").delete()
    returns._cache.clear()
    found = facts(alice).symbols
    assert np.isnan(found.vector("max_correlation", SYMBOLS)).all()  # IBM is held, and each is beside it
    Position.objects.filter(instrument__symbol="IBM").delete()
    found = facts(alice).symbols
    r = by_hand()
    assert found["GOOG"]["max_correlation"] == pytest.approx(
        max(r["GOOG"]["AAPL"], r["GOOG"]["MSFT"]), abs=1e-9
    )
    assert np.isnan(found["IBM"]["max_correlation"])


def test_a_holiday_of_one_exchange_is_left_out_for_all(alice):
    holiday = date(2004, 12, 15)
    CalendarDay.objects.filter(exchange_id="XNYS", day=holiday).delete()
    Bar.objects.filter(instrument__symbol="IBM", at__date=holiday).delete()
    returns._cache.clear()
    r = by_hand(without=[holiday])
    found = facts(alice).symbols
    beside = [r["GOOG"][other] for other in ("AAPL", "IBM", "MSFT")]
    assert found["GOOG"]["max_correlation"] == pytest.approx(max(beside), abs=1e-9)


def test_an_exchange_whose_calendar_has_ended_is_not_waited_for(alice):
    Position.objects.filter(instrument__symbol="IBM").delete()
    CalendarDay.objects.filter(exchange_id="XNYS", day__gte=date(2004, 11, 1)).delete()
    returns._cache.clear()
    r = by_hand()
    assert facts(alice).symbols["GOOG"]["average_correlation"] == pytest.approx(
        (r["GOOG"]["AAPL"] + r["GOOG"]["MSFT"]) / 2, abs=1e-9
    )


def test_without_bars_or_calendar_nothing_is_known(alice):
    CalendarDay.objects.all().delete()
    returns._cache.clear()
    assert np.isnan(facts(alice).symbols.vector("max_correlation", SYMBOLS)).all()
    Bar.objects.all().delete()
    publish()
    assert np.isnan(facts(alice).symbols.vector("max_correlation", SYMBOLS)).all()


def advise(source, symbol, name, as_of):
    Recommendation.objects.create(
        source=RecommendationSource.objects.get_or_create(name=source)[0], external_id=uuid.uuid4().hex,
        instrument=Instrument.objects.get(symbol=symbol), recommendation=name, confidence=0.8, as_of=as_of,
        expires_at=CLOSE + timedelta(days=9),
    )  # fmt: skip


def test_a_recommendation_that_changed_between_the_last_two_bars(alice):
    advise("model", "AAPL", "HOLD", DAY_BEFORE - timedelta(days=1))
    advise("model", "AAPL", "STRONG_BUY", DAY_BEFORE + timedelta(hours=1))
    advise("model", "IBM", "STRONG_BUY", DAY_BEFORE)  # the same at both bars
    advise("model", "MSFT", "STRONG_BUY", CLOSE)  # nothing at the bar before
    advise("other", "AAPL", "STRONG_BUY", DAY_BEFORE - timedelta(hours=1))  # newer than HOLD
    publish()
    snapshots._cache.clear()
    rule, portfolio = (
        {"field": "ai_recommendation", "operator": "changed_to", "value": "STRONG_BUY"},
        facts(alice),
    )
    found = [told(rule, symbol, portfolio, "model") for symbol in ("AAPL", "IBM", "MSFT", "GOOG")]
    assert found == [True, False, None, None]
    assert told(rule, "AAPL", portfolio, "other", "model") is False
    assert (
        told(rule, "AAPL", portfolio) is False
    )  # the newest at each bar: first the other's, then the model's


def test_a_rule_on_a_sources_hit_rate_is_told_from_thirty_outcomes_on(alice):
    source = RecommendationSource.objects.create(name="model")
    Recommendation.objects.create(
        source=source, external_id="one", instrument=Instrument.objects.get(symbol="GOOG"), recommendation="BUY",
        confidence=0.7, as_of=CLOSE, expires_at=CLOSE + timedelta(days=5),
    )  # fmt: skip
    score = SourceScore.objects.create(
        source=source, day=CLOSE.date(), recommendation="BUY", bin=7, count=29, hits=20, sum_confidence=20.3,
        sum_squared_error=6,
    )  # fmt: skip
    rule = {"field": "source_hit_rate", "operator": "greater_than", "value": 0.6}

    def told_of(symbol, **numbers):
        SourceScore.objects.filter(pk=score.pk).update(**numbers)
        publish()
        return told(rule, symbol, facts(alice))

    assert told_of("GOOG") is None
    assert told_of("GOOG", count=30, hits=21) is True
    assert told_of("GOOG", hits=18) is False
    assert told_of("IBM") is None  # nobody advises on it
