"""Who shows a token: knox's authentication, with what an open door needs besides."""

from typing import Any

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from knox.auth import TokenAuthentication as KnoxAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from foundation.api.throttling import pay_for_a_401


class TokenAuthentication(KnoxAuthentication):
    """To show a token that is not good (any more) costs the address its budget of refusals."""

    def authenticate(self, request: Request) -> Any:
        """None: there is no token. Raises AuthenticationFailed, and Throttled where that was too often."""
        try:
            return super().authenticate(request)
        except (AuthenticationFailed, UnicodeDecodeError) as error:
            pay_for_a_401(request, request.parser_context.get("view"))
            if isinstance(error, AuthenticationFailed):
                raise
            raise AuthenticationFailed(
                "Invalid token."
            ) from error  # knox reads UTF-8, and a header may hold any byte


class TokenScheme(KnoxTokenScheme):
    """As drf-spectacular describes knox's own, which it knows by the name of the class."""

    target_class = "foundation.api.authentication.TokenAuthentication"
    name = "knoxApiToken"
