"""JSON as it should be: UTF-8, no duplicate keys, no NaN, no numbers beyond a float, no bombs.

What is wrong is told with its JSON path and a cure, as everywhere in the API.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from django.utils.http import parse_header_parameters
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import JSONParser

from foundation.errors import InvalidInput

DEPTH_MAX = 64
INTEGER_CHARACTERS_MAX = 40
CHARSETS = frozenset({"utf-8", "utf8"})
_SHOWN_CHARACTERS_MAX = 60


class NotStrictJSON(ValueError):
    """The text is not JSON as it should be: `path` says where (empty: the text as a whole), `cure` what instead."""

    def __init__(self, message: str, *, cure: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.message, self.path, self.cure = message, path, cure


@dataclass(frozen=True, slots=True)
class _Unfit:
    """Stands where a value was that cannot be taken, until the walk that knows the paths finds it."""

    message: str
    cure: str
    key: str | None = None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Unfit:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            return _Unfit("the key stands twice", "Keep one of the two.", key)
        result[key] = value
    return result


def _constant(name: str) -> _Unfit:
    return _Unfit(f"{name} is not a JSON number", "Write a number, or leave the key out.")


def _float(text: str) -> float | _Unfit:
    value = float(text)
    return value if math.isfinite(value) else _too_large(text)


def _int(text: str) -> int | _Unfit:
    return int(text) if len(text) <= INTEGER_CHARACTERS_MAX else _too_large(text)


def _too_large(text: str) -> _Unfit:
    shown = text if len(text) <= INTEGER_CHARACTERS_MAX else f"{text[:INTEGER_CHARACTERS_MAX]}…"
    return _Unfit(f"the number {shown} is too large", "Use a number nearer to 0.")


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


def _unfit_in(value: Any, path: str) -> Iterator[NotStrictJSON]:
    """Every mistake that is left after parsing. The depth was bounded before."""
    if isinstance(value, _Unfit):
        place = path if value.key is None else _below(path, value.key)
        yield NotStrictJSON(value.message, cure=value.cure, path=place)
    elif isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            # No database and no UTF-8 answer can carry these two.
            yield NotStrictJSON(
                "a text contains a null character or half of a surrogate pair", cure="Remove it.", path=path
            )
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unfit_in(key, _below(path, key))
            yield from _unfit_in(item, _below(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unfit_in(item, f"{path}[{index}]")


def _below(path: str, key: str) -> str:
    shown = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in key
    )
    shown = shown if len(shown) <= _SHOWN_CHARACTERS_MAX else f"{shown[:_SHOWN_CHARACTERS_MAX]}…"
    return f"{path}.{shown}" if path else shown


def parse_strict(text: str) -> Any:
    """The value; NotStrictJSON (a ValueError) says what is wrong first, where, and what would be right."""
    if _depth_of(text) > DEPTH_MAX:
        raise NotStrictJSON(f"nested deeper than {DEPTH_MAX} levels", cure="Flatten it.")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int
        )
    except ValueError as error:
        cure = "Look at this place for a missing quote, comma or bracket."
        raise NotStrictJSON(str(error), cure=cure) from error
    for mistake in _unfit_in(value, ""):
        raise mistake
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
            return parse_strict(_decoded(stream.read()))
        except NotStrictJSON as error:
            raise InvalidInput(
                f"The body is not valid JSON: {error}",
                code="parse_error",
                errors=[{"path": error.path, "message": error.message, "suggestion": error.cure}],
            ) from error


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not UTF-8"
        raise NotStrictJSON(message, cure="Send the text in UTF-8.") from error
