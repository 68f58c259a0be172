"""Collecting what is wrong with a rule, all at once and bounded.

Whoever writes a rule should see every mistake in one answer, each with its JSON
path, the reason and a cure; but a hostile document must not buy a long answer.
"""

import difflib
import math
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from rules.core.language import NUMBER_MAX

FAULTS_MAX = 50
_SHOWN_CHARACTERS_MAX = 60
# Cyrillic and Greek letters that most fonts draw like a plain one; compatibility forms are Unicode's own affair.
_LOOK_ALIKES = str.maketrans(
    "АВЕКМНОРСТУХЅІЈасекорхуѕіјԁһӏԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορτυχγı‐–—",
    "ABEKMHOPCTYXSIJacekopxysijdhlqwABEZHIKMNOPTYXaikvoptuxyi---",
)

_JOINERS = frozenset("\u200c\u200d")
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # Hangul fillers, the empty Braille cell


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake: where (`conditions[0].value`), why, and what would be right."""

    path: str
    message: str
    suggestion: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """The item of a problem document's `errors`."""
        return {"path": self.path, "message": self.message, "suggestion": self.suggestion}


@dataclass(slots=True)
class Faults:
    """The mistakes found so far; `full` tells readers to stop looking."""

    found: list[Fault] = field(default_factory=list)

    def add(self, path: str, message: str, suggestion: str | None = None) -> None:
        if not self.full:
            self.found.append(Fault(path, message, suggestion))

    @property
    def full(self) -> bool:
        return len(self.found) >= FAULTS_MAX


def quoted(value: object) -> str:
    """What somebody sent, safe and short enough to be shown back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int) and abs(value) > NUMBER_MAX:
        return "a number beyond 10^15"
    text = str(value)[: _SHOWN_CHARACTERS_MAX + 1]
    if len(text) > _SHOWN_CHARACTERS_MAX:
        text = text[:_SHOWN_CHARACTERS_MAX] + "…"
    text = "".join("\N{REPLACEMENT CHARACTER}" if _invisible(character) else character for character in text)
    return f'"{text}"' if isinstance(value, str) else text


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """The nearest known word, or the list of all of them.

    Every word of the language is plain ASCII. One that only looks like it is
    recognised, and told which character is another: nobody finds that by eye.
    """
    words = sorted(known)
    if isinstance(word, str) and len(word) <= _SHOWN_CHARACTERS_MAX:
        lowered = {candidate.lower(): candidate for candidate in words}
        near = difflib.get_close_matches(_plain_spelling(word), lowered, n=1, cutoff=0.6)
        if near:
            return f'Did you mean "{lowered[near[0]]}"?' + _foreign_character(word)
    return "Use one of: " + ", ".join(words) + "."


def _plain_spelling(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word)
    seen = "".join(
        character
        for character in decomposed
        if not _invisible(character) and not unicodedata.combining(character)
    )
    return seen.translate(_LOOK_ALIKES).strip().lower().replace(" ", "_").replace("-", "_")


def _foreign_character(word: str) -> str:
    foreign = next((character for character in word if not character.isascii()), None)
    if foreign is None:
        return ""
    reason = "cannot be seen" if _invisible(foreign) else "only looks like a plain character"
    return f" In it {unicodedata.name(foreign, 'a character')} (U+{ord(foreign):04X}) {reason}."


def check_keys(
    raw: Mapping[Any, Any], path: str, *, known: Collection[str], required: Iterable[str], faults: Faults
) -> bool:
    """Whether an object has every required key and no unknown one."""
    good = True
    for key in raw:
        if faults.full:
            return False
        if key not in known:
            faults.add(path, f"Unknown key {quoted(key)}.", did_you_mean(key, known))
            good = False
    for key in required:
        if key not in raw:
            faults.add(path, f'The key "{key}" is missing.', f'Add "{key}".')
            good = False
    return good


def check_choice(raw: object, path: str, known: Sequence[str], faults: Faults) -> bool:
    """Whether a word is one of those that may stand there."""
    if isinstance(raw, str) and raw in known:
        return True
    faults.add(path, f"{quoted(raw)} is not known here.", did_you_mean(raw, known))
    return False


def read_number(raw: object, path: str, faults: Faults, *, is_fraction: bool = False) -> float | None:
    """A finite JSON number as float, or None with a fault: true is not 1 and "5" is not 5.

    `is_fraction` says that "80%" would be written as 0.8.
    """
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
        cure = None
        if isinstance(raw, str) and len(raw) <= _SHOWN_CHARACTERS_MAX:
            cure = _number_in(raw, is_fraction=is_fraction)
        faults.add(path, f"{quoted(raw)} is not a number.", cure or "Write a number without quotes.")
        return None
    # Asked first, because a comparison with a signalling NaN raises; a whole number may be beyond any float.
    finite = raw.is_finite() if isinstance(raw, Decimal) else isinstance(raw, int) or math.isfinite(raw)
    if not finite or not -NUMBER_MAX <= raw <= NUMBER_MAX:
        cure = "Use a number nearer to 0." if finite else "Write a finite number."
        faults.add(path, f"{quoted(raw)} is not a finite number up to 10^15.", cure)
        return None
    return float(raw)


def read_whole_number(
    raw: object, path: str, *, minimum: int, maximum: int, what: str, faults: Faults
) -> int | None:
    """A whole number within its bounds, both included (5.0 is 5), or None with a fault.

    `what` is what it should be, with its article: "a priority".
    """
    number = read_number(raw, path, faults)
    if number is None:
        return None
    if number != int(number) or not minimum <= number <= maximum:
        faults.add(path, f"{quoted(raw)} is not {what}.", f"Use a whole number from {minimum} to {maximum}.")
        return None
    return int(number)


def check_text(raw: object, path: str, *, characters_max: int, faults: Faults) -> bool:
    """Whether a text is there, not too long, and free of what cannot be stored or seen."""
    if not isinstance(raw, str):
        faults.add(path, f"{quoted(raw)} is not a text.", "Write a text in quotes.")
    elif len(raw) > characters_max:
        faults.add(path, f"The text has {len(raw)} characters.", f"Use at most {characters_max} characters.")
    elif any(_unprintable(character) for character in raw):
        faults.add(
            path, "The text contains control characters, or others that cannot be seen.", "Remove them."
        )
    elif not any(_visible(character) for character in raw):
        faults.add(path, "The text is empty.", "Write something that people will recognise.")
    else:
        return True
    return False


def _unprintable(character: str) -> bool:
    """What cannot be stored, ends a line, or changes how others are read; joiners hold words and emoji together."""
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in _JOINERS


def _visible(character: str) -> bool:
    """Whether it shows by itself: no blank, and no mark that only sits on another character."""
    return unicodedata.category(character)[0] not in "CZM" and character not in _BLANK_LETTERS


def _invisible(character: str) -> bool:
    category = unicodedata.category(character)
    return category.startswith("C") or category in {"Zl", "Zp"}


def _number_in(text: str, *, is_fraction: bool) -> str | None:
    try:
        number = float(text.strip().rstrip("%"))
    except ValueError:
        return None
    if is_fraction and "%" in text:
        number /= 100
    return f"Did you mean {number:.12g}?" if -NUMBER_MAX <= number <= NUMBER_MAX else None
