"""The feed's process on a live stream that misbehaves: whatever goes wrong, only what was said rightly is published."""

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from market.models import CalendarDay, Exchange, Instrument, QuarantineTotal, Quote, Snapshot
from market.services import snapshots

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[3]
SYMBOLS = ("AAPL", "IBM", "MSFT")
MISCHIEF = ("crossed", "zero", "nan", "jump", "repeated", "out_of_order", "future", "garbage")
REASONS = {"crossed", "not_finite", "jump", "out_of_order", "future"}
"""a price of zero is none of them: it says that nobody quotes"""
SECRET = "the-secret-of-the-data"


@pytest.fixture
def open_market(committed_db):
    """Around the clock, so that the test runs whenever it runs."""
    exchange = Exchange.objects.create(code="24/7", name="Around the clock", timezone="UTC")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for day in (today - timedelta(days=1), today, today + timedelta(days=1)):
        CalendarDay.objects.create(
            exchange=exchange, day=day.date(), opens_at=day, closes_at=day + timedelta(days=1)
        )
    for symbol in SYMBOLS:
        Instrument.objects.create(
            symbol=symbol, name=symbol, exchange=exchange, tick_size=Decimal("0.01"), lot_size=Decimal(1)
        )


@pytest.fixture
def start_feed(committed_db, market_data, open_market, tmp_path):
    started = []
    market_data.do("keys", key="PKDATA", secret=SECRET)

    def start():
        with (tmp_path / "feed.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "run_feed"],
                cwd=ROOT,
                env=committed_db.environment
                | {
                    "MARKET_FEED": "alpaca", "ALPACA_DATA_URL": market_data.base_url,
                    "ALPACA_DATA_STREAM_URL": market_data.stream_url, "ALPACA_DATA_KEY_ID": "PKDATA",
                    "ALPACA_DATA_SECRET": SECRET, "FEED_COALESCE_MS": "50", "LOG_LEVEL": "DEBUG",
                },
                stdout=log,
                stderr=log,
            )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def further(count):
    wanted = snapshots.current_version() + count
    wait_for(lambda: snapshots.current_version() >= wanted)


def said_rightly(market_data):
    """Bid and ask of each symbol that somebody may believe: a repetition says once more what was said rightly."""
    rows = [line for line in market_data.said() if line["what"] == "said"]
    good = [line["message"] for line in rows if line["wrong"] == ""]
    return {(row["S"], Decimal(str(row["bp"])), Decimal(str(row["ap"]))) for row in good}


def published():
    """Of each snapshot."""
    for version in Snapshot.objects.order_by("version").values_list("version", flat=True):
        market = snapshots.at_version(version)
        for symbol in SYMBOLS:
            bid, ask = market.bid_price(symbol), market.ask_price(symbol)
            if bid is not None:
                yield symbol, bid.normalize(), ask.normalize()


def test_whatever_goes_wrong_only_what_was_said_rightly_is_published(start_feed, market_data, tmp_path):
    first = start_feed()
    wait_for(lambda: market_data.state()["listeners"] == 1)
    market_data.do(
        "walk", symbols=SYMBOLS, seed=5, per_second=60, mischief=dict.fromkeys(MISCHIEF, 0.04)
    )  # fmt: skip
    further(20)
    market_data.do("cut")
    further(10)
    market_data.do("mute", seconds=1.0)
    further(10)
    first.kill()  # its lease has to expire, and its connection is broken
    first.wait(10)
    second = start_feed()
    further(20)
    market_data.do("refuse", seconds=1.0)
    further(10)
    wait_for(lambda: set(QuarantineTotal.objects.values_list("reason", flat=True)) >= REASONS)
    market_data.do("rest")
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0

    good = {(symbol, bid.normalize(), ask.normalize()) for symbol, bid, ask in said_rightly(market_data)}
    strange = set(published()) - good
    assert not strange
    rows = list(Snapshot.objects.order_by("version").values_list("version", "as_of"))
    assert [version for version, _ in rows] == list(range(1, len(rows) + 1))
    times = [as_of for _, as_of in rows]
    assert times == sorted(times)
    assert Quote.objects.count() == len(SYMBOLS)
    log = (tmp_path / "feed.log").read_text()
    assert SECRET not in log and "Traceback" not in log


def test_keys_that_are_refused_end_the_process_with_the_cure(start_feed, market_data, tmp_path):
    market_data.do("keys", key="PKDATA", secret="another")
    process = start_feed()
    assert process.wait(60) != 0
    log = (tmp_path / "feed.log").read_text()
    assert "check ALPACA_DATA_KEY_ID and ALPACA_DATA_SECRET" in log
    assert SECRET not in log
