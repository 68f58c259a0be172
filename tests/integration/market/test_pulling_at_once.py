"""Several workers look at once for what is to be asked."""

import time

import pytest

from market.api.pulled import read_pulled
from market.models import RecommendationSource
from market.services import snapshots
from market.services.pull_settings import PullContent, set_pull
from market.services.pulling import pull_due
from tests.harness.answering import answering, say
from tests.harness.racing import racing

from .conftest import make_exchange, make_instruments, market_at, moment

pytestmark = pytest.mark.integration


def test_each_service_is_asked_by_one_of_them(committed_db, settings):
    settings.PULL_ALLOWED_HOSTS = {"127.0.0.1"}
    make_instruments(make_exchange())
    snapshots.publish(snapshot=market_at(moment(7)))
    with answering() as service:

        def slowly(handler):
            time.sleep(0.2)
            say(handler, 200, b'{"recommendations": []}')

        service.answer = slowly
        for name in ("desk", "house"):
            RecommendationSource.objects.create(name=name)
            set_pull(name=name, content=PullContent(url=service.url), actor=None)
        with racing(*[lambda: pull_due(read=read_pulled)] * 4) as racers:
            racers.race()
        assert racers.errors == []
        assert len(service.asked) == 2
