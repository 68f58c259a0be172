"""Asking a service elsewhere for advice: when it is due, as a whole or not at all, and kindly."""

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from foundation.clock import database_now
from journal.models import Alert
from market.api.pulled import read_pulled
from market.models import Recommendation, RecommendationPull, RecommendationSource, Snapshot
from market.services import pull_settings, pulling, snapshots
from market.services.pull_settings import PullContent, set_pull
from market.services.pulling import backoff_seconds, pull_due
from market.tasks import pull_recommendations
from tests.harness.answering import answering, say
from trading.services.schedule import SWEEPS

from .conftest import market_at, moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
TOKEN = "known-to-nobody-else"


def advice(*changes):
    return [
        {"external_id": f"one-{number}", "symbol": "AAPL", "recommendation": "BUY", "confidence": 0.8}
        | change
        for number, change in enumerate(changes or ({},))
    ]


def saying(*changes, **headers):
    body = json.dumps({"recommendations": advice(*changes)}).encode()
    return lambda handler: say(handler, 200, body, **headers)


@pytest.fixture
def service(settings, instruments):
    """A service on this machine, which the operator trusts; the market's time is Wednesday's close."""
    settings.PULL_ALLOWED_HOSTS = {"127.0.0.1"}
    settings.CREDENTIAL_KEYS = {"test": b"k" * 32}
    snapshots.publish(snapshot=market_at(moment(7)))
    RecommendationSource.objects.create(name="desk")
    with answering() as told:
        told.answer = saying()
        yield told


def pulled(service, **content):
    return set_pull(name="desk", content=PullContent(url=service.url, **content), actor=None)


def row():
    return RecommendationPull.objects.get()


def wait():
    return (row().next_at - database_now()).total_seconds()


def ask_again():
    RecommendationPull.objects.update(next_at=Now())
    return pull_due(read=read_pulled)


def test_what_is_over_in_a_list_without_times_keeps_nothing_else_out(service):
    """Lists keep old advice for a while, known or not."""
    pulled(service)
    over = {"expires_at": moment(8).isoformat()}
    service.answer = saying(over)
    pull_recommendations()
    snapshots.publish(snapshot=market_at(moment(9)))
    service.answer = saying(over, over, {"symbol": "IBM"})
    ask_again()
    assert (row().failures, row().last_error) == (0, "")
    assert sorted(Recommendation.objects.values_list("external_id", flat=True)) == ["one-0", "one-2"]


def test_what_it_says_is_stored_under_its_source(service):
    pulled(service, every_seconds=300)
    service.answer = saying({}, {"symbol": "IBM", "model_version": "v7"})
    pull_recommendations()
    stored = list(Recommendation.objects.order_by("external_id").select_related("instrument"))
    assert [(row.source_id, row.instrument.symbol, row.model_version) for row in stored] == [
        ("desk", "AAPL", ""),
        ("desk", "IBM", "v7"),
    ]
    assert (row().failures, row().last_error, row().last_pulled_at is not None) == (0, "", True)
    assert 250 < wait() <= 300
    assert pull_recommendations.name in {sweep.task for sweep in SWEEPS}


def test_it_is_asked_only_when_it_is_due(service):
    pulled(service)
    pull_due(read=read_pulled)
    pull_due(read=read_pulled)
    assert len(service.asked) == 1


def test_one_that_is_switched_off_is_not_asked(service):
    pulled(service, enabled=False)
    pull_due(read=read_pulled)
    assert service.asked == []


def test_what_has_not_changed_is_not_sent_again(service):
    pulled(service)
    service.answer = saying(ETag='"7"')
    pull_due(read=read_pulled)
    service.answer = lambda handler: say(handler, 304)
    assert ask_again() == 0
    assert [asked.get("if-none-match") for asked in service.asked] == [None, '"7"']
    assert (row().failures, row().etag) == (0, '"7"')


def test_asked_under_another_address_it_is_asked_for_everything(service):
    pulled(service)
    service.answer = saying(ETag='"7"')
    pull_due(read=read_pulled)
    set_pull(name="desk", content=PullContent(url=f"{service.url}/other"), actor=None)
    ask_again()
    assert "if-none-match" not in service.asked[1]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"[]", "not valid"),
        (b"{}", "recommendations"),
        (json.dumps({"recommendations": advice({}, {"confidence": 80})}).encode(), "items[1].confidence"),
        (json.dumps({"recommendations": advice({}, {"tarket_price": "1"})}).encode(), "tarket_price"),
        (json.dumps({"recommendations": advice({}, {"symbol": "ZZZ"})}).encode(), "items[1].symbol"),
        (json.dumps({"source": "other", "recommendations": advice()}).encode(), "source"),
        (json.dumps({"recommendations": []}).encode(), None),
    ],
)  # fmt: skip
def test_an_answer_is_taken_or_refused_as_a_whole(service, body, told):
    pulled(service)
    service.answer = lambda handler: say(handler, 200, body, ETag='"7"')
    assert pull_due(read=read_pulled) == 0
    assert not Recommendation.objects.exists()
    if told is None:
        assert (row().failures, row().etag) == (0, '"7"')  # it has nothing to say
    else:
        assert told in row().last_error
        assert (row().failures, row().etag) == (1, "")
        assert [alert.kind for alert in Alert.objects.all()] == ["recommendation_source.pull_failed"]


