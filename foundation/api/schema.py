"""What all operations of the API share, told to OpenAPI once: their problems and their idempotency key."""

from collections.abc import Mapping
from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from foundation.api.idempotency import HEADER, KEY_LENGTH_MAX, IdempotentPostMixin
from foundation.api.pagination import ORDERING
from foundation.api.problems import CONTENT_TYPE

# Status -> what it means; None: never given here. What a view says of itself, beside what all have.
Problems = Mapping[str, str | None]
READS = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "401": ("WWW-Authenticate", "How to prove who you are.", "string"),
    "405": ("Allow", "The methods that the path has.", "string"),
    "429": ("Retry-After", "Seconds.", "integer"),
    "503": ("Retry-After", "Seconds.", "integer"),
}
"""What a problem says outside of its body, by status: header, meaning, type."""


class ProblemError(serializers.Serializer[Any]):
    path = serializers.CharField(help_text="where in the body, like `conditions[0].field`", allow_blank=True)
    message = serializers.CharField()
    suggestion = serializers.CharField(required=False, allow_null=True)


class Problem(serializers.Serializer[Any]):
    """RFC 9457 problem details. Some codes say more in members of their own; there may be others in time."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="for people")
    code = serializers.CharField(help_text="for programs, stable")
    errors = ProblemError(many=True, required=False)  # type: ignore[assignment]
    etag = serializers.CharField(required=False, help_text="412: the present tag of what was to be changed")
    session_id = serializers.UUIDField(required=False, help_text="`session_running`: the one that runs")
    status_now = serializers.CharField(
        required=False, help_text="409: the state that a trade or a session is in"
    )
    mode = serializers.CharField(
        required=False, help_text="`mode_mismatch`: the account's, `paper` or `live`"
    )
    version = serializers.IntegerField(required=False, help_text="409: the version that a rule has now")
    limits = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="409: the limits that stand in the way"
    )


class ApiSchema(AutoSchema):
    """drf-spectacular's, with the problem responses and the `Idempotency-Key` that our views share."""

    def get_override_parameters(self) -> list[Any]:
        parameters: list[Any] = list(super().get_override_parameters())
        if self._is_idempotent():
            parameters.append(
                OpenApiParameter(
                    HEADER,
                    str,
                    OpenApiParameter.HEADER,
                    description="The same key again within 24 hours gives the first answer and has no second "
                    f"effect; with another body it is refused (422). At most {KEY_LENGTH_MAX} characters.",
                )
            )
        query = getattr(self.view, "query_class", None)
        if query is not None and self.method == "GET":
            parameters.append(query)
        orderings = getattr(self.view, "orderings", {})
        if orderings and self._is_list_view():
            told = f"A minus means the other way round; {next(iter(orderings))} if left out."
            parameters.append(OpenApiParameter(ORDERING, str, enum=list(orderings), description=told))
        about = getattr(self.view, "tags_of", "")
        if about:
            told = f"Tells the present state of {about}; send it as `If-Match` with a change."
            parameters.append(
                OpenApiParameter("ETag", str, OpenApiParameter.HEADER, description=told, response=[200])
            )
        if self._has_precondition():
            told = (
                f"The `ETag` of {about} as you have seen it: it was changed meanwhile, and the answer is 412."
            )
            parameters.append(OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, description=told))
        return parameters

    def _has_precondition(self) -> bool:
        return bool(getattr(self.view, "tags_of", "")) and self.method not in READS

    def _is_idempotent(self) -> bool:
        return self.method == "POST" and isinstance(self.view, IdempotentPostMixin)

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        component = self.resolve_serializer(Problem, "response")
        component.schema["additionalProperties"] = True
        for status, description in self._problems().items():
            body = {"description": description, "content": {CONTENT_TYPE: {"schema": component.ref}}}
            bodies.setdefault(status, body)
        for status, (name, told, kind) in _HEADERS.items():
            if status in bodies:
                header = {"description": told, "schema": {"type": kind}}
                bodies[status]["headers"] = {name: header} | bodies[status].get("headers", {})
        return bodies

    def _reads_a_body(self) -> bool:
        return self.method in {"POST", "PUT", "PATCH"} and self.get_request_serializer() is not None

    def _problems(self) -> dict[str, str]:
        writes = self.method not in READS
        problems: dict[str, str | None] = {
            "400": "The input is not valid; `errors` says where." if writes or self._is_list_view() else None,
            "401": "No token, or one that is not valid (any more)."
            if self.view.authentication_classes
            else None,
            "403": "Known and visible, but not for your role." if writes else None,
            "404": "There is no such thing, or it is not yours to see."
            if writes or "{" in self.path
            else None,
            "405": "Another method than this path has.",
            "409": "Valid, but not in the present state." if writes else None,
            "412": "It was changed since you looked at it; `etag` is its present tag."
            if self._has_precondition()
            else None,
            "413": "The body is too large." if self._reads_a_body() else None,
            "415": "The body is not JSON in UTF-8." if self._reads_a_body() else None,
            "422": "The idempotency key was used for another request." if self._is_idempotent() else None,
            "429": None
            if self.method in getattr(self.view, "never_throttled", ())
            else "Too many requests; the budget has room again after `Retry-After` seconds.",
            "500": "A defect of ours, which was logged; nothing was changed.",
            "503": "Cannot be decided at the moment; try again after `Retry-After` seconds.",
        }
        own: Problems = getattr(self.view, "problems", {})
        problems.update(own)
        if self._is_idempotent():  # whatever a view says of its own input
            problems["400"] = problems["400"] or f"{HEADER} is empty or too long."
        if self._is_list_view():
            problems["404"] = problems["404"] or "The cursor was not made here, or for another order."
        return {status: text for status, text in problems.items() if text is not None}
