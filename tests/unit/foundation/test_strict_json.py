"""JSON that two readers could understand differently is refused, with the place and the cure."""

import pytest

from foundation.api.parsers import DEPTH_MAX, NotStrictJSON, parse_strict

LONE = "\\ud800"


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ('{"a": 1, "a": 2}', "a", "stands twice"),
        ('{"a": [{"b": {}, "c": 1, "b": {}}]}', "a[0].b", "stands twice"),
        ('{"a": NaN}', "a", "not a JSON number"),
        ('{"a": {"b": [1, -Infinity]}}', "a.b[1]", "not a JSON number"),
        ("Infinity", "", "not a JSON number"),
        ('{"a": 1e999}', "a", "too large"),
        ('{"a": -1e400}', "a", "too large"),
        ('{"a": ' + "9" * 50 + "}", "a", "too large"),
        ('{"a": "x\\u0000"}', "a", "null character"),
        ('{"a": ["' + LONE + '"]}', "a[0]", "surrogate"),
        ('{"' + LONE + '": 1}', "\N{REPLACEMENT CHARACTER}", "surrogate"),
        ("[" * 100 + "]" * 100, "", "nested deeper"),
        ('{"a": ', "", "Expecting value"),
        ("{'a': 1}", "", "double quotes"),
        ("", "", "Expecting value"),
        ("\ufeff{}", "", "BOM"),
        ("{} {}", "", "Extra data"),
    ],
    ids=str,
)
def test_refused(text: str, path: str, reason: str) -> None:
    with pytest.raises(NotStrictJSON, match=reason) as refusal:
        parse_strict(text)
    assert refusal.value.path == path
    assert refusal.value.cure.endswith(".")


def test_a_bomb_neither_recurses_nor_makes_a_long_answer() -> None:
    for bomb in ("[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000):
        with pytest.raises(NotStrictJSON, match="nested deeper"):
            parse_strict(bomb)
    with pytest.raises(NotStrictJSON) as refusal:
        parse_strict('{"' + "k" * 10_000 + '": ' + "9" * 5_000 + "}")
    assert len(str(refusal.value)) < 300


def test_as_deep_and_as_large_as_may_be() -> None:
    deep = "[" * DEPTH_MAX + "]" * DEPTH_MAX
    assert str(parse_strict(deep)) == deep
    assert parse_strict("9" * 40) == int("9" * 40)
    assert parse_strict("1.7976931348623157e308") == 1.7976931348623157e308


def test_whole_pairs_of_surrogates_are_one_character() -> None:
    assert parse_strict('"\\ud83d\\ude80"') == "🚀"


def test_brackets_in_texts_are_not_nesting() -> None:
    assert parse_strict('{"a": "' + "[" * 500 + '\\""}') == {"a": "[" * 500 + '"'}
