"""Every route says what it does, in the words of docs/roles.md: one that is new and does not, fails here."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate

from foundation.api.actions import Actions, declared
from foundation.api.base import ApiView
from portfolios.api.door import AsDeclared
from portfolios.core.access import Action
from tests.harness.roles_table import by_operation, rows

METHODS = ("get", "post", "put", "patch", "delete")
FOR_EVERYBODY = {"api/schema", "api/docs"}  # what the API is, and nothing that is in it


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from patterns(pattern, path)
        else:
            yield path, pattern


def served() -> Iterator[tuple[str, str, Any]]:
    """(path, method, view class) of all that is under /api/, and the metrics."""
    for path, pattern in patterns(get_resolver()):
        if path == "metrics" or path.startswith("api/"):
            view = pattern.callback.view_class  # type: ignore[attr-defined]  # a bare function has none: an error
            yield from ((path, method, view) for method in METHODS if hasattr(view, method))


def operations() -> dict[str, Any]:
    """The action that the view of each operation declares."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    generator = SchemaGenerator()
    generator._initialise_endpoints()
    return {
        paths[path][method.lower()]["operationId"]: declared(view, method)
        for path, _, method, view in generator._get_paths_and_endpoints()
        if path in paths
    }


def test_each_method_of_each_route_declares_a_known_action() -> None:
    undeclared = [
        f"{method.upper()} {path}: write it in `actions` of {view.__name__}"
        for path, method, view in served()
        if path not in FOR_EVERYBODY and declared(view, method) not in set(Action)
    ]
    assert undeclared == []


def test_no_view_has_another_door() -> None:
    others = {path for path, _, view in served() if tuple(view.permission_classes) != (AsDeclared,)}
    assert others == FOR_EVERYBODY


def test_each_operation_is_in_the_document_once_with_the_action_that_it_declares() -> None:
    named = [name for row in rows() for name in row.operations]
    assert len(named) == len(set(named))
    assert {name: row.action for name, row in by_operation().items()} == operations()


class Undeclared(ApiView):
    def get(self, request: Request) -> Response:
        return Response({"secret": 1})


class OfStaff(Undeclared):
    actions: ClassVar[Actions] = {"get": Action.KEEP_MARKET}


def answer_of(view: type[ApiView], method: str, **fields: bool) -> Response:
    request = getattr(APIRequestFactory(), method)("/")
    force_authenticate(request, user=User(username="alice", **fields))
    return view.as_view()(request)


def test_what_declares_nothing_is_open_to_nobody() -> None:
    answer = answer_of(Undeclared, "get", is_staff=True, is_superuser=True)
    assert (answer.status_code, answer.data["code"]) == (403, "undeclared")


def test_a_method_that_is_none_is_not_allowed_rather_than_forbidden() -> None:
    assert [answer_of(OfStaff, method).status_code for method in ("post", "options")] == [405, 405]


def test_what_is_asked_in_no_portfolio_is_judged_at_the_door() -> None:
    refused = answer_of(OfStaff, "get")
    assert (refused.status_code, refused.data["code"]) == (403, "staff_required")
    assert answer_of(OfStaff, "get", is_staff=True).data == {"secret": 1}
    assert answer_of(OfStaff, "head", is_staff=True).status_code == 200
    assert answer_of(OfStaff, "get", is_staff=True, is_active=False).status_code == 403
