"""A service stamps its advice by its own clock; market time, that of the newest quote, is a little behind."""

from datetime import timedelta

import pytest

from foundation.errors import InvalidInput
from market.core.plausibility import FUTURE
from market.core.recommendation import RecommendationItem
from market.models import Recommendation
from market.selectors import current_advice
from market.services import snapshots
from market.services.recommendations import consult

from .conftest import market_at, moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("instruments")]
NOW = moment(7)


class Stamping:
    """It always says the same, of so long after market time."""

    name = "elsewhere"

    def __init__(self, ahead):
        self.ahead = ahead

    def advice(self, now):
        return [
            RecommendationItem(
                external_id="one", symbol="AAPL", recommendation="BUY", confidence=0.7, as_of=NOW + self.ahead,
                expires_at=NOW + timedelta(days=1),
            )
        ]  # fmt: skip


@pytest.fixture(autouse=True)
def market_time(instruments):
    snapshots.publish(snapshot=market_at(NOW))


@pytest.mark.parametrize("ahead", [timedelta(seconds=1), FUTURE])
def test_advice_of_a_moment_ahead_is_taken_and_counts_from_then_on(ahead):
    service = Stamping(ahead)
    assert consult(service) == 1
    assert current_advice(as_of=NOW + ahead - timedelta(microseconds=1)) == []
    (row,) = current_advice(as_of=NOW + ahead)
    assert row.as_of == NOW + ahead
    assert consult(service) == 0, "what is told again is the same"


def test_advice_of_the_future_is_refused():
    with pytest.raises(InvalidInput):
        consult(Stamping(FUTURE + timedelta(seconds=1)))
    assert not Recommendation.objects.exists()
