"""The signature of a webhook, as a receiver would check it."""

import hashlib
import hmac

import pytest

from journal.services.alerts import ATTEMPTS_MAX, BACKOFF_SECONDS_MAX, backoff_seconds
from journal.services.webhook import sign


def test_the_signature_covers_timestamp_and_body():
    expected = hmac.new(b"secret", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert sign("secret", timestamp=1_700_000_000, body=b'{"a":1}') == f"sha256={expected}"
    assert sign("secret", timestamp=1_700_000_001, body=b'{"a":1}') != f"sha256={expected}"


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 2), (2, 4), (9, 512), (10, BACKOFF_SECONDS_MAX), (10**6, BACKOFF_SECONDS_MAX)],
)
def test_the_wait_doubles_up_to_a_bound(attempts, seconds):
    assert backoff_seconds(attempts) == seconds


def test_a_receiver_may_be_down_for_three_days():
    waited = sum(backoff_seconds(attempts) for attempts in range(1, ATTEMPTS_MAX))
    assert 3 <= waited / 86_400 < 4
