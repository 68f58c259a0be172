"""Every event that the tests make is held against what its kind declares, and its kind is noted.

`journal.append` calls `check` in every process that the tests start (settings.JOURNAL_CHECK_PAYLOADS). So the whole
suite proves the contract.
"""

import json
import os
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from journal.core.events import PLATFORM_STREAM, Event
from journal.core.kinds import kind_of
from journal.core.payloads import Schemas

SEEN = "EVENT_KINDS_SEEN"
"""The environment variable that names the file to which each process adds the kinds that it has seen."""
OF_TESTS = "test."
"""What kinds begin with that only tests make; their payloads are not looked at."""
FAULT = "! "
"""What lines of that file begin with that tell of an event which is not as declared."""
FORMATS = FormatChecker(("uuid", "date"))
_noted: set[str] = set()


class UndeclaredPayload(AssertionError):
    """An event is not what its kind declares."""


@FORMATS.checks("date-time", raises=ValueError)
def _is_utc(value: Any) -> bool:
    return not isinstance(value, str) or (
        value.endswith("Z") and datetime.fromisoformat(value).tzinfo is not None
    )


def check(event: Event, payload: str) -> None:
    """Raises UndeclaredPayload."""
    if event.kind.startswith(OF_TESTS):
        return
    faults = faults_in(event.kind, json.loads(payload))
    stream = "platform" if event.stream == PLATFORM_STREAM else "portfolio"
    if stream not in kind_of(event.kind).streams:
        faults.append(f"it is not declared for the stream of a {stream}")
    if faults:
        told = f"{event.kind}: {'; '.join(faults)}"
        _note(f"{FAULT}{told}")  # whoever isolates failures may swallow what is raised
        raise UndeclaredPayload(f"{told}: {payload}")
    _note(event.kind)


def faults_in(kind: str, payload: Any) -> list[str]:
    return [f"{fault.json_path}: {fault.message}" for fault in _validator(kind).iter_errors(payload)]


@cache
def _validator(kind: str) -> Draft202012Validator:
    schemas = Schemas(refs="#/$defs/", closed=True)
    schema = schemas.of(kind_of(kind).payload)
    return Draft202012Validator({**schema, "$defs": schemas.by_name}, format_checker=FORMATS)


def _note(line: str) -> None:
    if line not in _noted and SEEN in os.environ:
        with Path(os.environ[SEEN]).open("a") as file:  # one short line at a time: processes do not mix them
            file.write(f"{line}\n")
        _noted.add(line)
