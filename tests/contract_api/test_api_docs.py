"""docs/api.md is true: its blocks run as they stand, in one shell, and print what they say."""

import re
import subprocess
from pathlib import Path

import pytest

from market.models import Instrument
from tests.harness.people import person
from tests.harness.processes import Processes
from tests.harness.trading import Market

pytestmark = [pytest.mark.integration, pytest.mark.end_to_end, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "api.md"
PASSWORD = "correct horse battery staple"
BUDGET = "60"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PRINTS = "# prints "


def test_the_first_hour_is_as_it_is_told(processes: Processes) -> None:
    """Only the environment differs: who logs in, where, and a budget that is spent sooner."""
    market = Market()
    market.tick()
    (first, *_) = market.instruments
    Instrument.objects.create(symbol="AAPL", exchange=first.exchange, tick_size=first.tick_size, lot_size=1)
    alice = person("alice").user
    alice.set_password(PASSWORD)
    alice.save()
    processes.start("web", RATE_TOKEN_PER_MINUTE=BUDGET)
    processes.wait_ready("web")
    blocks = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    promised = [
        line.removeprefix(_PRINTS) for block in blocks for line in block.splitlines() if line.startswith(_PRINTS)
    ]  # fmt: skip
    assert len(blocks) >= 7 and len(promised) >= 15
    told = {"BASE": processes.base_url, "LOGIN": "alice", "PASSWORD": PASSWORD, "BUDGET": BUDGET}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=ROOT, env=processes.environment | told, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert _condensed(done.stdout.splitlines()) == promised


def _condensed(lines: list[str]) -> list[str]:
    return [line for line in lines if line.strip()]
