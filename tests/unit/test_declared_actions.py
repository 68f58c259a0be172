"""Every route says what it does, in the words of docs/roles.md: one that is new and does not, fails here."""

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator

from foundation.api.actions import declared
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
