"""The cadence of equity curves. Pure."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bucket_of(at: datetime, *, minutes: int) -> datetime:
    """Where the interval of market time begins that `at` lies in. `minutes` divides a day, so that days begin with an
    interval of their own."""
    assert at.tzinfo is not None
    return at - (at - _EPOCH) % timedelta(minutes=minutes)
