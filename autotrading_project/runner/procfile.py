"""The Procfile is the one list of processes, for `make run`, the tests and a deployment alike."""

import re
from dataclasses import dataclass
from pathlib import Path

from autotrading_project.runner.errors import RunnerError

LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(\S.*)$")


@dataclass(frozen=True)
class ProcfileEntry:
    name: str
    command: str

    def arguments(self) -> list[str]:
        """The command for Popen: a shell that expands $PORT and then becomes the program."""
        return ["/bin/sh", "-c", self.command]


def read_procfile(path: Path) -> list[ProcfileEntry]:
    """The processes in order; raises RunnerError naming the bad line.

    Each command begins with `exec`, so that signals reach the program, not a shell.
    """
    entries: list[ProcfileEntry] = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = LINE.match(text)
        if match is None:
            raise RunnerError(f"{path.name}, line {number}: expected `name: exec command`, got {text!r}.")
        name, command = match.groups()
        if not command.startswith("exec "):
            raise RunnerError(f"{path.name}, line {number}: the command of {name} must begin with `exec`.")
        if name in {entry.name for entry in entries}:
            raise RunnerError(f"{path.name}, line {number}: {name} is there twice.")
        entries.append(ProcfileEntry(name, command))
    return entries
