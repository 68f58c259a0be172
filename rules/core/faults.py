"""Collecting what is wrong with a rule, all at once and bounded.

Whoever writes a rule should see every mistake in one answer, each with its JSON
path, the reason and a cure; but a hostile document must not buy a long answer.
"""

import difflib
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from rules.core.language import NUMBER_MAX

FAULTS_MAX = 50
_SHOWN_CHARACTERS_MAX = 60


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
    text = "".join(
        "\N{REPLACEMENT CHARACTER}" if _unprintable(character) else character for character in text
    )
    return f'"{text}"' if isinstance(value, str) else text


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """The nearest known word, or the list of all of them."""
    words = sorted(known)
    if isinstance(word, str) and len(word) <= _SHOWN_CHARACTERS_MAX:
        lowered = {candidate.lower(): candidate for candidate in words}
        plain = unicodedata.normalize("NFKC", word).strip().lower().replace(" ", "_").replace("-", "_")
        near = difflib.get_close_matches(plain, lowered, n=1, cutoff=0.6)
        if near:
            return f'Did you mean "{lowered[near[0]]}"?'
    return "Use one of: " + ", ".join(words) + "."


def check_keys(
    raw: Mapping[Any, Any], path: str, *, known: Collection[str], required: Iterable[str], faults: Faults
) -> bool:
    """Whether an object has every required key and no unknown one."""
    before = len(faults.found)
    for key in raw:
        if faults.full:
            break
        if key not in known:
            faults.add(path, f"Unknown key {quoted(key)}.", did_you_mean(key, known))
    for key in required:
        if key not in raw:
            faults.add(path, f'The key "{key}" is missing.', f'Add "{key}".')
    return len(faults.found) == before


def read_number(raw: object, path: str, faults: Faults) -> float | None:
    """A finite JSON number as float, or None with a fault: true is not 1 and "5" is not 5."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
        cure = None
        if isinstance(raw, str) and len(raw) <= _SHOWN_CHARACTERS_MAX:
            cure = _number_in(raw)
        faults.add(path, f"{quoted(raw)} is not a number.", cure or "Write a number without quotes.")
        return None
    # Comparisons with NaN are false (a signalling Decimal NaN would raise, so it is asked first).
    if (isinstance(raw, Decimal) and not raw.is_finite()) or not -NUMBER_MAX <= raw <= NUMBER_MAX:
        faults.add(path, f"{quoted(raw)} is not a finite number up to 10^15.", "Use a smaller number.")
        return None
    return float(raw)


def check_text(raw: object, path: str, *, characters_max: int, faults: Faults) -> bool:
    """Whether a text is there, not too long, and free of what cannot be stored or seen."""
    if not isinstance(raw, str):
        faults.add(path, f"{quoted(raw)} is not a text.", "Write a text in quotes.")
    elif len(raw) > characters_max:
        faults.add(path, f"The text has {len(raw)} characters.", f"Use at most {characters_max} characters.")
    elif not raw.strip():
        faults.add(path, "The text is empty.", "Write something that people will recognise.")
    elif any(_unprintable(character) for character in raw):
        faults.add(path, "The text contains control characters.", "Remove them.")
    else:
        return True
    return False


def _unprintable(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def _number_in(text: str) -> str | None:
    try:
        number = float(text.strip().rstrip("%"))
    except ValueError:
        return None
    return f"Did you mean {number:g}?" if -NUMBER_MAX <= number <= NUMBER_MAX else None
