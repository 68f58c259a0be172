"""Pushing advice: by its source's pusher, all or nothing, once. Reading it: the newest, unless expired."""

import math
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection

from foundation.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from market.core.plausibility import FUTURE
from market.core.recommendation import RecommendationItem
from market.models import Recommendation, RecommendationSource
from market.selectors import current_advice
from market.services import recommendations, snapshots
from market.services.recommendations import push

from .conftest import OPEN, market_at, moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

NOW = moment(7)


@pytest.fixture
def alice():
    return User.objects.create_user("alice")


@pytest.fixture
def source(alice, instruments):
    """Alice pushes the source `demo`; the market's time is Wednesday's close."""
    snapshots.publish(snapshot=market_at(NOW))
    return RecommendationSource.objects.create(name="demo", pusher=alice)


def item(**changes):
    parts = {"external_id": "a-1", "symbol": "AAPL", "recommendation": "STRONG_BUY", "confidence": 0.9}
    return RecommendationItem(**(parts | changes))


def test_it_is_stored_with_the_markets_time_until_the_next_sessions_close(source, alice):
    result = push(source="demo", items=[item(target_price=Decimal("12.5"), model_version="v1")], actor=alice)
    stored = Recommendation.objects.get()
    assert result.created == (stored.pk,)
    assert result.existing == ()
    assert (stored.as_of, stored.expires_at) == (NOW, moment(8))
    assert (stored.instrument.symbol, stored.recommendation, stored.confidence) == ("AAPL", "STRONG_BUY", 0.9)
    assert (stored.target_price, stored.stop_price, stored.model_version) == (Decimal("12.5"), None, "v1")


def test_over_a_weekend_the_default_expiry_is_mondays_close(source, alice):
    snapshots.publish(snapshot=market_at(moment(9)))
    push(source="demo", items=[item()], actor=alice)
    assert Recommendation.objects.get().expires_at == moment(12)


def test_beyond_the_known_calendar_it_expires_a_day_later(source, alice):
    snapshots.publish(snapshot=market_at(moment(20)))
    push(source="demo", items=[item()], actor=alice)
    assert Recommendation.objects.get().expires_at == moment(21)


def test_pushing_the_same_again_stores_nothing_new(source, alice):
    both = [item(), item(external_id="a-2", symbol="IBM", recommendation="SELL")]
    first = push(source="demo", items=both, actor=alice)
    again = push(source="demo", items=[*both, item(external_id="a-3")], actor=alice)
    assert again.existing == first.created
    assert len(again.created) == 1
    assert Recommendation.objects.count() == 3


def test_a_retry_after_the_market_has_moved_on_is_still_the_same(source, alice):
    push(source="demo", items=[item()], actor=alice)
    snapshots.publish(snapshot=market_at(moment(8)))
    assert len(push(source="demo", items=[item()], actor=alice).existing) == 1


def test_a_retry_after_it_is_over_is_still_the_same_and_new_advice_that_is_over_is_an_error(source, alice):
    told = item(expires_at=moment(8))
    push(source="demo", items=[told], actor=alice)
    snapshots.publish(snapshot=market_at(moment(9)))
    assert len(push(source="demo", items=[told], actor=alice).existing) == 1
    with pytest.raises(InvalidInput) as refused:
        push(source="demo", items=[told, replace(told, external_id="a-2")], actor=alice)
    assert [error["path"] for error in refused.value.errors] == ["items[1].expires_at"]


@pytest.mark.parametrize(
    "change",
    [
        {"confidence": 0.91},
        {"recommendation": "BUY"},
        {"symbol": "IBM"},
        {"target_price": Decimal(1)},
        {"as_of": moment(6)},
        {"expires_at": moment(9)},
    ],
)
def test_a_known_id_with_other_content_is_a_conflict_that_names_it_and_stores_nothing(source, alice, change):
    push(source="demo", items=[item()], actor=alice)
    with pytest.raises(Conflict) as caught:
        push(source="demo", items=[item(external_id="new"), item(**change)], actor=alice)
    assert [error["path"] for error in caught.value.errors] == ["items[1].external_id"]
    assert "'a-1'" in caught.value.errors[0]["message"]
    assert Recommendation.objects.count() == 1