def test_somebody_is_told_once_of_answers_that_are_refused(service):
    pulled(service)
    service.answer = saying({"confidence": 80})
    for _ in range(4):
        ask_again()
    assert (row().failures, Alert.objects.count()) == (4, 1)
    service.answer = saying()
    assert ask_again() == 1
    assert row().failures == 0
    service.answer = saying({"confidence": 80})
    ask_again()
    assert Alert.objects.count() == 2


def test_of_one_that_cannot_be_reached_somebody_is_told_at_the_third_time(service):
    pulled(service, every_seconds=100)
    service.answer = lambda handler: say(handler, 503)
    told = []
    for _ in range(4):
        ask_again()
        told.append((row().failures, round(wait() / 100), Alert.objects.count()))
    assert told == [(1, 2, 0), (2, 4, 0), (3, 8, 1), (4, 16, 1)]
    assert "it answered 503" in Alert.objects.get().message


@pytest.mark.parametrize(
    ("every", "failures", "seconds"),
    [(10, 1, 20), (10, 5, 320), (10, 9, 3600), (10, 10**6, 3600), (86_400, 3, 86_400)],
)
def test_a_failure_doubles_the_wait_up_to_an_hour(every, failures, seconds):
    assert backoff_seconds(every, failures) == seconds


def test_who_asks_for_patience_is_given_it_up_to_a_day(service):
    pulled(service)
    service.answer = lambda handler: say(handler, 429, Retry_After="5000")
    ask_again()
    assert 4900 < wait() <= 5000
    service.answer = lambda handler: say(handler, 429, Retry_After="999999999")
    ask_again()
    assert 86_000 < wait() <= 86_400


def test_before_the_market_has_a_time_nobody_is_asked(service):
    Snapshot.objects.all().delete()
    pulled(service)
    assert (pull_due(read=read_pulled), service.asked, row().failures) == (0, [], 0)


class TestItsToken:
    def test_it_goes_to_the_service_and_is_sealed_at_rest(self, service):
        made = pulled(service, token=TOKEN)
        pull_due(read=read_pulled)
        assert service.asked[0]["authorization"] == f"Bearer {TOKEN}"
        assert TOKEN.encode() not in bytes(row().sealed_token)
        assert TOKEN not in repr(PullContent(url="", token=TOKEN)) + repr(vars(made))

    def test_it_is_kept_for_its_host_and_forgotten_for_another(self, service):
        pulled(service, token=TOKEN)
        set_pull(name="desk", content=PullContent(url=f"{service.url}/other"), actor=None)
        assert pull_settings.open_token(row()) == TOKEN
        set_pull(name="desk", content=PullContent(url="https://advice.example/"), actor=None)
        assert pull_settings.open_token(row()) is None

    def test_it_is_sent_nowhere_when_somebody_changed_the_address_by_hand(self, service, settings):
        pulled(service, token=TOKEN)
        settings.PULL_ALLOWED_HOSTS = {"127.0.0.1", "localhost"}
        RecommendationPull.objects.update(url=service.url.replace("127.0.0.1", "localhost"))
        ask_again()
        assert service.asked == [] and "does not open" in row().last_error
        assert Alert.objects.count() == 1

    def test_when_keys_are_changed_it_is_sealed_anew_and_the_old_key_may_go(self, service, settings):
        pulled(service, token=TOKEN)
        settings.CREDENTIAL_KEYS = {"new": b"n" * 32} | settings.CREDENTIAL_KEYS
        for told in ("1 resealed, 0 sealed", "0 resealed, 1 sealed"):
            said = io.StringIO()
            call_command("reseal_credentials", stdout=said)
            assert said.getvalue().startswith(told)
        settings.CREDENTIAL_KEYS = {"new": b"n" * 32}
        assert pull_settings.open_token(row()) == TOKEN
        settings.CREDENTIAL_KEYS = {"newer": b"x" * 32}
        with pytest.raises(CommandError, match="source desk"):
            call_command("reseal_credentials", stdout=io.StringIO())


def test_an_address_that_is_trusted_no_more_is_not_asked(service, settings):
    pulled(service)
    settings.PULL_ALLOWED_HOSTS = set()
    ask_again()
    assert service.asked == [] and "https" in row().last_error


def test_killed_between_answer_and_storing_another_asks_anew_and_it_is_stored_once(service, monkeypatch):
    pulled(service)
    service.answer = saying(ETag='"7"')

    def killed(asked):
        asked.advice(moment(7))
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(pulling, "consult", killed)
        with pytest.raises(SystemExit):
            pull_due(read=read_pulled)
    assert 0 < wait() <= pulling.LEASE.total_seconds(), "nobody asks while it might still be at it"
    assert (ask_again(), ask_again()) == (1, 0)
    assert ["if-none-match" in asked for asked in service.asked] == [False, False, True]
    assert Recommendation.objects.count() == 1


def test_who_lost_his_claim_writes_nothing_of_it(service):
    pulled(service)

    def meanwhile(body, source):
        RecommendationPull.objects.update(next_at=Now() + timedelta(hours=1), last_error="of another")
        return read_pulled(body, source)

    pull_due(read=meanwhile)
    assert (row().last_error, row().last_pulled_at) == ("of another", None)
    assert wait() > 3000
