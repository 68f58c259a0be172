"""The signed webhook, by which alerts leave the house.

    POST {ALERT_WEBHOOK_URL}
    Content-Type: application/json
    X-Autotrading-Delivery: {id, the same for every attempt}
    X-Autotrading-Timestamp: {seconds since 1970}
    X-Autotrading-Signature: sha256={hexadecimal HMAC-SHA256}

    {"alert_id", "at", "created_at", "kind", "message", "payload", "seq", "severity", "stream"}

The receiver verifies it before parsing anything: the HMAC key is ALERT_WEBHOOK_SECRET, the message
the timestamp's text, a full stop, and the raw body. In Python:

    expected = hmac.new(secret, timestamp + b"." + body, "sha256").hexdigest()
    genuine = hmac.compare_digest("sha256=" + expected, signature) and abs(time.time() - int(timestamp)) < 300

The timestamp makes an old request worthless to whoever recorded it. Delivery is at least once: a
receiver that has seen the delivery id answers 200 and does nothing. Any 2xx is success; anything
else, redirects included, is tried again later.
"""

import hashlib
import hmac
from uuid import UUID

import httpx

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0


class WebhookRefused(Exception):
    """The receiver answered, but not with success."""


def sign(secret: str, *, timestamp: int, body: bytes) -> str:
    """The value of X-Autotrading-Signature."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def client() -> httpx.Client:
    """An HTTP client that never waits for long and follows no redirect with a signed body."""
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    return httpx.Client(timeout=timeout, follow_redirects=False)


def post(http: httpx.Client, *, url: str, secret: str, delivery: UUID, timestamp: int, body: bytes) -> None:
    """Send one delivery. Raises WebhookRefused or httpx.HTTPError; the answer's body is not read."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "autotrading",
        "X-Autotrading-Delivery": str(delivery),
        "X-Autotrading-Timestamp": str(timestamp),
        "X-Autotrading-Signature": sign(secret, timestamp=timestamp, body=body),
    }
    with http.stream("POST", url, content=body, headers=headers) as response:
        if not response.is_success:
            raise WebhookRefused(f"the receiver answered {response.status_code}")
