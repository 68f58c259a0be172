"""Brokers' keys at rest: bound to their account, sealed by the newest key, and resealed when it changes."""

import io
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from portfolios.models import BrokerAccount, BrokerCredential
from portfolios.services.credentials import (
    ApiKeys,
    CredentialsSealed,
    NoCredentials,
    NoSealingKey,
    forget_credentials,
    open_credentials,
    seal_credentials,
)
from portfolios.services.portfolios import create_portfolio

pytestmark = pytest.mark.integration
KEYS = ApiKeys(key_id="PKATREST0000000001", secret="asleep-in-the-database-00000001")
OLD, NEW = {"old": b"o" * 32}, {"new": b"n" * 32}


@pytest.fixture(autouse=True)
def sealed_by_the_old_key(db: None, settings: Any) -> Any:
    settings.CREDENTIAL_KEYS = OLD
    return settings


def account(name: str = "Alice's") -> BrokerAccount:
    alice, _ = get_user_model().objects.get_or_create(username="alice")
    made = BrokerAccount.objects.get(portfolio=create_portfolio(name=name, owner=alice))
    made.broker, made.account_number = "alpaca", f"PA-{name}"
    made.save()
    seal_credentials(account=made, keys=KEYS, actor=alice)
    return made


def test_they_open_for_their_account() -> None:
    mine = account()
    assert open_credentials(account=mine) == KEYS
    row = BrokerCredential.objects.get(account=mine)
    assert (row.sealing_key, row.hint, row.set_by.get_username()) == ("old", "…0001", "alice")  # type: ignore[union-attr]
    assert KEYS.secret.encode() not in bytes(row.sealed) and KEYS.key_id.encode() not in bytes(row.sealed)


def test_a_row_copied_to_another_account_does_not_open() -> None:
    mine, other = account(), account("Charlie's")
    stolen = BrokerCredential.objects.get(account=mine).sealed
    BrokerCredential.objects.filter(account=other).update(sealed=stolen)
    with pytest.raises(CredentialsSealed):
        open_credentials(account=other)


def test_an_account_marked_live_by_hand_does_not_open() -> None:
    mine = account()
    BrokerAccount.objects.filter(pk=mine.pk).update(is_live=True)
    with pytest.raises(CredentialsSealed):
        open_credentials(account=BrokerAccount.objects.get(pk=mine.pk))


def test_what_is_missing_is_said(settings: Any) -> None:
    mine = account()
    settings.CREDENTIAL_KEYS = NEW
    with pytest.raises(CredentialsSealed, match="the key old"):
        open_credentials(account=mine)
    settings.CREDENTIAL_KEYS = {}
    with pytest.raises(NoSealingKey, match="CREDENTIAL_KEYS is not set"):
        open_credentials(account=mine)
    with pytest.raises(NoSealingKey):
        seal_credentials(account=mine, keys=KEYS, actor=None)
    forget_credentials(account=mine)
    with pytest.raises(NoCredentials):
        open_credentials(account=mine)


def test_rotation_reseals_all_and_the_old_key_may_go(settings: Any) -> None:
    accounts = [account(name) for name in ("one", "two")]
    settings.CREDENTIAL_KEYS = NEW | OLD
    assert [open_credentials(account=each) for each in accounts] == [KEYS, KEYS]
    for told in ("2 resealed, 0 sealed", "0 resealed, 2 sealed"):
        said = io.StringIO()
        call_command("reseal_credentials", stdout=said)
        assert said.getvalue().startswith(told)
    settings.CREDENTIAL_KEYS = NEW
    assert [open_credentials(account=each) for each in accounts] == [KEYS, KEYS]


def test_what_does_not_open_is_left_as_it_was_and_named(settings: Any) -> None:
    good, broken = account("good"), account("broken")
    BrokerCredential.objects.filter(account=broken).update(sealed=b"rubbish")
    settings.CREDENTIAL_KEYS = NEW | OLD
    with pytest.raises(CommandError, match=str(broken.pk)):
        call_command("reseal_credentials", stdout=io.StringIO())
    assert open_credentials(account=good) == KEYS
    assert BrokerCredential.objects.get(account=good).sealing_key == "new"
    row = BrokerCredential.objects.get(account=broken)
    assert (bytes(row.sealed), row.sealing_key) == (b"rubbish", "old")


def test_rotation_without_a_key_says_so(settings: Any) -> None:
    settings.CREDENTIAL_KEYS = {}
    with pytest.raises(CommandError, match="CREDENTIAL_KEYS is not set"):
        call_command("reseal_credentials")
