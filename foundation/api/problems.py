"""RFC 9457 problem details for every error that the API gives."""

from http import HTTPStatus
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError
from django.db.utils import InterfaceError
from django.http import Http404, HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from foundation.errors import DomainError

log = structlog.get_logger(__name__)
CONTENT_TYPE = "application/problem+json"


def problem(
    *,
    status: int,
    title: str,
    detail: str,
    code: str,
    errors: list[dict[str, Any]] | None = None,
    **extra: Any,
) -> Response:
    """A problem document: {type, title, status, detail, code, errors?, …}."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if errors:
        body["errors"] = errors
    body.update(extra)
    return Response(body, status=status, content_type=CONTENT_TYPE)


def problem_of(error: DomainError) -> Response:
    """What an expected error is answered with."""
    response = problem(
        status=error.status,
        title=error.title,
        detail=error.detail,
        code=error.code,
        errors=error.errors,
        **error.extra,
    )
    if error.wait is not None:
        response["Retry-After"] = str(error.wait)
    return response


def _under(path: str, key: str | int) -> str:
    """Where `key` lies; what is wrong with a body or a part of it as a whole is told at its own place."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if key == api_settings.NON_FIELD_ERRORS_KEY:
        return path
    return f"{path}.{key}" if path else str(key)


def flat_errors(detail: Any, path: str = "") -> list[dict[str, Any]]:
    """DRF's nested validation detail as a list of {path, message}."""
    if isinstance(detail, dict):
        # a list's errors may come as {index: …}
        pairs = [(_under(path, key), value) for key, value in detail.items()]
    elif isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        pairs = [(f"{path}[{index}]", value) for index, value in enumerate(detail)]
    else:
        messages = detail if isinstance(detail, list) else [detail]
        return [{"path": path, "message": str(message)} for message in messages]
    return [row for key, value in pairs for row in flat_errors(value, key)]


def _from_rest_framework(error: exceptions.APIException) -> Response:
    title = HTTPStatus(error.status_code).phrase
    if isinstance(error, exceptions.ValidationError):
        errors = flat_errors(error.detail)
        detail = "; ".join(
            f"{row['path']}: {row['message']}" if row["path"] else row["message"] for row in errors
        )
        response = problem(
            status=400, title="The input is not valid", detail=detail, code="invalid_input", errors=errors
        )
    else:
        code = getattr(error, "default_code", "error")
        response = problem(status=error.status_code, title=title, detail=str(error.detail), code=str(code))
    if getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    if getattr(error, "wait", None):
        response["Retry-After"] = str(int(error.wait) + 1)  # type: ignore[attr-defined]
    return response


def _from_suspicion(error: SuspiciousOperation) -> Response:
    """What Django refuses to read; its own words may name insides and stay in the log."""
    if isinstance(error, RequestDataTooBig):
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return problem(
            status=413,
            title="The body is too large",
            code="too_large",
            detail=f"A body may have at most {most} bytes. Send less at once.",
        )
    log.warning("suspicious_request", error=repr(error))
    return problem(
        status=400, title="Bad Request", code="bad_request", detail="The request cannot be understood."
    )


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER. An unexpected error is logged and answered as a bare 500 problem."""
    set_rollback()
    if isinstance(error, DomainError):
        return problem_of(error)
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is no such thing, or it is not yours to see.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.APIException):
        return _from_rest_framework(error)
    if isinstance(error, SuspiciousOperation):
        return _from_suspicion(error)
    if isinstance(error, OperationalError | InterfaceError):
        log.warning("database_unavailable", error=repr(error))
        response = problem(
            status=503,
            title="This cannot be done at the moment",
            code="unavailable",
            detail="The database did not answer in time. Nothing was changed; try again.",
        )
        response["Retry-After"] = "1"
        return response
    log.exception("unexpected_error", view=type(context.get("view")).__name__)
    return problem(
        status=500,
        title="Internal Server Error",
        code="internal_error",
        detail="An unexpected error happened and was logged. Nothing was changed.",
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """For paths that no view has: problem details under /api/, Django's page elsewhere."""
    if not request.path.startswith("/api/"):
        return defaults.page_not_found(request, exception)
    return plain_problem(
        status=404, code="not_found", detail="There is no such path, or it is not yours to see."
    )


def server_error(request: HttpRequest) -> HttpResponseBase:
    """For errors outside the API's own handler, which has already logged its own."""
    if not request.path.startswith("/api/"):
        return defaults.server_error(request)
    return plain_problem(
        status=500, code="internal_error", detail="An unexpected error happened and was logged."
    )


def plain_problem(*, status: int, code: str, detail: str) -> JsonResponse:
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE)
