"""The door of every endpoint: what a view declares is what it enforces.

A view says in `actions` what each of its methods does. What is asked in no portfolio is judged here, before its code
runs; for the rest it looks up what it speaks of by `access.owned` or `visible_portfolio(…, action=self.intent)`, which
ask the table.
"""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from foundation.api.actions import declared
from foundation.errors import Forbidden
from portfolios.core.access import RULES, Action, is_of_portfolio
from portfolios.standing import require_anywhere


class AsDeclared(BasePermission):
    """Closed where nothing is declared. In settings, hence it imports no view."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """False: who is not logged in (401). Raises Forbidden."""
        method = request.method or ""
        action = declared(view, method)
        if action is not None and RULES[Action(action)].strangers:
            return True
        if not (request.user and request.user.is_authenticated):
            # which methods there are, a view for strangers tells them, too
            return action is None and any(RULES[Action(one)].strangers for one in view.actions.values())
        if action is None:
            if hasattr(view, method.lower()) and method.lower() != "options":
                raise Forbidden("This is open to nobody: it does not say what it does.", code="undeclared")
            return True  # there is no such method, which is said after this
        if not is_of_portfolio(action):
            require_anywhere(request.user, action)
        return True
