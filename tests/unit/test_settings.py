"""Settings refuse what would hide faults, and name what is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from autotrading_project.settings.validation import refuse_toys

BASE_DIR = Path(__file__).resolve().parents[2]
GOOD = {
    "SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOP",
    "DATABASE_URL": "postgres://user:password@127.0.0.1:1/name",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "READ_DOT_ENV": "0",
}
ALPACA = {"MARKET_FEED": "alpaca", "ALPACA_DATA_KEY_ID": "id", "ALPACA_DATA_SECRET": "secret"}


def load_settings(tmp_path: Path, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """Load the settings in a process of its own, with exactly this environment."""
    environment = GOOD | {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)} | changes
    return subprocess.run(
        [sys.executable, "-c", "import autotrading_project.settings"],
        cwd=BASE_DIR,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )


def test_good_settings_load(tmp_path):
    loaded = load_settings(tmp_path)
    assert loaded.returncode == 0, loaded.stderr


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"CELERY_TASK_ALWAYS_EAGER": "1"}, "CELERY_TASK_ALWAYS_EAGER is refused"),
        ({"DATABASE_URL": "sqlite:///db.sqlite3"}, "is not PostgreSQL, which is refused"),
        ({"DATABASE_URL": None}, "DATABASE_URL is not set"),
        ({"REDIS_URL": None}, "REDIS_URL is not set"),
        ({"SECRET_KEY": None}, "SECRET_KEY is not set"),
        (
            {"SECRET_KEY": "0123456789-abcdefghijklmnopqrst"},
            "SECRET_KEY has 31 characters, which could be guessed",
        ),
        # neither on nor off
        ({"DEBUG": "ture"}, "DEBUG must be 1 or 0, got 'ture'"),
        ({"ALLOW_HTTP": "none"}, "ALLOW_HTTP must be 1 or 0, got 'none'"),
        ({"ALLOW_LIVE_TRADING": "0;"}, "ALLOW_LIVE_TRADING must be 1 or 0, got '0;'"),
        ({"READ_DOT_ENV": "never"}, "READ_DOT_ENV must be 1 or 0, got 'never'"),
        # real money would follow prices of 2004, or invented ones
        (
            {"ALLOW_LIVE_TRADING": "1"},
            "ALLOW_LIVE_TRADING=1 needs MARKET_FEED=alpaca (or none): real orders would follow the prices of "
            "MARKET_FEED=replay",
        ),
        (
            {"ALLOW_LIVE_TRADING": "1", "MARKET_FEED": "simulated"},
            "ALLOW_LIVE_TRADING=1 needs MARKET_FEED=alpaca (or none)",
        ),
        # prices of a quarter of an hour ago, which look fresh
        (
            ALPACA | {"ALLOW_LIVE_TRADING": "1", "ALPACA_DATA_FEED": "delayed_sip"},
            "ALLOW_LIVE_TRADING=1 needs ALPACA_DATA_FEED=iex or sip",
        ),
        ({"REPLAY_BARS_PER_SECOND": "fast"}, "REPLAY_BARS_PER_SECOND must be a number, got 'fast'"),
        ({"REPLAY_BARS_PER_SECOND": "0"}, "REPLAY_BARS_PER_SECOND must be between 0.01 and 1000"),
        ({"MARKET_FEED": "guess"}, "MARKET_FEED must be replay, simulated, alpaca or none, got 'guess'"),
        ({"SIM_SEED": "-1"}, "SIM_SEED must be between 0 and"),
        ({"SIM_STEP_SECONDS": "0"}, "SIM_STEP_SECONDS must be between 1 and 3600"),
        ({"REPLAY_FILE": "bars.xlsx"}, "REPLAY_FILE must end in .csv, .csv.gz or .parquet, got 'bars.xlsx'"),
        ({"MARKET_FEED": "alpaca"}, "MARKET_FEED=alpaca needs ALPACA_DATA_KEY_ID and ALPACA_DATA_SECRET"),
        ({"ALPACA_DATA_FEED": "otc"}, "ALPACA_DATA_FEED must be iex, sip or delayed_sip, got 'otc'"),
        ({"ALPACA_DATA_STREAM_URL": "ws://data.example"}, "ALPACA_DATA_STREAM_URL must begin with wss://"),
        ({"ALPACA_DATA_STREAM_URL": "https://data.example"}, "ALPACA_DATA_STREAM_URL must be wss://host"),
        ({"FEED_JUMP_PERCENTAGE": "0"}, "FEED_JUMP_PERCENTAGE must be between 1 and 1000, got 0"),
        ({"FEED_JUMP_CONFIRMATIONS": "1.5"}, "FEED_JUMP_CONFIRMATIONS must be a whole number, got '1.5'"),
        ({"EQUITY_POINT_MINUTES": "7"}, "EQUITY_POINT_MINUTES must divide a day, got 7"),
        ({"EQUITY_FULL_DAYS": "0"}, "EQUITY_FULL_DAYS must be between 1 and 36500, got 0"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, got 'LOUD'"),
        ({"CREDENTIAL_KEYS": "no-name"}, "CREDENTIAL_KEYS: entry 1 must be name:key"),
        ({"CREDENTIAL_KEYS": "new:c2hvcnQ="}, "CREDENTIAL_KEYS: the key new has 5 bytes, not 32"),
        ({"CREDENTIAL_KEYS": "new:not base64!"}, "CREDENTIAL_KEYS: the key new is no base64"),
        ({"ALPACA_PAPER_URL": "http://broker.example"}, "ALPACA_PAPER_URL must begin with https://"),
        (
            {"ALPACA_LIVE_URL": "https://api.example/v2"},
            "ALPACA_LIVE_URL must be https://host, without a path",
        ),
        ({"ALPACA_LIVE_URL": "https://user:word@api.example"}, "ALPACA_LIVE_URL must not hold a login"),
        ({"ALPACA_LIVE_URL": "ftp://api.example"}, "ALPACA_LIVE_URL must be https://host"),
        ({"ALPACA_LIVE_URL": "https://api.example:port"}, "ALPACA_LIVE_URL is no URL"),
        # or play money would be real
        (
            {"ALPACA_PAPER_URL": "https://api.alpaca.markets"},
            "ALPACA_PAPER_URL must be another than ALPACA_LIVE_URL",
        ),
        (
            {"ALPACA_PAPER_URL": "https://API.alpaca.markets.:443/"},
            "ALPACA_PAPER_URL must be another than ALPACA_LIVE_URL",
        ),
        # a claim must outlive what it claims
        ({"BROKER_LEASE_SECONDS": "3"}, "BROKER_LEASE_SECONDS must be longer than BROKER_DEADLINE_SECONDS"),
        # an unsigned webhook could be forged
        ({"ALERT_WEBHOOK_URL": "https://example.com/hook"}, "ALERT_WEBHOOK_SECRET is not set"),
        (
            {"ALERT_WEBHOOK_URL": "example.com/hook"},
            "ALERT_WEBHOOK_URL must be a URL that begins with https://",
        ),
        (
            {"ALERT_WEBHOOK_URL": "ftp://example.com"},
            "ALERT_WEBHOOK_URL must be a URL that begins with https://",
        ),
        ({"ALERT_WEBHOOK_URL": "https:///hook"}, "ALERT_WEBHOOK_URL must be a URL that begins with https://"),
        (
            {"ALERT_WEBHOOK_URL": "https://[::1/hook"},
            "ALERT_WEBHOOK_URL must be a URL that begins with https://",
        ),
    ],
)
def test_bad_value_stops_the_start_with_its_name(tmp_path, changes, sentence):
    loaded = load_settings(tmp_path, **changes)
    assert loaded.returncode != 0
    assert sentence in loaded.stderr.splitlines()[-1]


def test_real_money_goes_with_prices_of_now_or_with_none(tmp_path):
    for feed in (ALPACA, {"MARKET_FEED": "none"}):
        loaded = load_settings(tmp_path, ALLOW_LIVE_TRADING="1", **feed)
        assert loaded.returncode == 0, loaded.stderr
    loaded = load_settings(tmp_path, **ALPACA, ALPACA_DATA_FEED="delayed_sip")  # on paper
    assert loaded.returncode == 0, loaded.stderr


def test_switches_know_the_usual_words(tmp_path):
    loaded = load_settings(
        tmp_path, DEBUG="False", ALLOW_HTTP=" YES ", DATABASE_POOL="", ALLOW_LIVE_TRADING="off"
    )
    assert loaded.returncode == 0, loaded.stderr


def test_the_secret_key_of_the_example_is_refused(tmp_path):
    """A file that was copied and never filled in would let everybody sign a session."""
    lines = (BASE_DIR / ".env.example").read_text().splitlines()
    (example,) = [line.partition("=")[2] for line in lines if line.startswith("# SECRET_KEY=")]
    loaded = load_settings(tmp_path, SECRET_KEY=example)
    assert "SECRET_KEY has" in loaded.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "changes",
    [{"SECRET_KEY": "kept-from-everybody"}, {"ALERT_WEBHOOK_URL": "example.com/kept-from-everybody"}],
)
def test_what_may_hold_a_secret_is_not_shown(tmp_path, changes):
    loaded = load_settings(tmp_path, **changes)
    assert loaded.returncode != 0
    assert "kept-from-everybody" not in loaded.stderr + loaded.stdout


def test_in_memory_channel_layer_is_refused():
    layers = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    with pytest.raises(ImproperlyConfigured, match="in-memory, which is refused"):
        refuse_toys({"CHANNEL_LAYERS": layers})


def test_every_database_and_layer_is_looked_at():
    postgres = {"ENGINE": "django.db.backends.postgresql"}
    with pytest.raises(ImproperlyConfigured, match="DATABASES\\['archive'\\]"):
        refuse_toys({"DATABASES": {"default": postgres, "archive": {"ENGINE": "django.db.backends.sqlite3"}}})
    pubsub = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer"}
    toy = {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    with pytest.raises(ImproperlyConfigured, match="CHANNEL_LAYERS\\['second'\\]"):
        refuse_toys({"CHANNEL_LAYERS": {"default": pubsub, "second": toy}})


def test_a_bad_sealing_key_is_named_but_not_shown(tmp_path):
    """It may be a good one with a letter too few."""
    loaded = load_settings(tmp_path, CREDENTIAL_KEYS="new:kept-from-everybody-else")
    assert loaded.returncode != 0
    assert "kept-from-everybody-else" not in loaded.stderr + loaded.stdout


def test_a_simulator_on_this_machine_needs_no_tls(tmp_path):
    address = "http://127.0.0.1:9000/"
    loaded = load_settings(tmp_path, ALPACA_PAPER_URL=address, ALPACA_LIVE_URL="http://[::1]:9001")
    assert loaded.returncode == 0, loaded.stderr
