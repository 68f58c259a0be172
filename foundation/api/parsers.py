"""JSON as it should be: UTF-8, no duplicate keys, no NaN, no numbers beyond a float, no bombs."""

import json
import math
from typing import IO, Any

from django.utils.http import parse_header_parameters
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import JSONParser

DEPTH_MAX = 64
CHARSETS = frozenset({"utf-8", "utf8"})


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {key!r} stands twice")
        result[key] = value
    return result


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _short_int(text: str) -> int:
    if len(text) > 40:
        raise ValueError(f"the number {text[:40]}… is too large")
    return int(text)


def _depth_of(text: str) -> int:
    depth = deepest = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _refuse_unstorable(value: Any) -> None:
    """No database and no UTF-8 answer can carry these two, wherever in the body they hide."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("a text contains a null character or half of a surrogate pair")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_unstorable(key)
            _refuse_unstorable(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_unstorable(item)


def parse_strict(text: str) -> Any:
    """The value, or ValueError that says what is wrong and where."""
    if _depth_of(text) > DEPTH_MAX:
        raise ValueError(f"nested deeper than {DEPTH_MAX} levels")
    value = json.loads(
        text,
        object_pairs_hook=_no_duplicates,
        parse_constant=_no_constant,
        parse_float=_finite_float,
        parse_int=_short_int,
    )
    _refuse_unstorable(value)
    return value


class StrictJSONParser(JSONParser):
    """DRF's JSON parser, but strict.

    Of the charsets only UTF-8 (RFC 8259): Python's codecs include compressions, by which a small body would
    inflate after its size was checked. Bodies over settings.DATA_UPLOAD_MAX_MEMORY_SIZE never come here.
    """

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        _, parameters = parse_header_parameters(media_type or "")
        charset = parameters.get("charset", "utf-8")
        if charset.lower() not in CHARSETS:
            raise UnsupportedMediaType(media_type or "", f"A JSON body is UTF-8, not {charset[:40]!r}.")
        try:
            return parse_strict(stream.read().decode("utf-8"))
        except ValueError as error:
            raise ParseError(f"The body is not valid JSON: {error}") from error
