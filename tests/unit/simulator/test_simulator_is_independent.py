"""The broker simulator shares nothing with what it witnesses, and its log is read as it was written."""

import ast
import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.simulator.clock import from_text, new_york_millis, to_text
from tests.simulator.witness import read_witness

SIMULATOR = Path(__file__).resolve().parents[2] / "simulator"


@pytest.mark.parametrize("path", sorted(SIMULATOR.glob("*.py")), ids=lambda path: path.name)
def test_it_imports_only_itself_the_standard_library_and_websockets(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module or "")
    strange = {
        name
        for name in imported
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "websockets"}
        and not name.startswith("tests.simulator.")
    }
    assert strange == set()


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-11-25T17:42:37.123456789Z", 1795628557123456789),
        ("2026-11-25T17:42:37.5Z", 1795628557500000000),
        ("2026-11-25T17:42:37Z", 1795628557000000000),
    ],
)
def test_times_are_written_as_alpaca_writes_them(text, nanoseconds):
    assert to_text(nanoseconds) == text
    assert from_text(text) == nanoseconds
    assert from_text(text.replace("Z", "+00:00")) == nanoseconds
    assert from_text(text.replace("17:42", "12:42").replace("Z", "-05:00")) == nanoseconds


def test_an_activitys_id_begins_with_new_yorks_time():
    assert new_york_millis(1795628557123456789) == "20261125124237123"
    assert new_york_millis(from_text("2026-07-01T15:00:00Z")) == "20260701110000000"


LINES: list[dict[str, object]] = [
    {"what": "start", "seed": 0},
    {"what": "account", "account": "K", "number": "PA1", "cash": "1000"},
    {"what": "request", "endpoint": "submit", "account": "K", "client_order_id": "one"},
    {
        "what": "accepted", "account": "K", "client_order_id": "one", "order_id": "o", "symbol": "AAPL",
        "side": "buy", "quantity": "3", "type": "market", "foreign": False, "replaces": None,
    },
    {
        "what": "fill", "account": "K", "client_order_id": "one", "order_id": "o", "execution_id": "e",
        "symbol": "AAPL", "side": "buy", "quantity": "2", "price": "100.5", "cumulative": "2",
    },
    {"what": "mischief", "name": "hang", "account": "K", "client_order_id": "one"},
]  # fmt: skip


def written(tmp_path: Path, lines: list[dict[str, object]], *, tail: str = "") -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    return path


def test_the_witness_adds_up(tmp_path):
    witness = read_witness(written(tmp_path, LINES))
    order = witness.order("one")
    assert (order.asked, order.accepted, order.filled, order.value, order.state) == (1, 1, 2, 201, "accepted")
    assert witness.cash == {"K": Decimal(799)}
    assert witness.position("K", "AAPL") == 2
    assert (witness.mischief["hang"], witness.mischief_by_order["K", "one"]) == (1, ["hang"])
    with pytest.raises(KeyError):
        witness.order("two")


def test_the_witness_sees_an_order_that_was_taken_twice(tmp_path):
    assert read_witness(written(tmp_path, [*LINES, LINES[3]])).order("one").accepted == 2


def test_a_last_line_cut_short_is_left_out_and_any_other_is_an_error(tmp_path):
    assert read_witness(written(tmp_path, LINES, tail='{"what": "fi')).order("one").filled == 2
    with pytest.raises(ValueError):
        read_witness(written(tmp_path, LINES, tail='{"what": "fi\n'))
