"""The hand-written table of docs/roles.md, which the code is held against."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "roles.md"
MEMBERS = ("viewer", "trader", "risk_officer", "owner")
COLUMNS = (*MEMBERS, "staff", "superuser", "outsider")
CELLS = {"yes", "no", "own"}


@dataclass(frozen=True)
class Row:
    action: str
    cells: dict[str, str]
    operations: tuple[str, ...]


@cache
def rows() -> tuple[Row, ...]:
    """In the order of the document. A line that cannot be read is an error, not a row less."""
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    return tuple(_row(line) for line in lines)


def _row(line: str) -> Row:
    action, *cells, operations = [cell.strip() for cell in line.strip().strip("|").split("|")]
    assert len(cells) == len(COLUMNS) and set(cells) <= CELLS, line
    names = tuple(name.strip("`") for name in operations.split())
    return Row(action.strip("`"), dict(zip(COLUMNS, cells, strict=True)), names)


@cache
def by_action() -> dict[str, Row]:
    return {row.action: row for row in rows()}


@cache
def by_operation() -> dict[str, Row]:
    return {name: row for row in rows() for name in row.operations}
