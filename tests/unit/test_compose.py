"""compose.yaml hands every setting on to the containers, with the default that it has elsewhere."""

import re
from pathlib import Path
from typing import Any

import yaml

BASE_DIR = Path(__file__).resolve().parents[2]
NOT_HANDED_ON = {
    "DATABASE_OWNER_URL": "only the container that migrates has it",
    "DATABASE_POOL": "the Procfile gives it to the web process",
    "DATA_DIR": "the image has it",
    "DEBUG": "shows insides to whoever asks: not for an installation that others reach",
    "DEMO": "the demonstration is for `make run`",
    "MARKET_DATA_DIR": "a directory of the host; the containers see it in /market-data",
    "OWNER_PASSWORD": "a part of DATABASE_OWNER_URL",
    "APPLICATION_PASSWORD": "a part of DATABASE_URL",
    "VALKEY_PASSWORD": "a part of REDIS_URL",
    "READ_DOT_ENV": "the image has no such file",
    "SCALE": "`docker compose up --scale` does it",
}
FIXED = {"DATABASE_URL", "REDIS_URL", "ALLOW_HTTP", "HOST", "PORT"}
# Behind a proxy, as compose.yaml is meant to be; elsewhere the server is reached directly.
OTHER_DEFAULTS = {"PROXY_COUNT": ("0", "1")}
ASKED_FOR = re.compile(r"^\$\{(\w+)(:\?|:-(.*))\}$")


def compose() -> Any:
    return yaml.safe_load((BASE_DIR / "compose.yaml").read_text())


def examples() -> dict[str, str]:
    """Every setting of .env.example, and the value that stands there."""
    lines = (BASE_DIR / ".env.example").read_text().splitlines()
    found = [re.match(r"^# ([A-Z_0-9]+)=(.*)$", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def handed_on() -> dict[str, str]:
    return {name: str(value) for name, value in compose()["services"]["web"]["environment"].items()}


def test_every_setting_reaches_the_containers_or_there_is_a_reason() -> None:
    assert examples().keys() - handed_on().keys() - NOT_HANDED_ON.keys() == set()
    assert not handed_on().keys() & NOT_HANDED_ON.keys()


def test_what_compose_asks_for_stands_in_the_example() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (BASE_DIR / "compose.yaml").read_text()))
    assert asked - examples().keys() == set()


def test_each_is_handed_on_under_its_own_name_with_its_default() -> None:
    shown = examples()
    for name, value in handed_on().items():
        if name in FIXED:
            continue
        match = ASKED_FOR.match(value)
        assert match and match[1] == name, f"{name}: {value}"
        default = match[3] or ""
        if name in OTHER_DEFAULTS:
            assert (shown[name], default) == OTHER_DEFAULTS[name]
        elif default:
            assert number_or_text(default) == number_or_text(shown[name]), name


def number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


def test_only_the_container_that_migrates_knows_the_owner() -> None:
    services = compose()["services"]
    knowing = [name for name, one in services.items() if "DATABASE_OWNER_URL" in one.get("environment", {})]
    assert knowing == ["prepare"]


def test_every_container_writes_logs_within_bounds_and_runs_a_line_of_the_procfile() -> None:
    services = compose()["services"]
    lines = (BASE_DIR / "Procfile").read_text().splitlines()
    processes = {line.partition(":")[0] for line in lines if not line.startswith("#")}
    assert services.keys() == processes | {"postgres", "valkey", "prepare"}
    for name, service in services.items():
        assert service["logging"] == {"driver": "local", "options": {"max-size": "20m", "max-file": "4"}}, (
            name
        )
        if name in processes:
            assert service["command"] == ["deploy/from_procfile.sh", name]
