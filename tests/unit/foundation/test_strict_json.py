"""JSON that two readers could understand differently is refused."""

import pytest

from foundation.api.parsers import parse_strict


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "stands twice"),
        ('{"a": NaN}', "not a JSON number"),
        ('{"a": Infinity}', "not a JSON number"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 50 + "}", "too large"),
        ("[" * 100 + "]" * 100, "nested deeper"),
        ('{"a": ', "Expecting value"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_strict(text)


def test_brackets_in_texts_are_not_nesting() -> None:
    assert parse_strict('{"a": "' + "[" * 500 + '\\""}') == {"a": "[" * 500 + '"'}
