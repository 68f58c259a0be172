"""Sealing secrets at rest: AES-256-GCM under named keys, each sealed text bound to where it stands.

AES-GCM as in NIST SP 800-38D: a random nonce of 96 bits for each sealing, a tag of 128 bits. The binding (additional
authenticated data) is no secret: a sealed text that was copied elsewhere does not open there.
"""

import base64
import binascii
import os
import re
from collections.abc import Iterable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
_NAME = re.compile(r"[A-Za-z0-9_-]{1,16}")


class BadKeys(ValueError):
    """The sealing keys are not written as they must be. The message never shows a key."""


class DoesNotOpen(Exception):
    """The text was sealed by another key, for another place, or was changed."""


def parse_keys(texts: Iterable[str]) -> dict[str, bytes]:
    """Name -> key of `name:base64 of 32 bytes` each, in the order given; base64 of either alphabet, padded or not.

    Raises BadKeys.
    """
    keys: dict[str, bytes] = {}
    for position, text in enumerate(texts, start=1):
        name, separator, encoded = text.strip().partition(":")
        if not separator or not _NAME.fullmatch(name):
            raise BadKeys(f"entry {position} must be name:key, the name of 1 to 16 letters, digits, - or _")
        if name in keys:
            raise BadKeys(f"the name {name} is there twice")
        keys[name] = _key(name, encoded)
    return keys


def _key(name: str, encoded: str) -> bytes:
    plain = encoded.strip().rstrip("=").replace("+", "-").replace("/", "_")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", plain):
        raise BadKeys(f"the key {name} is no base64")
    try:
        key = base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except (binascii.Error, ValueError) as error:
        raise BadKeys(f"the key {name} is no base64") from error
    if len(key) != KEY_BYTES:
        raise BadKeys(f"the key {name} has {len(key)} bytes, not {KEY_BYTES}")
    return key


def seal(plain: bytes, *, key: bytes, binding: bytes) -> bytes:
    """Nonce and sealed text."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, binding)


def unseal(sealed: bytes, *, keys: Mapping[str, bytes], named: str, binding: bytes) -> bytes:
    """What was sealed under the key of that name. Raises DoesNotOpen."""
    key = keys.get(named)
    if key is None:
        raise DoesNotOpen(f"it was sealed by the key {named}, which is not among the keys")
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], binding)
    except (InvalidTag, ValueError) as error:
        raise DoesNotOpen(f"the key {named} does not open it: it was changed, or sealed elsewhere") from error
