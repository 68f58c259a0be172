"""One's own API tokens, and the service accounts of programs with theirs."""

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from knox.models import AuthToken
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation import tokens
from foundation.api.actions import Actions
from foundation.api.auth import PASSWORD_CHARACTERS_MAX, require_password
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.idempotency import Keep
from foundation.api.schema import Problems
from foundation.errors import NotFound
from foundation.models import ServiceAccount, TokenLabel

TAGS, SERVICE_TAGS = ["auth"], ["service accounts"]
SERVICE_NAME = r"^svc-[a-z0-9][a-z0-9-]{0,59}$"


class ApiTokenSerializer(serializers.Serializer[Any]):
    """A token that is good now. The secret itself is never shown again."""

    id = serializers.UUIDField(source="label.id")
    name = serializers.CharField(source="label.name", help_text="empty: made by logging in")
    kind = serializers.ChoiceField(source="label.kind", choices=TokenLabel.Kind.choices)
    created_at = serializers.DateTimeField(source="created")
    expires_at = serializers.DateTimeField(source="expiry", allow_null=True)
    current = serializers.SerializerMethodField(help_text="whether this request was made with it")

    @extend_schema_field(bool)
    def get_current(self, token: AuthToken) -> bool:
        return bool(token.digest == self.context.get("digest"))


class NewNamedTokenSerializer(StrictSerializer):
    name = serializers.CharField(max_length=100, help_text="what uses it")
    expires_in_days = serializers.IntegerField(min_value=1)


class NewOwnTokenSerializer(NewNamedTokenSerializer):
    password = serializers.CharField(
        max_length=PASSWORD_CHARACTERS_MAX,
        trim_whitespace=False,
        write_only=True,
        help_text="yours, once more",
    )


class MadeTokenSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    expires_at = serializers.DateTimeField()
    token = serializers.CharField(help_text="shown this once")


class ServiceAccountSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    username = serializers.CharField(source="user.username")
    description = serializers.CharField()
    is_active = serializers.BooleanField(source="user.is_active")
    tokens = serializers.IntegerField(help_text="that are good now")
    created_by = serializers.CharField(source="created_by.username")
    created_at = serializers.DateTimeField()


class NewServiceAccountSerializer(StrictSerializer):
    name = serializers.RegexField(
        SERVICE_NAME, max_length=64, help_text="begins with svc-; small letters, digits, -"
    )
    description = serializers.CharField(max_length=200, help_text="what the program does, and whose it is")


class Tokens(ApiView):
    actions: ClassVar[Actions] = {"get": "self", "post": "self"}
    queryset = AuthToken.objects.none()
    idempotency = Keep.SEALED
    page_ordering = ("-created", "digest")
    problems: ClassVar[Problems] = {"404": None, "403": "The password is wrong."}

    @extend_schema(
        operation_id="getTokens",
        summary="List your tokens",
        responses=ApiTokenSerializer(many=True),
        filters=False,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Those that are good now, newest first, whether made by logging in or by name."""
        digest = getattr(request.auth, "digest", None)
        rows = tokens.tokens_of(self.actor).filter(label__isnull=False)
        return self.page(rows, ApiTokenSerializer, context={"digest": digest})

    def before_key(self, request: Request) -> None:
        require_password(request, self.body(NewOwnTokenSerializer)["password"])

    @extend_schema(
        operation_id="createToken",
        summary="Make a named token",
        request=NewOwnTokenSerializer,
        responses={201: MadeTokenSerializer},
        examples=[
            OpenApiExample(
                "For a script",
                value={"name": "morning report", "expires_in_days": 90, "password": "correct horse battery"},
                request_only=True,
            )
        ],
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """It does what you may do until it expires or is revoked. Your password is asked for: a stolen token must not
        make another that outlives it."""
        body, user = self.body(NewOwnTokenSerializer), self.actor
        made = tokens.issue_token(user=user, name=body["name"], days=body["expires_in_days"], actor=user)
        return Response(MadeTokenSerializer(made).data, status=201)


class OneToken(ApiView):
    actions: ClassVar[Actions] = {"delete": "self"}
    problems: ClassVar[Problems] = {"400": None, "409": None}

    @extend_schema(
        operation_id="revokeToken", summary="Revoke a token", responses={204: None}, tags=TAGS, request=None
    )
    def delete(self, request: Request, id: UUID) -> Response:
        """It opens nothing from now on; sockets that it opened close within seconds."""
        tokens.revoke_token(user=self.actor, token_id=id, actor=self.actor)
        return Response(status=204)


class RevokeOthers(ApiView):
    actions: ClassVar[Actions] = {"post": "self"}
    problems: ClassVar[Problems] = {"400": None, "404": None, "409": None}

    @extend_schema(
        operation_id="revokeOtherTokens",
        summary="Revoke all other tokens",
        request=None,
        responses={204: None},
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """All of yours but the one that makes this request (with a session's cookie: all)."""
        tokens.revoke_tokens(user=self.actor, keep=getattr(request.auth, "digest", None))
        return Response(status=204)


def _shown() -> QuerySet[ServiceAccount]:
    good = Q(user__auth_token_set__expiry=None) | Q(user__auth_token_set__expiry__gt=Now())
    accounts = ServiceAccount.objects.select_related("user", "created_by")
    return accounts.annotate(tokens=Count("user__auth_token_set", filter=good))


def _account(id: UUID) -> ServiceAccount:
    account = _shown().filter(id=id).first()
    if account is None:
        raise NotFound("There is no such service account.")
    return account


class ServiceAccounts(ApiView):
    actions: ClassVar[Actions] = {"get": "keep_accounts", "post": "keep_accounts"}
    problems: ClassVar[Problems] = {"403": "For staff only."}
    queryset = ServiceAccount.objects.none()

    @extend_schema(
        operation_id="getServiceAccounts",
        summary="List service accounts",
        responses=ServiceAccountSerializer(many=True),
        filters=False,
        tags=SERVICE_TAGS,
    )
    def get(self, request: Request) -> Response:
        """Users that are programs, newest first. For staff."""
        return self.page(_shown(), ServiceAccountSerializer)

    @extend_schema(
        operation_id="createServiceAccount",
        summary="Make a service account",
        request=NewServiceAccountSerializer,
        responses={201: ServiceAccountSerializer},
        examples=[
            OpenApiExample(
                "A model that pushes advice",
                value={"name": "svc-momentum-model", "description": "Pushes recommendations; Alice's team"},
                request_only=True,
            )
        ],
        tags=SERVICE_TAGS,
    )
    def post(self, request: Request) -> Response:
        """A user without a password. It gets roles as a person does, but approves and releases nothing. For staff."""
        made = tokens.create_service_account(actor=self.actor, **self.body(NewServiceAccountSerializer))
        return Response(ServiceAccountSerializer(_account(made.id)).data, status=201)


class ServiceTokens(ApiView):
    actions: ClassVar[Actions] = {"get": "keep_accounts", "post": "keep_accounts"}
    queryset = AuthToken.objects.none()
    idempotency = Keep.SEALED
    page_ordering = ("-created", "digest")
    problems: ClassVar[Problems] = {
        "403": "For staff only; to make one for an account with a role, for superusers."
    }

    @extend_schema(
        operation_id="getServiceTokens",
        summary="List the tokens of a service account",
        responses=ApiTokenSerializer(many=True),
        filters=False,
        tags=SERVICE_TAGS,
    )
    def get(self, request: Request, id: UUID) -> Response:
        """Those that are good now, newest first. For staff."""
        rows = tokens.tokens_of(_account(id).user).filter(label__isnull=False)
        return self.page(rows, ApiTokenSerializer)

    @extend_schema(
        operation_id="createServiceToken",
        summary="Make a token for a service account",
        request=NewNamedTokenSerializer,
        responses={201: MadeTokenSerializer},
        examples=[
            OpenApiExample(
                "For a year", value={"name": "production", "expires_in_days": 365}, request_only=True
            )
        ],
        tags=SERVICE_TAGS,
    )
    def post(self, request: Request, id: UUID) -> Response:
        """Shown once. For staff while the account has no role yet, then for superusers."""
        account, body = _account(id), self.body(NewNamedTokenSerializer)
        made = tokens.issue_service_token(
            account=account, name=body["name"], days=body["expires_in_days"], actor=self.actor
        )
        return Response(MadeTokenSerializer(made).data, status=201)


class OneServiceToken(ApiView):
    actions: ClassVar[Actions] = {"delete": "keep_accounts"}
    problems: ClassVar[Problems] = {"400": None, "403": "For staff only.", "409": None}

    @extend_schema(
        operation_id="revokeServiceToken",
        summary="Revoke a token of a service account",
        responses={204: None},
        tags=SERVICE_TAGS,
        request=None,
    )
    def delete(self, request: Request, id: UUID, token_id: UUID) -> Response:
        """It opens nothing from now on; the account's other tokens go on. For staff."""
        tokens.revoke_token(user=_account(id).user, token_id=token_id, actor=self.actor)
        return Response(status=204)


class DeactivateServiceAccount(ApiView):
    actions: ClassVar[Actions] = {"post": "keep_accounts"}

    @extend_schema(
        operation_id="deactivateServiceAccount",
        summary="Deactivate a service account",
        request=None,
        responses=ServiceAccountSerializer,
        tags=SERVICE_TAGS,
    )
    def post(self, request: Request, id: UUID) -> Response:
        """All its tokens end. Its name stays in the books; it is never deleted. For staff."""
        tokens.deactivate_service_account(account=_account(id), actor=self.actor)
        return Response(ServiceAccountSerializer(_account(id)).data)
