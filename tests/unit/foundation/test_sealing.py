"""Sealing: opens with the right key at the right place only, and never shows a key in an error."""

import base64
import secrets

import pytest

from foundation.core.sealing import BadKeys, DoesNotOpen, parse_keys, seal, unseal

KEYS = {"new": b"n" * 32, "old": b"o" * 32}


def sealed(binding: bytes = b"here") -> bytes:
    return seal(b"secret", key=KEYS["old"], binding=binding)


def opened(text: bytes, *, named: str = "old", binding: bytes = b"here") -> bytes:
    return unseal(text, keys=KEYS, named=named, binding=binding)


def test_what_is_sealed_opens_again() -> None:
    assert opened(sealed()) == b"secret"


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert len({sealed() for _ in range(20)}) == 20
    assert b"secret" not in sealed()


@pytest.mark.parametrize("named", ["new", "lost"])
def test_another_key_does_not_open_it(named: str) -> None:
    with pytest.raises(DoesNotOpen, match=named):
        opened(sealed(), named=named)


def test_elsewhere_it_does_not_open() -> None:
    with pytest.raises(DoesNotOpen):
        opened(sealed(), binding=b"there")


def test_a_changed_bit_anywhere_is_noticed() -> None:
    text = sealed()
    for position in range(len(text)):
        changed = bytearray(text)
        changed[position] ^= 1
        with pytest.raises(DoesNotOpen):
            opened(bytes(changed))


@pytest.mark.parametrize("length", [0, 1, 11, 12, 13, 27])
def test_a_cut_off_text_does_not_open(length: int) -> None:
    with pytest.raises(DoesNotOpen):
        opened(sealed()[:length])


def test_keys_are_read_in_either_alphabet_padded_or_not_and_keep_their_order() -> None:
    key = b"\xfb\xef\xbe" + secrets.token_bytes(29)
    standard, safe = base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()
    assert standard != safe
    keys = parse_keys(
        [f"b:{standard}", f" a:{safe} ", f"c:{safe.rstrip('=')}", f"d:{secrets.token_urlsafe(32)}"]
    )
    assert list(keys) == ["b", "a", "c", "d"]
    assert keys["a"] == keys["b"] == keys["c"] == key
    assert parse_keys([]) == {}


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["x" * 43], "entry 1 must be name:key"),
        (["a:" + "A" * 43, ":" + "A" * 43], "entry 2 must be name:key"),
        (["a name:" + "A" * 43], "entry 1"),
        (["seventeen-letters:" + "A" * 43], "entry 1"),
        (["a:" + "A" * 43, "a:" + "B" * 42 + "A"], "the name a is there twice"),
        (["a:" + "A" * 42], "31 bytes, not 32"),
        (["a:" + "A" * 44], "33 bytes, not 32"),
        (["a:"], "0 bytes, not 32"),
        (["a:" + "A" * 41], "no base64"),
        (["a:" + "*" * 43], "no base64"),
    ],
)
def test_a_malformed_key_is_named_and_not_shown(texts: list[str], told: str) -> None:
    with pytest.raises(BadKeys, match=told) as error:
        parse_keys(texts)
    assert "AAAA" not in str(error.value) and "xxxx" not in str(error.value)
