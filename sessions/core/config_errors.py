"""What is wrong with a config: paths, messages, and the names that were probably meant. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

ERRORS_MAX = 20


@dataclass
class ConfigErrors:
    """The first ERRORS_MAX errors; looking for a similar name is dear, so it ends with them."""

    rows: list[dict[str, str]] = field(default_factory=list)

    def add(self, path: str, message: str, *, name: str = "", known: Collection[str] = ()) -> None:
        """`name` was not found in `known`: the most similar known name is suggested."""
        if len(self.rows) >= ERRORS_MAX:
            return
        row = {"path": path, "message": message}
        close = get_close_matches(name, known, n=1)
        if close:
            row["suggestion"] = f"did you mean {close[0]!r}?"
        self.rows.append(row)


def check_names(value: Any, *, path: str, known: Collection[str], most: int, errors: ConfigErrors) -> None:
    """A list of 1 to `most` names, each of them known and none of them twice."""
    if (
        not isinstance(value, list)
        or not value
        or len(value) > most
        or not all(isinstance(v, str) for v in value)
    ):
        errors.add(path, f"must be a list of 1 to {most} names")
        return
    for index, name in enumerate(value):
        if name not in known:
            errors.add(f"{path}[{index}]", f"unknown: {name!r}", name=name, known=known)
    if len(set(value)) != len(value):
        errors.add(path, "names one of them twice")
