"""Who may still see what is asked for everybody at once, every few seconds."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from foundation.clock import database_now
from journal.core.events import PLATFORM_STREAM
from journal.services.tickets import Credential
from journal.stream.access import access_of
from tests.integration.journal.conftest import make_portfolio, make_user
from tests.integration.journal.test_stream import session_of

pytestmark = [pytest.mark.integration]


def by_token(who) -> Credential:
    return Credential(user_id=who.user.pk, token_digest=who.token_row.digest)


def by_session(who) -> Credential:
    return Credential(user_id=who.user.pk, session_key=session_of(who))


def test_each_login_sees_its_own_streams(db):
    alice, bob, dora, root = (
        make_user("alice"),
        make_user("bob"),
        make_user("dora", is_staff=True),
        make_user("root", is_superuser=True),
    )
    first, second = make_portfolio(alice, bob), make_portfolio(alice)
    access = access_of([by_token(alice), by_session(bob), by_token(dora), by_session(root)])
    seen = {credential.user_id: streams for credential, streams in access.items()}
    assert seen[alice.user.pk] == {first, second}
    assert seen[bob.user.pk] == {first}
    assert seen[dora.user.pk] == {PLATFORM_STREAM}
    assert seen[root.user.pk] >= {first, second}


def test_what_is_no_longer_good_is_missing(db):
    alice, bob, charlie = make_user("alice"), make_user("bob"), make_user("charlie")
    of_another = Credential(user_id=bob.user.pk, session_key=session_of(alice))
    inactive = by_token(charlie)
    charlie.user.is_active = False
    charlie.user.save()
    ended = by_token(bob)
    type(bob.token_row).objects.filter(pk=bob.token_row.pk).update(
        created=database_now() - timedelta(days=2), expiry=database_now() - timedelta(days=1)
    )
    nobodys = Credential(user_id=alice.user.pk, token_digest="0" * 128)
    nothing = Credential(user_id=alice.user.pk)
    unknown = Credential(user_id=alice.user.pk, session_key=uuid4().hex)
    assert access_of([of_another, inactive, ended, nobodys, nothing, unknown]) == {}


def test_forty_logins_take_no_more_questions_than_four(db):
    def questions(count: int) -> int:
        people = [make_user("one", is_staff=number % 2 == 0) for number in range(count)]
        for person in people:
            make_portfolio(person)
        credentials = [
            by_token(person) if number % 4 < 2 else by_session(person) for number, person in enumerate(people)
        ]
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert len(access_of(credentials)) == count
        return len(captured)

    assert questions(40) == questions(4) <= 5
