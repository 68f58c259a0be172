"""Several workers measure at once."""

import pytest

from market.models import RecommendationOutcome, SourceScore
from market.services import outcomes
from market.services.outcomes import settle_due
from tests.harness.racing import racing

from .conftest import OPEN, make_exchange, make_instruments, moment
from .test_outcomes import Floor

pytestmark = pytest.mark.integration


def test_each_piece_of_advice_is_settled_once(committed_db, monkeypatch):
    monkeypatch.setattr(outcomes, "BATCH", 7)
    floor = Floor(make_instruments(make_exchange()))
    floor.quote(moment(5, OPEN), AAPL=100)
    for number in range(40):
        floor.advise(source=f"model-{number % 3}")
    floor.close(6, AAPL=101)
    with racing(*[settle_due] * 4) as racers:
        racers.race()
    assert racers.errors == []
    settle_due()
    assert RecommendationOutcome.objects.filter(hit=True).count() == 40
    assert sum(SourceScore.objects.values_list("count", flat=True)) == 40
