"""Where a request comes from."""

from typing import Any

import pytest
from django.test import RequestFactory

from foundation.addresses import UNKNOWN, client_address


def seen(settings: Any, peer: str, forwarded: str = "", *, proxies: int = 0) -> str:
    settings.PROXY_COUNT = proxies
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=peer, **headers))


@pytest.mark.parametrize(
    ("told", "address"),
    [("1.2.3.4", "1.2.3.4"), ("1.2.3.4:5678", "1.2.3.4"), ("::ffff:1.2.3.4", "1.2.3.4"),
     ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"), ("[2001:db8:1:2::9]:443", "2001:db8:1:2::"),
     ("", UNKNOWN), ("unknown", UNKNOWN), ("1.2.3.4.5", UNKNOWN)],
)  # fmt: skip
def test_the_peer(settings: Any, told: str, address: str) -> None:
    assert seen(settings, told) == address


def test_without_proxies_of_ours_the_header_says_nothing(settings: Any) -> None:
    assert seen(settings, "9.9.9.9", "1.1.1.1") == "9.9.9.9"


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [("1.1.1.1, 5.5.5.5", 1, "5.5.5.5"), ("1.1.1.1, 5.5.5.5", 2, "1.1.1.1"), ("5.5.5.5", 2, "9.9.9.9"),
     ("made up, 5.5.5.5", 2, "9.9.9.9")],
)  # fmt: skip
def test_behind_them_it_is_the_one_that_they_have_seen(
    settings: Any, forwarded: str, proxies: int, address: str
) -> None:
    assert seen(settings, "9.9.9.9", forwarded, proxies=proxies) == address
