"""The Procfile is the one list of processes, for `make run`, the tests and a deployment alike."""

import re
from dataclasses import dataclass
from pathlib import Path

from autotrading_project.runner.errors import RunnerError

SCALE_MAX = 64
LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(\S.*)$")


@dataclass(frozen=True)
class ProcfileEntry:
    name: str
    command: str

    def arguments(self) -> list[str]:
        """The command for Popen: a shell that expands $PORT and then becomes the program."""
        return ["/bin/sh", "-c", self.command]


def scaled(entries: list[ProcfileEntry], scale: str) -> list[ProcfileEntry]:
    """Workers as often as `scale` says (`worker_evaluation=2,worker_execution=3`): `name`, `name.2`, …

    Raises RunnerError for what is no worker of the Procfile, and for a number that is none.
    """
    counts: dict[str, int] = {}
    workers = [entry.name for entry in entries if entry.name.startswith("worker_")]
    for part in filter(None, (text.strip() for text in scale.split(","))):
        name, _, count = (text.strip() for text in part.partition("="))
        if name not in workers:
            raise RunnerError(f"SCALE: there is no worker {name!r}; known are {', '.join(workers)}.")
        if not count.isdecimal() or not 1 <= int(count) <= SCALE_MAX:
            raise RunnerError(f"SCALE: {name} needs a number between 1 and {SCALE_MAX}, got {count!r}.")
        counts[name] = int(count)
    result = []
    for entry in entries:
        result.append(entry)
        for number in range(2, counts.get(entry.name, 1) + 1):
            result.append(ProcfileEntry(f"{entry.name}.{number}", entry.command))
    return result


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
