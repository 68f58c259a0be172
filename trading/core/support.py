"""What of the rule language the trading room does not carry out: nothing at present.

Where the language grows first, a rule with a new word can be written, checked and kept; but nobody may rely on what
does not happen. So it is not put in force, and should one be in force all the same (from another version's database),
its trades are refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rules.core.faults import Fault

# Key of an action -> its values that are not carried out, and what would be.
VALUES: dict[str, tuple[Mapping[str, str], str]] = {}


def unsupported(actions: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """A fault for each word in validated actions that this version does not carry out; their order is theirs."""
    faults = []
    for index, action in enumerate(actions):
        for key, value in action.items():
            words, cure = VALUES.get(key, ({}, ""))
            what = words.get(value)
            if what is not None:
                message = f"{what} are not carried out in this version."
                faults.append(
                    Fault(f"actions[{index}].{key}", message, f"{cure}, or store the rule inactive.")
                )
    return faults
