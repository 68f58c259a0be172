"""Login by name and password for a revocable token; logout revokes it."""

from typing import Any, ClassVar

from django.contrib.auth import authenticate, logout
from drf_spectacular.utils import extend_schema
from knox.models import get_token_model
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from foundation.api.schema import Problems


class Credentials(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=128, trim_whitespace=False)


class Token(serializers.Serializer[Any]):
    token = serializers.CharField()


class Login(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    problems: ClassVar[Problems] = {
        "401": "Unknown name or wrong password.",
        "403": None,
        "404": None,
        "409": None,
    }

    def get_authenticate_header(self, request: Request) -> str:
        """What one gets here; without a header DRF would call a failed login 403."""
        return "Token"

    @extend_schema(
        operation_id="login", summary="Log in", request=Credentials, responses={200: Token}, tags=["auth"]
    )
    def post(self, request: Request) -> Response:
        """Exchange name and password for a token, to be sent as `Authorization: Token …`."""
        credentials = Credentials(data=request.data)
        credentials.is_valid(raise_exception=True)
        user = authenticate(request._request, **credentials.validated_data)
        if user is None:
            raise AuthenticationFailed("Unknown name or wrong password.")
        _, token = get_token_model().objects.create(user=user)
        return Response({"token": token})


class Logout(APIView):
    problems: ClassVar[Problems] = {
        "400": None,
        "403": "The session's CSRF token is missing or wrong.",
        "404": None,
        "409": None,
    }

    @extend_schema(
        operation_id="logout", summary="Log out", request=None, responses={204: None}, tags=["auth"]
    )
    def post(self, request: Request) -> Response:
        """Revoke the token that made this request, or end the session that did."""
        if request.auth is not None:
            request.auth.delete()
        else:
            logout(request._request)
        return Response(status=204)
