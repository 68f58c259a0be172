"""What each view says that it does, by HTTP method.

The rooms below portfolios do not know the table of roles: they name their actions in plain words, those of
`portfolios.core.access.Action`. Who asks for an action is judged by `portfolios.api.door.AsDeclared`, before the
view's own code runs; a method that declares nothing is open to nobody.
"""

from collections.abc import Mapping
from typing import Any

Actions = Mapping[str, str]


def declared(view: Any, method: str) -> str | None:
    """The action of a method, None where the view declares none."""
    name = method.lower()
    actions: Actions = getattr(view, "actions", {})
    return actions.get("get" if name == "head" else name)
