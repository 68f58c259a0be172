"""JSON as people type it: strict, shown indented, and never reformatted while it is being mended."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from unfold.widgets import UnfoldAdminTextareaWidget

from foundation.api.parsers import parse_strict


class JSONTextField(forms.JSONField):
    """Like Django's, but with the position of a mistake, no duplicate keys, no NaN, and `{}` is a value."""

    empty_values = (None, "")

    def __init__(self, *, rows: int = 12, **kwargs: Any) -> None:
        attrs = {"rows": rows, "class": "json-input", "spellcheck": "false", "autocomplete": "off"}
        super().__init__(widget=UnfoldAdminTextareaWidget(attrs=attrs), **kwargs)

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return None
        try:
            return parse_strict(value)
        except ValueError as error:
            raise ValidationError(f"This is not valid JSON: {error}", code="invalid") from error

    def bound_data(self, data: Any, initial: Any) -> Any:
        return None if data is None else InvalidJSONInput(data)  # shown exactly as it was typed

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, InvalidJSONInput) or value is None:
            return value
        return json.dumps(value, indent=2, ensure_ascii=False)
