"""An event that cannot be stored for ever is refused where it is made."""

from datetime import UTC, datetime

import pytest

from journal.core.events import PLATFORM_STREAM, AlertSpec, Event

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "kind", ["filled", "Trade.filled", "trade..filled", "trade.filled ", "trade.f" * 20, ""]
)
def test_a_kind_is_dotted_lower_case(kind):
    with pytest.raises(ValueError, match="dotted lower case"):
        Event(PLATFORM_STREAM, kind, NOON, {})


def test_a_naive_time_is_refused():
    with pytest.raises(ValueError, match="aware"):
        Event(PLATFORM_STREAM, "trade.filled", NOON.replace(tzinfo=None), {})


def test_an_alert_has_a_known_severity_and_a_message():
    with pytest.raises(ValueError, match="severity"):
        AlertSpec("fatal", "the feed is silent")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="message"):
        AlertSpec("warning", "")
