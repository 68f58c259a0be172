"""What the processes write: prefixed on the console, whole in DATA_DIR/logs/<name>.log."""

import contextlib
import sys
from pathlib import Path

KEPT_LOGS = 3
LOG_BYTES_MAX = 20_000_000
LINE_BYTES_MAX = 65_536


def say(text: str) -> None:
    """A line of the runner itself."""
    write(f"==> {text}")


def write(line: str) -> None:
    """Print; a console that has gone away (closed terminal, `| head`) must not stop trading."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class LogFile:
    """One process's log: begun anew at each start and at 20 MB, the last three kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rotate()

    def _rotate(self) -> None:
        for age in range(KEPT_LOGS - 1, -1, -1):
            source = self.path if age == 0 else self.path.with_name(f"{self.path.name}.{age}")
            if source.exists():
                source.replace(self.path.with_name(f"{self.path.name}.{age + 1}"))
        self._file = self.path.open("ab")
        self._size = 0

    def write(self, line: bytes) -> None:
        """Append one line; a full disk loses log lines, not processes."""
        with contextlib.suppress(OSError):
            if self._size > LOG_BYTES_MAX:
                self._file.close()
                self._rotate()
            self._file.write(line + b"\n")
            self._file.flush()
            self._size += len(line) + 1

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()


class LineSplitter:
    """Bytes in, whole lines out; a line longer than 64 kB comes in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            lines.append(self._rest)
            self._rest = b""
        return lines

    def flush(self) -> list[bytes]:
        """What is left when the process has ended."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []
