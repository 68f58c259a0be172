"""Login by name and password for a token that expires; logout revokes it; a new password revokes all others."""

from typing import Any, ClassVar

from django.contrib.auth import authenticate, logout, password_validation, update_session_auth_hash
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import ValidationError
from django.db import transaction
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.idempotency import Keep
from foundation.api.schema import Problems
from foundation.errors import Forbidden, InvalidInput
from foundation.tokens import login_token, revoke_tokens

PASSWORD_CHARACTERS_MAX = 128
TAGS = ["auth"]


class Credentials(StrictSerializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=PASSWORD_CHARACTERS_MAX, trim_whitespace=False)


class Token(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="to be sent as `Authorization: Token …`; shown this once")
    id = serializers.UUIDField(help_text="what it is called when it is to be revoked")
    expires_at = serializers.DateTimeField()


class PasswordChange(StrictSerializer):
    password = serializers.CharField(
        max_length=PASSWORD_CHARACTERS_MAX, trim_whitespace=False, help_text="the present one"
    )
    new_password = serializers.CharField(max_length=PASSWORD_CHARACTERS_MAX, trim_whitespace=False)


def require_password(request: Request, password: str) -> None:
    """The caller proves again who he is: a token alone must not make itself last. Raises Forbidden.

    Outside of any transaction that the refusal would roll back: failures are counted.
    """
    user: Any = request.user
    proved = authenticate(request._request, username=user.get_username(), password=password)
    if proved is None or proved.pk != user.pk:
        raise Forbidden("The password is wrong.", code="wrong_password")


class Login(APIView):
    authentication_classes = ()
    actions: ClassVar[Actions] = {"post": "log_in"}
    problems: ClassVar[Problems] = {
        "401": "Unknown name or wrong password.",
        "403": None,
        "404": None,
        "409": None,
        "429": "Too many failed logins of this name from this address, or of this address.",
    }

    def get_authenticate_header(self, request: Request) -> str:
        """What one gets here; without a header DRF would call a failed login 403."""
        return "Token"

    @extend_schema(
        operation_id="login",
        summary="Log in",
        request=Credentials,
        responses={200: Token},
        examples=[
            OpenApiExample(
                "Alice", value={"username": "alice", "password": "correct horse battery"}, request_only=True
            )
        ],
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """Exchange name and password for a token, to be sent as `Authorization: Token …` until it expires.

        The one POST without an idempotency key: nobody is known yet whose key it would be. A token too many does no
        harm. After too many failures the name is closed to your address for a while (429).
        """
        credentials = Credentials(data=request.data)
        credentials.is_valid(raise_exception=True)
        user = authenticate(request._request, **credentials.validated_data)
        if not isinstance(user, User):
            raise AuthenticationFailed("Unknown name or wrong password.")
        user_logged_in.send(
            sender=type(user), request=request._request, user=user
        )  # its failures are forgotten
        made = login_token(user=user)
        return Response(Token(made).data)


class Logout(ApiView):
    actions: ClassVar[Actions] = {"post": "self"}
    problems: ClassVar[Problems] = {
        "400": None,
        "403": "The session's CSRF token is missing or wrong.",
        "404": None,
        "409": None,
    }

    @extend_schema(operation_id="logout", summary="Log out", request=None, responses={204: None}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Revoke the token that made this request, or end the session that did. Sent again it is 401: you are out."""
        if request.auth is not None:
            request.auth.delete()
        else:
            logout(request._request)
        return Response(status=204)


class Password(ApiView):
    actions: ClassVar[Actions] = {"post": "self"}
    idempotency = Keep.SEALED
    problems: ClassVar[Problems] = {"403": "The password is wrong.", "404": None, "409": None}

    def before_key(self, request: Request) -> None:
        require_password(request, self.body(PasswordChange)["password"])

    @extend_schema(
        operation_id="changePassword",
        summary="Change your password",
        request=PasswordChange,
        responses={204: None},
        examples=[
            OpenApiExample(
                "A new one",
                value={"password": "correct horse battery", "new_password": "a longer horse battery"},
                request_only=True,
            )
        ],
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """All your tokens and logins end, but for the one that you use now."""
        body = self.body(PasswordChange)
        user = self.actor
        try:
            password_validation.validate_password(body["new_password"], user)
        except ValidationError as error:
            faults = [{"path": "new_password", "message": message} for message in error.messages]
            raise InvalidInput("The new password is too weak.", errors=faults) from error
        with transaction.atomic():
            user.set_password(body["new_password"])
            User.objects.filter(pk=user.pk).update(
                password=user.password
            )  # saved, it would end this token, too
            revoke_tokens(user=user, keep=getattr(request.auth, "digest", None))
        if request.auth is None:
            update_session_auth_hash(request._request, user)
        return Response(status=204)
