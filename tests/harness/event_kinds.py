"""Kinds of events for tests of the journal itself; and a look, when all tests have passed, whether they made every
kind that the product declares."""

import os
from pathlib import Path
from typing import TypedDict

import pytest

from journal.core.kinds import EITHER, KINDS, EventKind, register
from tests.harness.event_payloads import FAULT, OF_TESTS, SEEN


class Anything(TypedDict):
    """Not looked at."""


register(
    *(
        EventKind(f"{OF_TESTS}{name}", "Made by a test", Anything, EITHER)
        for name in ("happened", "also_happened", "alerted")
    )
)


def declared_kinds() -> list[EventKind]:
    """Those of the product."""
    return [kind for name, kind in KINDS.items() if not name.startswith(OF_TESTS)]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Events that were not as declared fail the run, whoever swallowed that; and so do, when all tests have passed,
    kinds that none of them made."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    lines = set(Path(os.environ[SEEN]).read_text().splitlines())
    told = sorted(line for line in lines if line.startswith(FAULT))
    missing = {kind.name for kind in declared_kinds()} - lines
    if _is_whole(session.config) and session.exitstatus == pytest.ExitCode.OK and missing:
        told.append(
            f"no test makes an event of these kinds, so they are unproven: {', '.join(sorted(missing))}"
        )
    if told and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print("\nEvents that are not as declared:", *told, sep="\n")


def _is_whole(config: pytest.Config) -> bool:
    """Where some tests were chosen there is nothing to learn from what was not made."""
    chosen = any(getattr(config.option, name) for name in ("keyword", "markexpr", "collectonly", "lf"))
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen
