"""The view that every endpoint is made of, and the serializer that every body is read by."""

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions, declared
from foundation.api.idempotency import IdempotentPostMixin
from foundation.api.pagination import Orderings
from foundation.api.query import AsksMixin
from foundation.api.schema import ApiSchema
from foundation.errors import NotFound

_INTEGER_MAX = 2**31 - 1  # of PostgreSQL's integer


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses keys that it does not know: a misspelt option must not be ignored in silence."""

    def to_internal_value(self, data: Any) -> Any:
        errors: dict[str, Any] = {}
        value: Any = {}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if not isinstance(data, Mapping) or not isinstance(error.detail, dict):
                raise
            errors = dict(error.detail)
        writable = [name for name, field in self.fields.items() if not field.read_only]
        for key in data:
            if key not in writable:
                near = difflib.get_close_matches(str(key), writable, n=1)
                hint = f" Did you mean {near[0]}?" if near else f" Known are: {', '.join(writable)}."
                errors[str(key)[:100]] = [f"Unknown key.{hint}"]
        if errors:
            raise serializers.ValidationError(errors)
        return value


class ApiView(IdempotentPostMixin, AsksMixin, GenericAPIView[Any]):
    """Translate, one service call, translate back.

    `actions` says what each method does, in the words of the table of roles; a method that is not in it is refused.
    POST takes an `Idempotency-Key`. A view with a list sets `filterset_class` and `page_ordering`, or `orderings` where
    there are several (columns that no row has empty, the last one unique, none of a relation: annotate it); `queryset`
    only tells the schema whose filters these are, and that there are pages. What else GET may be asked is its
    `query_class`.
    """

    schema = ApiSchema()
    tags_of: ClassVar[str] = ""  # what its ETag and If-Match are about, for the schema; empty: it has none
    actions: ClassVar[Actions] = {}
    page_ordering: tuple[str, ...] = ("-created_at", "-id")
    orderings: ClassVar[Orderings] = {}  # the orders that a client may ask for, the usual one first

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raises NotFound for what a path cannot name: the database has no such texts and no such numbers."""
        super().initial(request, *args, **kwargs)
        for value in kwargs.values():
            if (isinstance(value, str) and "\x00" in value) or (
                isinstance(value, int) and value > _INTEGER_MAX
            ):
                raise NotFound("There is no such thing, or it is not yours to see.")

    @property
    def actor(self) -> User:
        user = self.request.user
        assert isinstance(user, User), "every view but login asks for authentication"
        return user

    @property
    def intent(self) -> str:
        """The action that this request asks for."""
        action = declared(self, self.request.method or "")
        assert action is not None, "what declares no action was refused before"
        return action

    def body(self, serializer_class: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The validated body. Raises ValidationError, which becomes a 400 with a path for each error."""
        serializer = serializer_class(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        validated: dict[str, Any] = serializer.validated_data
        return validated

    def page(
        self,
        rows: QuerySet[Any],
        serializer_class: type[serializers.BaseSerializer[Any]],
        context: dict[str, Any] | None = None,
    ) -> Response:
        """One page of the rows that pass the filters of the query string."""
        page = self.paginate_queryset(self.filter_queryset(rows))
        assert page is not None
        return self.get_paginated_response(serializer_class(page, many=True, context=context or {}).data)
