"""What a query string may say, and that nothing else is passed over in silence."""

import difflib
from typing import Any, ClassVar

from django_filters.rest_framework import FilterSet, MultipleChoiceFilter
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request

from foundation.api.pagination import ORDERING
from foundation.errors import InvalidInput

_SHOWN_MAX = 100  # of what a client wrote


def known_parameters(view: GenericAPIView[Any]) -> list[str]:
    """What GET understands: filters, the view's own questions, the order and the page. Empty: it asks for nothing."""
    named: list[str] = []
    if (filterset := getattr(view, "filterset_class", None)) is not None:
        named.extend(filterset.base_filters)
    if (query := getattr(view, "query_class", None)) is not None:
        named.extend(query().fields)
    pages: Any = view.paginator
    if getattr(view, "queryset", None) is not None and pages is not None:
        if getattr(view, "orderings", None):
            named.append(ORDERING)
        named += [pages.page_size_query_param, pages.cursor_query_param]
    return named


def refuse_unknown(given: list[str], known: list[str]) -> None:
    """Raises InvalidInput, which names each that is not known, what is, and what was probably meant."""
    told = (
        f"Unknown parameter. Known are: {', '.join(known)}."
        if known
        else "Unknown parameter. None is taken here."
    )
    errors = [
        {
            "path": name[:_SHOWN_MAX],
            "message": told,
            "suggestion": next(iter(difflib.get_close_matches(name[:_SHOWN_MAX], known, n=1)), None),
        }
        for name in given
        if name not in known
    ]
    if errors:
        names = ", ".join(error["path"] for error in errors if error["path"])
        raise InvalidInput(f"{names}: {told}", errors=errors)


def refuse_repeated(names: list[str], filterset: type[FilterSet] | None) -> None:
    """Raises InvalidInput where one value is asked for and several came: all but the last would be passed over."""
    filters = filterset.base_filters if filterset is not None else {}
    told = "Given more than once, and takes one value."
    errors = [
        {"path": name, "message": told}
        for name in names
        if not isinstance(filters.get(name), MultipleChoiceFilter)
    ]
    if errors:
        raise InvalidInput(f"{', '.join(error['path'] for error in errors)}: {told}", errors=errors)


class AsksMixin:
    """A misspelt filter would be answered with every row there is, which looks like an answer: it is refused, and so
    is a second value where one is taken.

    `query_class` says what a view's GET may be asked beside its filters, for the schema, too.
    """

    query_class: ClassVar[type[serializers.Serializer[Any]] | None] = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]  # DRF's, which lets nobody in before
        assert isinstance(self, GenericAPIView)
        if request.method in {"GET", "HEAD"}:
            refuse_unknown(list(request.query_params), known_parameters(self))
            refuse_repeated(
                [name for name, values in request.query_params.lists() if len(values) > 1],
                getattr(self, "filterset_class", None),
            )

    def asked(self, request: Request) -> dict[str, Any]:
        """The validated query string. Raises ValidationError, which becomes a 400."""
        assert self.query_class is not None
        query = self.query_class(data=request.query_params)
        query.is_valid(raise_exception=True)
        validated: dict[str, Any] = query.validated_data
        return validated
