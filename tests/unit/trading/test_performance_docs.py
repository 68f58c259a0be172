"""The page on performance tells of every figure that the API shows, and of the settings as they are."""

import re
from pathlib import Path

from django.conf import settings

from market.core.prices import STALE_SECONDS
from trading.api.performance import EquityPointSerializer
from trading.api.serializers import PerformanceSerializer
from trading.core.performance import DAYS_A_YEAR, SHARPE_DAYS_MIN

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


def test_it_tells_of_every_figure_and_of_no_other() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE, re.MULTILINE)
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(told) == sorted(PerformanceSerializer().fields)


def test_it_tells_of_every_column_of_a_point() -> None:
    curve = PAGE.split("## The curve")[1]
    assert [name for name in EquityPointSerializer().fields if f"`{name}`" not in curve] == []


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"`EQUITY_POINT_MINUTES` ({settings.EQUITY_POINT_MINUTES})" in PAGE
    assert f"`EQUITY_FULL_DAYS` ({settings.EQUITY_FULL_DAYS})" in PAGE
    assert f"below {SHARPE_DAYS_MIN} such returns" in PAGE and f"√{DAYS_A_YEAR}" in PAGE
    assert f"within {STALE_SECONDS:.0f} seconds" in PAGE


def test_others_lead_to_it() -> None:
    assert "docs/performance.md" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(performance.md)" in (ROOT / "docs" / "sessions.md").read_text(encoding="utf-8")
