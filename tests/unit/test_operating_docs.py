"""The page on operating names every metric, and alerts that there are."""

import re
from pathlib import Path

import pytest

from journal.core.kinds import KINDS
from journal.services.alerts import ATTEMPTS_MAX, BACKOFF_SECONDS_MAX

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
CRITICAL = PAGE.partition("What is `critical`")[2].partition("\n## ")[0]


def test_it_tells_of_every_metric_and_of_no_other() -> None:
    made = set()
    for room in ("market", "trading"):
        source = (ROOT / room / "metrics.py").read_text(encoding="utf-8")
        for family, name in re.findall(r'(\w+)MetricFamily\(\s*f"\{NAMESPACE\}_(\w+)"', source):
            made.add(f"autotrading_{name}{'_total' if family == 'Counter' else ''}")
    told = set(re.findall(r"^\| `(autotrading_\w+)", PAGE, re.MULTILINE))
    assert told == made and len(made) >= 10


def test_its_alerts_are_kinds_of_events() -> None:
    rows = [line.split("|")[1] for line in CRITICAL.splitlines() if line.startswith("| `")]
    kinds = {kind for row in rows for kind in re.findall(r"`([^`]+)`", row)}
    assert len(kinds) > 15 and kinds <= KINDS.keys()


@pytest.mark.parametrize("room", ["trading", "market", "sessions", "portfolios", "rules"])
def test_no_critical_alert_is_left_out(room: str) -> None:
    """Each service that says "critical" tells of a kind that the page has a cure for."""
    for file in (ROOT / room / "services").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        if '"critical"' in source and file.name != "account_alerts.py":  # its callers name the kinds
            names = set(re.findall(r'"((?:\w+\.)+\w+)"', source)) & KINDS.keys()
            assert any(f"`{name}`" in CRITICAL for name in names) or "trade." in source, file.name


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"… {BACKOFF_SECONDS_MAX} seconds, {ATTEMPTS_MAX} times in all" in PAGE


def test_the_first_page_leads_to_it() -> None:
    assert "(docs/operating.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_links_lead_somewhere() -> None:
    for target, _, anchor in re.findall(r"\]\(([\w-]+\.md)(#([\w-]+))?\)", PAGE):
        page = (ROOT / "docs" / target).read_text(encoding="utf-8")
        titles = [
            re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in page.splitlines()
        ]
        assert not anchor or anchor in titles, f"{target}#{anchor}"
