"""Kinds of events for tests of the journal itself; and a look, when all tests have passed, whether they made every
kind that the product declares."""

import os
from pathlib import Path
from typing import TypedDict

import pytest

from journal.core.kinds import EITHER, KINDS, EventKind, register
from tests.harness.event_payloads import OF_TESTS, SEEN


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
    """Where some tests were chosen, or one failed, there is nothing to learn from it."""
    config = session.config
    chosen = any(getattr(config.option, name) for name in ("keyword", "markexpr", "collectonly", "lf"))
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen
    if not whole or "PYTEST_XDIST_WORKER" in os.environ or session.exitstatus != pytest.ExitCode.OK:
        return
    seen = set(Path(os.environ[SEEN]).read_text().split())
    missing = sorted({kind.name for kind in declared_kinds()} - seen)
    if missing:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(
            f"\nNo test makes an event of these kinds, so what they declare is unproven: {', '.join(missing)}"
        )
