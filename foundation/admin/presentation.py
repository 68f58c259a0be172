"""How values are shown, in one place: plain numbers, UTC times to the second, indented JSON, badges.

Django would show a NUMERIC(20, 8) with all its zeros and a time without its seconds.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

EMPTY = "–"
Column = Callable[[Any], Any]


def shown_number(value: Decimal | None) -> str:
    """Thousands grouped, no trailing zeros: 12,500.5."""
    if value is None:
        return EMPTY
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown_moment(value: datetime | None) -> SafeString | str:
    """As the database has it, in UTC: two clocks are only comparable to the second."""
    if value is None:
        return EMPTY
    return format_html('<span class="moment">{}</span>', f"{value:%Y-%m-%d %H:%M:%S}")


def shown_json(value: Any) -> SafeString | str:
    if value is None:
        return EMPTY
    return format_html(
        '<pre class="plain-json">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False)
    )


_BY_TYPE: "Mapping[type[models.Field[Any, Any]], Callable[[Any], Any]]" = {
    models.DecimalField: shown_number,
    models.DateTimeField: shown_moment,
    models.JSONField: shown_json,
}


@cache
def presented(model: type[models.Model], name: str) -> str | Column:
    """The field's name, or a column that shows its value better than Django would."""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return name
    show = next((show for kind, show in _BY_TYPE.items() if isinstance(field, kind)), None)
    if show is None:
        return name

    def column(row: Any) -> Any:
        return show(getattr(row, name))

    column.__name__ = name
    described: Column = display(description=str(getattr(field, "verbose_name", name)), ordering=name)(column)
    return described


def badge(name: str, colours: Mapping[str, str], *, description: str | None = None) -> Column:
    """A column that shows a short text field as a coloured label; colours as in Unfold (success, danger, …)."""

    def column(row: Any) -> Any:
        return getattr(row, name)

    column.__name__ = name
    described: Column = display(
        description=description or name.replace("_", " "), ordering=name, label=dict(colours)
    )(column)
    return described


def stylesheet(request: HttpRequest) -> str:
    """The address of our addition to Unfold's style, for its setting STYLES."""
    return static("foundation/admin.css")
