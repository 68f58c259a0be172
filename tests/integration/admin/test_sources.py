"""A source's page tells whether its advice comes true."""

import pytest
from django.urls import reverse

from market.models import RecommendationPull, RecommendationSource, SourceScore
from tests.integration.admin.conftest import MARKET_TIME

pytestmark = pytest.mark.integration


def page(admin_page):
    source, _ = RecommendationSource.objects.get_or_create(name="desk")
    answer = admin_page.get(reverse("admin:market_recommendationsource_change", args=[source.pk]))
    return " ".join(answer.content.decode().split())


def test_what_came_true_by_confidence_and_by_class(admin_page):
    SourceScore.objects.create(
        source=RecommendationSource.objects.create(name="desk"), day=MARKET_TIME.date(), recommendation="BUY",
        bin=8, count=10, hits=8, sum_confidence=8.0, sum_squared_error=1.6,
    )  # fmt: skip
    shown = page(admin_page)
    assert "Of 10 pieces of advice 8 came true. Brier score 0.1600" in shown
    assert "confidence 0.8 to 0.9" in shown and "<code>BUY</code>" in shown
    assert "0.490 to 0.943" in shown


def test_before_the_first_outcome(admin_page):
    assert "No outcome yet; 0 wait for theirs." in page(admin_page)


def test_from_where_it_is_pulled_and_how_that_goes(admin_page):
    source = RecommendationSource.objects.create(name="desk")
    RecommendationPull.objects.create(
        source=source, url="https://advice.example/?key=secret", every_seconds=60, failures=3,
        last_error="it answered 503",
    )  # fmt: skip
    shown = page(admin_page)
    assert "from advice.example, every 60 s; 3 failures in a row: it answered 503" in shown
    assert "key=secret" not in shown
