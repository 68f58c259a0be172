"""What the environment (and `.env`) says about this run, checked before anything starts."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg

from autotrading_project.embedded.network import free_port, is_free
from autotrading_project.environment_files import FALSE, LOOPBACK_HOSTS, TRUE, data_dir
from autotrading_project.runner.errors import RunnerError

DEFAULT_PORT = 8000
ALL_INTERFACES = {"0.0.0.0", "::"}


@dataclass(frozen=True)
class Configuration:
    """One run. `port_note` and `host_note` are sentences for the console, empty if there is nothing to say.

    `allowed_hosts` always has the host of `base_url`: the runner and the demo talk to the web process there.
    """

    data_dir: Path
    host: str
    port: int
    port_note: str
    host_note: str
    allowed_hosts: tuple[str, ...]
    demo: bool
    database_url: str
    database_owner_url: str
    redis_url: str
    scale: str = ""

    @property
    def base_url(self) -> str:
        """Where this machine reaches the web process."""
        return f"http://{_reachable_host(self.host)}:{self.port}"


def read_configuration(environment: Mapping[str, str]) -> Configuration:
    """The run that the environment describes; raises RunnerError naming the bad variable."""
    host = environment.get("HOST") or "127.0.0.1"
    port, note = _choose_port(environment.get("PORT", ""), host)
    database_url = environment.get("DATABASE_URL", "")
    owner_url = environment.get("DATABASE_OWNER_URL", "")
    if owner_url and not database_url:
        raise RunnerError("DATABASE_OWNER_URL is set without DATABASE_URL: give both, or DATABASE_URL alone.")
    for name, value, schemes in (
        ("DATABASE_URL", database_url, {"postgres", "postgresql"}),
        ("DATABASE_OWNER_URL", owner_url, {"postgres", "postgresql"}),
        ("REDIS_URL", environment.get("REDIS_URL", ""), {"redis", "rediss"}),
    ):
        if value and urlsplit(value).scheme not in schemes:
            wanted = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
            raise RunnerError(f"{name} must begin with {wanted}, got {urlsplit(value).scheme!r}.")
    allowed_hosts, host_note = _allowed_hosts(environment.get("ALLOWED_HOSTS", ""), host)
    return Configuration(
        data_dir=data_dir(environment),
        host=host,
        port=port,
        port_note=note,
        host_note=host_note,
        allowed_hosts=allowed_hosts,
        demo=_flag(environment, "DEMO", default=True),
        database_url=database_url,
        database_owner_url=owner_url,
        redis_url=environment.get("REDIS_URL", ""),
        scale=environment.get("SCALE", ""),
    )


def _flag(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    if name not in environment:
        return default
    value = environment[name].strip().lower()
    if value not in TRUE | FALSE:
        raise RunnerError(f"{name} must be 1 or 0, got {environment[name]!r}.")
    return value in TRUE


def _choose_port(text: str, host: str) -> tuple[int, str]:
    """The port and, if nobody asked for it, a sentence about it."""
    if text:
        if not text.isdecimal() or not 1 <= int(text) <= 65535:
            raise RunnerError(f"PORT must be a number between 1 and 65535, got {text!r}.")
        if not is_free(int(text), host):
            raise RunnerError(port_is_taken(int(text), host))
        return int(text), ""
    if is_free(DEFAULT_PORT, host):
        return DEFAULT_PORT, ""
    port = free_port(host)
    return port, f"Port {DEFAULT_PORT} is in use: using {port}. Set PORT to choose one."


def port_is_taken(port: int, host: str) -> str:
    """The sentence about a port that somebody else listens on."""
    return f"PORT={port} is in use on {host}: end what listens there, or give another PORT."


def _reachable_host(host: str) -> str:
    """The host that this machine's requests name, as in a URL, for the address that we listen on."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _allowed_hosts(text: str, host: str) -> tuple[tuple[str, ...], str]:
    """ALLOWED_HOSTS of the processes and, if nobody but this machine will be answered, a sentence about it."""
    asked = tuple(part.strip() for part in text.split(",") if part.strip())
    hosts = asked or LOOPBACK_HOSTS
    own = _reachable_host(host)
    if own not in hosts and "*" not in hosts:
        hosts += (own,)
    if host not in ALL_INTERFACES or asked:
        return hosts, ""
    note = f"HOST={host} listens to other machines, but only requests for this one are answered: "
    return hosts, note + "set ALLOWED_HOSTS to the names or addresses by which others reach it."


def application_url(owner_url: str, password: str) -> str:
    """The application's URL for the owner's: the same server and database, role `<database>_app`.

    Raises RunnerError if the owner could not make that role.
    """
    parts = urlsplit(owner_url)
    database = parts.path.lstrip("/")
    if not database:
        raise RunnerError("DATABASE_URL must name a database: postgres://user:password@host:port/name.")
    try:
        with psycopg.connect(owner_url, connect_timeout=10) as connection:
            row = connection.execute(
                "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
    except psycopg.OperationalError as error:
        raise RunnerError(f"DATABASE_URL cannot be reached: {str(error).strip()}") from error
    role = f"{database[:59]}_app"
    if row is None or not row[0]:
        raise RunnerError(
            f"The user of DATABASE_URL may not create roles: create the role {role} as an administrator "
            f"(CREATE ROLE {role} LOGIN PASSWORD '…') and give both DATABASE_OWNER_URL (this user) and "
            "DATABASE_URL (the new role)."
        )
    place = parts.netloc.rpartition("@")[2]
    login = f"{quote(role, safe='')}:{quote(password, safe='')}"
    return urlunsplit((parts.scheme, f"{login}@{place}", parts.path, parts.query, ""))


def run_environment(values: Mapping[str, str]) -> str:
    """The text of `run.env`, which `manage.py` in another terminal reads."""
    lines = ["# Written by `make run`, removed when it ends."]
    lines += [f"{name}={value}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def command_path() -> str:
    """PATH with the running interpreter's programs (celery, uvicorn) first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
