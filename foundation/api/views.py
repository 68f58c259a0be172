"""Login by name and password for a revocable token; logout revokes it."""

from typing import Any

from django.contrib.auth import authenticate
from drf_spectacular.utils import extend_schema
from knox.models import get_token_model
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Credentials(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=128, trim_whitespace=False)


class Token(serializers.Serializer[Any]):
    token = serializers.CharField()


class Login(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(summary="Log in", request=Credentials, responses={200: Token})
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
    @extend_schema(summary="Log out", request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Revoke the token that made this request."""
        if request.auth is not None:
            request.auth.delete()
        return Response(status=204)
