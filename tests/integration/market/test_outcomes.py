"""What became of advice: measured once, from the price that was known when it came until it has expired."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from market.core.recommendation import RecommendationItem
from market.models import Bar, Quote, RecommendationOutcome, RecommendationSource, SourceScore
from market.scores import calibration, hit_rates, waiting
from market.services import corporate_actions, outcomes, snapshots
from market.services.corporate_actions import NewCorporateAction
from market.services.outcomes import settle_due
from market.services.recommendations import record
from market.tasks import settle_outcomes
from trading.services.schedule import SWEEPS

from .conftest import OPEN, market_at, moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


class Floor:
    """AAPL and IBM, whose prices and days a test moves on; `advise` tells what a model says."""

    def __init__(self, instruments):
        self.instruments = {row.symbol: row for row in instruments}
        self.now = None
        self.told = 0

    def quote(self, at, **prices):
        for symbol, price in prices.items():
            numbers = {"bid": price, "ask": price, "last": price, "volume": 1}
            Quote.objects.update_or_create(
                instrument=self.instruments[symbol],
                defaults={**numbers, "market_time": at, "received_at": at},
            )
        self.publish(at)

    def close(self, day, **prices):
        for symbol, price in prices.items():
            four = dict.fromkeys(("open", "high", "low", "close"), price)
            Bar.objects.create(instrument=self.instruments[symbol], at=moment(day), volume=1, **four)
        self.quote(moment(day), **prices)

    def publish(self, at):
        snapshots.publish(snapshot=market_at(at))

    def advise(self, name="BUY", *, until=6, confidence=0.8, symbol="AAPL", source="model", **more):
        self.told += 1
        item = RecommendationItem(
            external_id=str(self.told), symbol=symbol, recommendation=name, confidence=confidence,
            expires_at=moment(until), **more,
        )  # fmt: skip
        (identity,) = record(source=source, description="", items=[item]).created
        return identity


@pytest.fixture
def floor(instruments):
    made = Floor(instruments)
    made.quote(moment(5, OPEN), AAPL=100, IBM=50)
    return made


def settled():
    return {
        str(row.recommendation_id): (row.at, row.price, row.hit)
        for row in RecommendationOutcome.objects.exclude(at=None)
    }


class TestFromWhichPriceItIsMeasured:
    def test_it_is_the_newest_when_the_advice_was_stored(self, floor):
        floor.quote(moment(5, OPEN) + timedelta(hours=1), AAPL=110)
        floor.advise(as_of=moment(5, OPEN))  # told afterwards: nobody could buy at 100 any more
        row = RecommendationOutcome.objects.get()
        assert (row.reference_price, row.reference_at) == (110, moment(5, OPEN) + timedelta(hours=1))
        assert (row.due_at, row.at, row.hit) == (moment(6), None, None)

    def test_advice_that_had_expired_before_it_came_is_not_measured(self, floor):
        floor.publish(moment(7))
        floor.advise(as_of=moment(5, OPEN), until=7)
        assert not RecommendationOutcome.objects.exists()

    def test_nor_is_advice_on_what_has_no_price_or_an_old_one(self, floor):
        Quote.objects.filter(instrument__symbol="IBM").delete()
        floor.advise(symbol="IBM")
        floor.publish(moment(12, OPEN) + timedelta(minutes=1))
        floor.advise(until=13)
        assert not RecommendationOutcome.objects.exists()

    def test_telling_it_twice_is_measured_once(self, floor):
        for _ in range(2):
            item = RecommendationItem(
                external_id="one", symbol="AAPL", recommendation="BUY", confidence=0.8, expires_at=moment(6)
            )
            record(source="model", description="", items=[item])
        assert RecommendationOutcome.objects.count() == 1


class TestWhenItIsSettled:
    def test_not_before_the_bar_of_its_expiry_has_completed(self, floor):
        floor.advise(until=6)
        floor.close(5, AAPL=90)
        floor.quote(moment(6), AAPL=120)  # it has expired, and its bar is not there yet
        assert (settle_due(), settled()) == (0, {})

    def test_by_the_first_bar_at_or_after_its_expiry(self, floor):
        advice = floor.advise(until=6)
        for day, price in ((5, 90), (7, 101), (8, 80)):  # no bar on the sixth
            floor.close(day, AAPL=price)
        assert settle_due() == 1
        assert settled() == {str(advice): (moment(7), 101, True)}

    def test_once(self, floor):
        floor.advise()
        floor.close(6, AAPL=101)
        assert (settle_due(), settle_due()) == (1, 0)
        assert SourceScore.objects.get().count == 1

    def test_superseded_advice_too(self, floor):
        first = floor.advise("BUY")
        second = floor.advise("SELL")
        floor.close(6, AAPL=101)
        settle_due()
        assert {key: hit for key, (_, _, hit) in settled().items()} == {str(first): True, str(second): False}

    def test_what_no_bar_will_settle_is_given_up_after_a_month(self, floor):
        floor.advise(symbol="IBM", until=6)
        floor.publish(moment(6) + timedelta(days=30))
        settle_due()
        assert waiting(source="model") == 1
        floor.publish(moment(6) + timedelta(days=30, seconds=1))
        settle_due()
        assert waiting(source="model") == 0 and not SourceScore.objects.exists()

    def test_more_than_a_batch_is_settled_in_several(self, floor, monkeypatch):
        monkeypatch.setattr(outcomes, "BATCH", 2)
        for _ in range(5):
            floor.advise()
        floor.close(6, AAPL=101)
        assert settle_due() == 5
        assert SourceScore.objects.get().hits == 5

    def test_any_number_costs_the_same_queries(self, floor):
        def queries(day, count):
            for _ in range(count):
                floor.advise(until=day)
                floor.advise("SELL", until=day, symbol="IBM", source="other")
            floor.close(day, AAPL=101, IBM=49)
            with CaptureQueriesContext(connection) as captured:
                assert settle_due() == 2 * count
            return len(captured)

        assert queries(6, 1) == queries(7, 20) < 15

    def test_before_the_market_has_a_time_there_is_nothing_to_do(self, db):
        assert settle_due() == 0

    def test_the_sweep_knows_the_task_by_its_name(self, floor):
        floor.advise()
        floor.close(6, AAPL=101)
        settle_outcomes()
        assert len(settled()) == 1
        assert settle_outcomes.name in {sweep.task for sweep in SWEEPS}


class TestWhatTheCompanyDid:
    def act(self, day, **what):
        item = NewCorporateAction(
            external_id=f"{day} {sorted(what)}", symbol="AAPL", ex_at=moment(day, OPEN), **what
        )
        return corporate_actions.record(item, actor=None)[0]

    def gained(self, floor, price):
        floor.advise(until=7)
        floor.close(7, AAPL=price)
        settle_due()
        return RecommendationOutcome.objects.get().return_percentage

    def test_a_split_is_no_loss(self, floor):
        self.act(6, kind="split", new_units=2, old_units=1)
        assert self.gained(floor, 51) == pytest.approx(2)

    def test_a_dividend_is_a_gain(self, floor):
        self.act(6, kind="dividend", amount=Decimal(3))
        assert self.gained(floor, 99) == pytest.approx(2)

    def test_what_was_withdrawn_or_had_happened_before_does_not_count(self, floor):
        action = self.act(6, kind="dividend", amount=Decimal(3))
        corporate_actions.withdraw(action_id=action.pk, actor=None, reason="A typo")
        self.act(5, kind="dividend", amount=Decimal(50))  # the reference is the price without it
        assert self.gained(floor, 99) == pytest.approx(-1)


class TestWhatIsToldOfASource:
    def test_right_four_times_of_five_at_four_fifths(self, floor):
        for _ in range(8):
            floor.advise("BUY", confidence=0.8)
        for _ in range(2):
            floor.advise("SELL", confidence=0.8)
        floor.advise("HOLD", confidence=0.5)
        floor.advise("BUY", source="other", symbol="IBM", confidence=0.6)
        floor.close(6, AAPL=101, IBM=49)
        settle_due()
        told = calibration(source="model")
        assert (told.overall.count, told.overall.hits, told.held) == (10, 8, 1)
        assert told.brier == pytest.approx(0.16)
        assert [(row.confidence_from, row.rate.hit_rate) for row in told.table] == [(0.8, 0.8)]
        assert (told.classes["BUY"].hit_rate, told.classes["SELL"].hit_rate) == (1, 0)
        assert calibration(source="other").overall.hit_rate == 0

    def test_it_is_added_up_by_day_and_told_of_the_days_asked_for(self, floor):
        for day in (6, 7):
            floor.advise(until=day)
            floor.close(day, AAPL=100 + day)
            settle_due()
        days = [moment(6).date(), moment(7).date()]
        assert list(SourceScore.objects.order_by("day").values_list("day", flat=True)) == days
        assert calibration(source="model").overall.count == 2
        assert calibration(source="model", first=days[1]).overall.count == 1
        assert calibration(source="model", last=days[0]).overall.count == 1

    def test_whoever_reads_advice_learns_of_it_by_the_sources_revision(self, floor):
        floor.advise()
        before = RecommendationSource.objects.get(name="model").revision
        floor.close(6, AAPL=101)
        settle_due()
        assert RecommendationSource.objects.get(name="model").revision == before + 1


class TestHitRates:
    def score(self, day, count, hits, name="BUY"):
        source, _ = RecommendationSource.objects.get_or_create(name="model")
        SourceScore.objects.create(
            source=source, day=day, recommendation=name, bin=8, count=count, hits=hits,
            sum_confidence=0.8 * count, sum_squared_error=0,
        )  # fmt: skip

    def test_thirty_outcomes_make_a_rate(self, db):
        day = moment(7).date()
        self.score(day, 29, 20)
        self.score(day, 100, 0, "HOLD")  # which speaks of no direction
        assert hit_rates(as_of=moment(7)) == {}
        self.score(day, 1, 1, "SELL")
        assert hit_rates(as_of=moment(7)) == {"model": 21 / 30}

    def test_of_a_year_of_the_market_and_never_of_its_future(self, db):
        last = moment(7).date()
        self.score(last - timedelta(days=365), 40, 40)
        self.score(last - timedelta(days=364), 40, 10)
        self.score(last + timedelta(days=1), 40, 40)
        assert hit_rates(as_of=moment(7)) == {"model": 0.25}


@pytest.mark.parametrize(
    "change",
    [
        {"reference_price": 0},
        {"price": 1},
        {"hit": True},
        {"at": moment(7)},
        {"at": moment(6) - timedelta(seconds=1), "price": 1, "return_percentage": 1.0},
    ],
)
def test_an_outcome_waits_or_is_settled_as_a_whole(floor, change):
    floor.advise()
    with pytest.raises(IntegrityError, match="market_outcome"), transaction.atomic():
        RecommendationOutcome.objects.update(**change)
