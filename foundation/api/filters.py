from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField


class _MomentField(IsoDateTimeField):
    def to_python(self, value: Any) -> datetime | None:
        """In UTC; a moment that lies before year 1 or after year 9999 there is no moment for the database."""
        moment: datetime | None = super().to_python(value)
        try:
            return moment.astimezone(UTC) if moment is not None else None
        except OverflowError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error


class MomentFilter(filters.IsoDateTimeFilter):
    """A point in time, ISO 8601."""

    field_class = _MomentField


class _FlagField(forms.Field):
    def to_python(self, value: Any) -> bool | None:
        """None: it was not asked for."""
        if value in self.empty_values:
            return None
        known = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
        if known is None:
            raise ValidationError("Must be true or false.", code="invalid")
        return known


class FlagFilter(filters.BooleanFilter):
    """True or false. django-filter's own takes every other word for nothing, and lets all rows through."""

    field_class = _FlagField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, widget=forms.TextInput, **kwargs)
