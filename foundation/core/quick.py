"""Frozen dataclasses of many fields, made quickly.

The `__init__` of a frozen dataclass sets each field by a call of its own, which for sixty fields takes longer than what
most of them are computed by.
"""

from dataclasses import MISSING, fields
from typing import Any, TypeVar

Made = TypeVar("Made")


def quick_init(cls: type[Made]) -> type[Made]:
    """For a frozen dataclass without slots, `__post_init__` and default factories: its fields are given by name, and
    all at once. It stays frozen. Raises TypeError for a name that is missing or unknown."""
    assert not hasattr(cls, "__post_init__")
    defaults = {each.name: each.default for each in fields(cls) if each.default is not MISSING}  # type: ignore[arg-type]
    names = {each.name for each in fields(cls)}  # type: ignore[arg-type]

    def init(self: Made, **values: Any) -> None:
        mine = self.__dict__
        mine.update(defaults)
        mine.update(values)
        if mine.keys() != names:
            raise TypeError(f"{cls.__name__}: missing or unknown: {', '.join(sorted(mine.keys() ^ names))}")

    cls.__init__ = init  # type: ignore[assignment]
    return cls
