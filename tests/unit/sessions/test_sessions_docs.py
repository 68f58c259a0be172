"""The page on sessions: its example is a config that holds, and it tells of every key."""

import json
import re
from pathlib import Path

from sessions.core.config import KEYS, Known, parse_config

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "sessions.md").read_text(encoding="utf-8")


def test_its_example_holds_and_has_every_key() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    config = json.loads(example)
    known = Known(
        symbols=["AAPL"],
        exchanges=["XNYS"],
        tags=["dividend"],
        sources=["baseline"],
        limits=["max_order_value"],
    )
    parsed, errors = parse_config(config, known=known)
    assert errors == [] and parsed is not None and parsed.every_seconds == 60
    assert tuple(config) == KEYS


def test_it_tells_of_every_key() -> None:
    assert [key for key in KEYS if f"| `{key}` |" not in PAGE] == []


def test_the_readme_leads_to_it() -> None:
    assert "docs/sessions.md" in (ROOT / "README.md").read_text(encoding="utf-8")
