"""What the documents say that this version does not have, nobody is offered; and the other way round."""

import json

import pytest

from autotrading_project.environment_files import BASE_DIR


@pytest.mark.parametrize(
    ("said", "word"), [("**No backtest.**", "backtest"), ("**No override of a control.**", "override")]
)
def test_the_api_and_the_documents_agree_about_it(said: str, word: str) -> None:
    operations = json.loads((BASE_DIR / "docs" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    names = [
        f"{path} {ways.get(verb, {}).get('operationId', '')}"
        for path, ways in operations.items()
        for verb in ways
    ]
    offered = any(word in name.lower() for name in names)
    architecture = (BASE_DIR / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert len(names) > 50
    assert offered != (said in architecture)


def test_the_sample_market_promises_no_more() -> None:
    assert "backtest" not in (BASE_DIR / "market" / "data" / "README.md").read_text(encoding="utf-8")
