"""The door of every endpoint: what a view declares is what it enforces.

A view says in `actions` what each of its methods does. What is asked in no portfolio is judged here, before its code
runs; for the rest it looks up what it speaks of by `access.owned` or `visible_portfolio(…, action=self.intent)`, which
ask the table.
"""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from foundation.api.actions import declared
from foundation.api.throttling import pay_for_a_401
from foundation.errors import Forbidden
from portfolios.core.access import RULES, Action, is_of_portfolio
from portfolios.standing import require_anywhere


class AsDeclared(BasePermission):
    """Closed where nothing is declared. In settings, hence it imports no view."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """False: who is not logged in (401). Raises Forbidden, and Throttled: to be refused costs as much as to be let
        in."""
        method = (request.method or "").lower()
        action = declared(view, method)
        known = bool(request.user and request.user.is_authenticated)
        if known:
            view.check_throttles(request)
        if action is None and method != "options" and hasattr(view, method):
            if known:
                raise Forbidden("This is open to nobody: it does not say what it does.", code="undeclared")
            return False
        asked = [action] if action is not None else getattr(view, "actions", {}).values()
        if any(RULES[Action(each)].strangers for each in asked):
            return True
        if known and action is not None and not is_of_portfolio(action):
            require_anywhere(request.user, action)
        if not known:
            pay_for_a_401(request, view)
        return known  # where there is no such method, that is said after this
