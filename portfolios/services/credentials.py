"""Brokers' keys: sealed at rest, bound to their account's row, opened only to speak to the broker.

The binding names the account, its broker and whether it is live: a sealed text copied to another row, or keys of play
money on an account that somebody marked live by hand, open nothing. The newest of CREDENTIAL_KEYS seals, all open.

Errors (all are Conflict: the caller mends the installation or connects the account again)
    NoSealingKey        CREDENTIAL_KEYS is empty
    NoCredentials       the account has no keys
    CredentialsSealed   there are some, but none of CREDENTIAL_KEYS opens them here
"""

import json
import re
from dataclasses import dataclass, field

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from foundation.clock import database_now
from foundation.core.sealing import DoesNotOpen, seal, unseal
from foundation.errors import Conflict, InvalidInput
from portfolios.models import BrokerAccount, BrokerCredential

KEY_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
SECRET = re.compile(r"[!-~]{8,128}")  # it goes into a header
HINT_CHARACTERS = 4


class NoSealingKey(Conflict):
    code = "no_sealing_key"


class NoCredentials(Conflict):
    code = "no_credentials"


class CredentialsSealed(Conflict):
    code = "credentials_sealed"


@dataclass(frozen=True)
class ApiKeys:
    """A broker's key pair. Neither half is ever shown: not in a repr, a log, an error or an answer."""

    key_id: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def hint(self) -> str:
        """For people who have several."""
        return "…" + self.key_id[-HINT_CHARACTERS:]


def checked_keys(*, key_id: str, secret: str) -> ApiKeys:
    """Raises InvalidInput, which names the field and shows no value."""
    faults = []
    if not KEY_ID.fullmatch(key_id):
        faults.append(
            {
                "path": "key_id",
                "message": "It has 8 to 64 letters, digits, - or _.",
                "suggestion": "Copy it anew.",
            }
        )
    if not SECRET.fullmatch(secret):
        faults.append(
            {
                "path": "secret",
                "message": "It has 8 to 128 characters without spaces.",
                "suggestion": "Copy it anew; the broker shows it only once.",
            }
        )
    if faults:
        raise InvalidInput("The keys are not written as a broker's keys are.", errors=faults)
    return ApiKeys(key_id=key_id, secret=secret)


def require_sealing_key() -> str:
    """The name of the key that seals. Raises NoSealingKey."""
    name = next(iter(settings.CREDENTIAL_KEYS), None)
    if name is None:
        raise NoSealingKey(
            "CREDENTIAL_KEYS is not set, so no keys can be kept: set it to name:base64 of 32 random bytes."
        )
    return str(name)


def seal_credentials(
    *, account: BrokerAccount, keys: ApiKeys, actor: AbstractBaseUser | None
) -> BrokerCredential:
    """Keep the keys for the account as it stands now (broker, live or not); those before are gone.

    In the caller's transaction, the account's portfolio locked. Raises NoSealingKey.
    """
    name = require_sealing_key()
    row, _ = BrokerCredential.objects.update_or_create(
        account=account,
        defaults={
            "sealed": _sealed(account, keys, name), "sealing_key": name, "hint": keys.hint,
            "set_by_id": actor.pk if actor else None, "set_at": database_now(),
        },
    )  # fmt: skip
    return row


def open_credentials(*, account: BrokerAccount) -> ApiKeys:
    """Raises NoCredentials, NoSealingKey, CredentialsSealed."""
    row = BrokerCredential.objects.filter(account=account).first()
    if row is None:
        raise NoCredentials("This account has no keys: connect it first.")
    return _opened(account, row)


def forget_credentials(*, account: BrokerAccount) -> None:
    """In the caller's transaction, the account's portfolio locked."""
    BrokerCredential.objects.filter(account=account).delete()


@dataclass(frozen=True)
class Resealed:
    """`failed`: account -> why its keys did not open; they stay as they were."""

    resealed: int
    kept: int
    failed: dict[str, str]


def reseal_credentials() -> Resealed:
    """Seal with the newest key what another one sealed; each account in a transaction of its own."""
    name, resealed, kept, failed = require_sealing_key(), 0, 0, {}
    for account_id in list(BrokerCredential.objects.order_by("pk").values_list("pk", flat=True)):
        with transaction.atomic():
            rows = BrokerCredential.objects.select_related("account").select_for_update(
                no_key=True, of=("self",)
            )
            row = rows.filter(pk=account_id).first()
            if row is None or row.sealing_key == name:
                kept += 1 if row is not None else 0
                continue
            try:
                keys = _opened(row.account, row)
            except CredentialsSealed as error:
                failed[str(account_id)] = error.detail
                continue
            row.sealed, row.sealing_key = _sealed(row.account, keys, name), name
            row.save(update_fields=["sealed", "sealing_key"])
            resealed += 1
    return Resealed(resealed=resealed, kept=kept, failed=failed)


def _binding(account: BrokerAccount) -> bytes:
    return (
        f"broker-credential/1/{account.pk}/{account.broker}/{'live' if account.is_live else 'paper'}".encode()
    )


def _sealed(account: BrokerAccount, keys: ApiKeys, name: str) -> bytes:
    plain = json.dumps({"key_id": keys.key_id, "secret": keys.secret}).encode()
    return seal(plain, key=settings.CREDENTIAL_KEYS[name], binding=_binding(account))


def _opened(account: BrokerAccount, row: BrokerCredential) -> ApiKeys:
    require_sealing_key()
    try:
        plain = unseal(
            bytes(row.sealed), keys=settings.CREDENTIAL_KEYS, named=row.sealing_key, binding=_binding(account)
        )
    except DoesNotOpen as error:
        raise CredentialsSealed(
            f"The keys of this account do not open: {error}. Add that key to CREDENTIAL_KEYS, or connect again."
        ) from None
    kept = json.loads(plain)
    return ApiKeys(key_id=kept["key_id"], secret=kept["secret"])