def test_two_sources_may_use_the_same_id(source, alice):
    RecommendationSource.objects.create(name="other", pusher=alice)
    push(source="demo", items=[item()], actor=alice)
    assert len(push(source="other", items=[item()], actor=alice).created) == 1


class TestWhoMayPush:
    def test_charlie_may_not(self, source):
        with pytest.raises(Forbidden):
            push(source="demo", items=[item()], actor=User.objects.create_user("charlie"))
        assert not Recommendation.objects.exists()

    def test_a_superuser_may(self, source):
        assert push(source="demo", items=[item()], actor=User.objects.create_superuser("root")).created

    def test_a_deactivated_pusher_may_not(self, source, alice):
        alice.is_active = False
        with pytest.raises(Forbidden):
            push(source="demo", items=[item()], actor=alice)

    def test_nobody_but_a_superuser_pushes_a_built_in_source(self, source, alice):
        assert RecommendationSource.objects.get(name="baseline").pusher is None
        with pytest.raises(Forbidden):
            push(source="baseline", items=[item()], actor=alice)

    def test_a_source_that_does_not_exist_is_not_found(self, source, alice):
        with pytest.raises(NotFound):
            push(source="oracle", items=[item()], actor=alice)

    def test_a_built_in_model_cannot_speak_for_a_users_source(self, source):
        with pytest.raises(Forbidden):
            recommendations.record(source="demo", description="", items=[item()])


class TestValidation:
    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"symbol": "XYZ"}, "symbol"),
            ({"recommendation": "MAYBE"}, "recommendation"),
            ({"confidence": 1.01}, "confidence"),
            ({"confidence": -0.01}, "confidence"),
            ({"confidence": math.nan}, "confidence"),
            ({"expected_return_percentage": -101.0}, "expected_return_percentage"),
            ({"expected_return_percentage": math.inf}, "expected_return_percentage"),
            ({"target_price": Decimal(0)}, "target_price"),
            ({"stop_price": Decimal("NaN")}, "stop_price"),
            ({"stop_price": Decimal("1e12")}, "stop_price"),
            ({"external_id": ""}, "external_id"),
            ({"external_id": "x" * 201}, "external_id"),
            ({"model_version": "x" * 101}, "model_version"),
            ({"as_of": NOW + FUTURE + timedelta(seconds=1)}, "as_of"),  # the market's future
            ({"as_of": NOW.replace(tzinfo=None)}, "as_of"),
            ({"expires_at": NOW}, "expires_at"),  # not after as_of
            ({"expires_at": NOW.replace(tzinfo=None)}, "expires_at"),
        ],
    )
    def test_an_error_has_its_path_and_nothing_is_stored(self, source, alice, change, field):
        wrong = replace(item(external_id="a-2"), **change)
        with pytest.raises(InvalidInput) as caught:
            push(source="demo", items=[item(), wrong], actor=alice)
        assert [error["path"] for error in caught.value.errors] == [f"items[1].{field}"]
        assert not Recommendation.objects.exists()

    def test_all_errors_are_told_at_once_with_suggestions(self, source, alice):
        with pytest.raises(InvalidInput) as caught:
            push(source="demo", items=[item(symbol="aapl", confidence=85)], actor=alice)
        suggestions = {error["path"]: error.get("suggestion") for error in caught.value.errors}
        assert suggestions == {
            "items[0].symbol": "did you mean AAPL?",
            "items[0].confidence": "a probability: 0.85, not 85",
        }

    def test_an_id_may_stand_once_in_a_push(self, source, alice):
        with pytest.raises(InvalidInput) as caught:
            push(source="demo", items=[item(), item(symbol="IBM")], actor=alice)
        assert caught.value.errors == [
            {"path": "items[1].external_id", "message": "is the same as in items[0]"}
        ]

    @pytest.mark.parametrize("count", [0, recommendations.ITEMS_MAX + 1])
    def test_a_push_has_at_least_one_item_and_a_bound(self, source, alice, count):
        items = [item(external_id=str(number)) for number in range(count)]
        with pytest.raises(InvalidInput) as caught:
            push(source="demo", items=items, actor=alice)
        assert caught.value.errors[0]["path"] == "items"

    def test_before_the_market_has_a_time_one_must_try_again(self, alice, instruments):
        RecommendationSource.objects.create(name="demo", pusher=alice)
        with pytest.raises(Unavailable):
            push(source="demo", items=[item()], actor=alice)


