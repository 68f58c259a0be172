"""What `.env` and `run.env` may fill in, and that nothing of them reaches a test."""

import os

import pytest

from autotrading_project.environment_files import fill_environment

OWNER = "postgres://owner:p@127.0.0.1:1/live"
APPLICATION = "postgres://live_app:p@127.0.0.1:1/live"
HOSTILE = f"""# somebody's installation
DATABASE_URL={OWNER}
DATABASE_OWNER_URL={OWNER}
REDIS_URL=redis://127.0.0.1:1/0
ALERT_WEBHOOK_URL=https://example.com/hook
ALERT_WEBHOOK_SECRET=x
ALLOWED_HOSTS=trading.example.com
"""


@pytest.fixture
def directory(tmp_path):
    """A checkout with a `.env`, and a running `make run` in its data directory."""
    (tmp_path / ".env").write_text(HOSTILE)
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data" / "run.env").write_text(
        f"DATABASE_URL={APPLICATION}\nDATABASE_OWNER_URL={OWNER}\nDEMO=1\n"
    )
    return tmp_path


def test_nothing_of_them_reaches_what_tests_start(directory):
    servers = {"DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "DATA_DIR"}
    environment = {name: value for name, value in os.environ.items() if name not in servers}
    before = dict(environment)
    fill_environment(environment, directory=directory)
    assert environment == before
    assert not {"ALERT_WEBHOOK_URL", "ALLOWED_HOSTS"} & environment.keys()


def test_a_running_make_run_wins_over_dot_env(directory):
    environment: dict[str, str] = {}
    fill_environment(environment, directory=directory)
    assert environment["DATABASE_URL"] == APPLICATION
    assert environment["DATABASE_OWNER_URL"] == OWNER
    assert (environment["DEMO"], environment["ALLOWED_HOSTS"]) == ("1", "trading.example.com")


def test_dot_env_is_used_when_nothing_runs(directory):
    (directory / ".data" / "run.env").unlink()
    environment: dict[str, str] = {}
    fill_environment(environment, directory=directory)
    assert (environment["DATABASE_URL"], environment["DATABASE_OWNER_URL"]) == (OWNER, OWNER)


def test_make_run_itself_is_not_led_by_what_a_killed_run_left(directory):
    environment: dict[str, str] = {}
    fill_environment(environment, directory=directory, run_env=False)
    assert environment["DATABASE_URL"] == OWNER
    assert "DEMO" not in environment


def test_the_real_environment_is_above_both_and_gets_no_owner_of_another_database(directory):
    mine = {"DATABASE_URL": "postgres://u:p@127.0.0.1:1/mine", "ALLOWED_HOSTS": "a.example.com"}
    environment = dict(mine)
    fill_environment(environment, directory=directory)
    assert environment | mine == environment
    assert "DATABASE_OWNER_URL" not in environment
    assert environment["REDIS_URL"] == "redis://127.0.0.1:1/0"


def test_dot_env_may_say_where_the_data_are(directory, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (directory / ".data").rename(elsewhere)
    (directory / ".env").write_text(f"{HOSTILE}DATA_DIR={elsewhere}\n")
    environment: dict[str, str] = {}
    fill_environment(environment, directory=directory)
    assert (environment["DATABASE_URL"], environment["DATA_DIR"]) == (APPLICATION, str(elsewhere))
