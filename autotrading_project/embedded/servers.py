"""Both embedded servers as one thing with a data directory, passwords and URLs."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from autotrading_project.embedded.credentials import load_credentials
from autotrading_project.embedded.postgres import DATABASE, OWNER, Postgres
from autotrading_project.embedded.processes import read_json, write_private
from autotrading_project.embedded.valkey import Valkey


class EmbeddedServers:
    """PostgreSQL and Valkey under `data_dir`, each only if wanted.

    Ports are remembered in `servers.json` and used again when they are free.
    After `start` the URLs are set; `None` where the server was not wanted.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool,
        say: Callable[[str], None],
        postgres: bool = True,
        valkey: bool = True,
    ) -> None:
        self.data_dir = data_dir
        self.credentials = load_credentials(prepare_directory(data_dir))
        self.postgres = Postgres(data_dir=data_dir, durable=durable, say=say) if postgres else None
        self.valkey = Valkey(data_dir=data_dir, say=say) if valkey else None
        self.owner_url: str | None = None
        self.application_url: str | None = None
        self.redis_url: str | None = None

    def start(self) -> None:
        """Start what is wanted; raises EmbeddedServerError (call `stop` all the same)."""
        remembered = read_json(self.data_dir / "servers.json")
        for server in (self.postgres, self.valkey):
            if server is not None and server.log.exists():
                server.log.replace(server.log.with_suffix(".log.1"))
        if self.valkey is not None:
            password = self.credentials["valkey_password"]
            self.valkey.start(password=password, preferred_port=remembered.get("valkey_port"))
            self.redis_url = f"redis://:{quote(password)}@127.0.0.1:{self.valkey.port}/0"
        if self.postgres is not None:
            self.postgres.start(
                superuser_password=self.credentials["superuser_password"],
                owner_password=self.credentials["owner_password"],
                preferred_port=remembered.get("postgres_port"),
            )
            self.owner_url = self._database_url(OWNER, "owner_password")
            self.application_url = self._database_url(f"{DATABASE}_app", "application_password")
        ports = {
            "postgres_port": self.postgres.port if self.postgres else remembered.get("postgres_port"),
            "valkey_port": self.valkey.port if self.valkey else remembered.get("valkey_port"),
        }
        write_private(self.data_dir / "servers.json", json.dumps(ports) + "\n")

    def stop(self) -> None:
        """Stop both cleanly; safe to call at any moment, also twice."""
        for server in (self.postgres, self.valkey):
            if server is not None:
                server.stop()

    def _database_url(self, role: str, password_name: str) -> str:
        assert self.postgres is not None
        password = quote(self.credentials[password_name], safe="")
        return f"postgres://{role}:{password}@127.0.0.1:{self.postgres.port}/{DATABASE}"


def prepare_directory(data_dir: Path) -> Path:
    """Make the data directory; PostgreSQL's user may enter it, secrets in it have mode 0600."""
    if not data_dir.exists():
        data_dir.mkdir(parents=True)
        data_dir.chmod(0o755)
    for name in ("logs", "static"):
        (data_dir / name).mkdir(mode=0o700, exist_ok=True)
    return data_dir