class TestCurrentAdvice:
    def advise(self, alice, number, recommendation, as_of, expires_at):
        advised = item(
            external_id=str(number), recommendation=recommendation, as_of=as_of, expires_at=expires_at
        )
        push(source="demo", items=[advised], actor=alice)

    def seen_at(self, as_of):
        return [(row.source, row.recommendation) for row in current_advice(as_of=as_of)]

    def test_the_newest_counts(self, source, alice):
        self.advise(alice, 1, "BUY", moment(7, OPEN), moment(9))
        self.advise(alice, 2, "SELL", moment(6, OPEN), moment(9))  # pushed later, but older advice
        assert self.seen_at(NOW) == [("demo", "BUY")]

    def test_it_is_known_from_its_time_until_it_expires(self, source, alice):
        self.advise(alice, 1, "BUY", moment(6), moment(7))
        assert self.seen_at(moment(6) - timedelta(seconds=1)) == []
        assert self.seen_at(moment(6)) == [("demo", "BUY")]
        assert self.seen_at(moment(7) - timedelta(seconds=1)) == [("demo", "BUY")]
        assert self.seen_at(moment(7)) == []

    def test_superseded_advice_does_not_come_back_when_its_successor_expires(self, source, alice):
        self.advise(alice, 1, "STRONG_BUY", moment(5), moment(16))
        self.advise(alice, 2, "SELL", moment(6), moment(7))
        assert self.seen_at(moment(6)) == [("demo", "SELL")]
        assert self.seen_at(moment(7)) == []

    def test_each_source_speaks_for_itself_and_inactive_instruments_are_left_out(
        self, source, alice, instruments
    ):
        self.advise(alice, 1, "BUY", moment(6), moment(9))
        recommendations.record(source="baseline", description="built in", items=[item(recommendation="HOLD")])
        assert sorted(self.seen_at(NOW)) == [("baseline", "HOLD"), ("demo", "BUY")]
        instruments[0].is_active = False
        instruments[0].save()
        assert self.seen_at(NOW) == []


def test_a_process_that_does_not_know_the_revision_may_add_a_source():
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO market_recommendationsource (name, description) VALUES ('older', '')")
    assert RecommendationSource.objects.get(name="older").revision == 0


class OneView:
    """A service of the smallest kind: it notes when it was asked and gives what it has."""

    name = "view"

    def __init__(self, *items):
        self.items, self.asked = items, []

    def advice(self, now):
        self.asked.append(now)
        return self.items


class TestConsultingAService:
    def test_what_it_advises_at_the_markets_time_is_stored_once_under_its_name(self, source):
        service = OneView(item(), item(external_id="a-2", symbol="IBM"))
        assert recommendations.consult(service, description="A view") == 2
        assert recommendations.consult(service) == 0
        assert service.asked == [NOW, NOW]
        assert set(Recommendation.objects.values_list("source_id", flat=True)) == {"view"}
        assert RecommendationSource.objects.get(name="view").description == "A view"

    def test_it_is_not_asked_before_the_market_has_a_time(self, instruments):
        service = OneView(item())
        assert (recommendations.consult(service), service.asked) == (0, [])

    def test_what_it_says_is_checked_like_anybodys(self, source):
        with pytest.raises(InvalidInput):
            recommendations.consult(OneView(item(confidence=7)))
        assert not Recommendation.objects.exists()
