"""The page on the risk controls is what the controls and limits make of it."""

from pathlib import Path

from portfolios.core.limits import CATALOGUE, SCOPES
from portfolios.models import LimitSet
from trading.core.controls import CONTROLS
from trading.core.halts import SCOPES as HALT_SCOPES
from trading.core.verdicts import RefusalCode
from trading.documentation import risk_controls
from trading.models import Halt

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "risk-controls.md").read_text(encoding="utf-8")


def test_the_page_is_up_to_date() -> None:
    assert risk_controls() == TEXT, "run: python -m trading.documentation > docs/risk-controls.md"


def test_every_code_and_limit_is_told() -> None:
    assert [code for code in RefusalCode if f"`{code}`" not in TEXT] == []
    assert [spec.name for spec in CATALOGUE if f"| `{spec.name}` | {spec.meaning} |" not in TEXT] == []


def test_the_controls_stand_in_the_order_in_which_they_are_asked() -> None:
    rows = [f"| {number} | `{control.code}` |" for number, control in enumerate(CONTROLS, start=1)]
    places = [TEXT.index(row) for row in rows]
    assert places == sorted(places)


def test_the_scopes_are_those_that_there_are() -> None:
    assert list(SCOPES) == LimitSet.Scope.values
    assert list(HALT_SCOPES) == Halt.Scope.values


def test_the_readme_leads_to_the_page() -> None:
    assert "docs/risk-controls.md" in (ROOT / "README.md").read_text(encoding="utf-8")
