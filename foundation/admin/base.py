"""What every admin page of the project has in common.

    HouseAdmin           shows values well, lists with a constant number of queries, never deletes
    ├── ReadOnlyAdmin    books, orders, journal, market: nothing is changed here but by actions
    └── ServiceAdmin     forms whose save is one service call

No page saves a model: a service does, so that a change from here is validated, locked and journalled like
one from the API. What the service refuses is shown in the form, at the field that its path names, and the
whole request is rolled back.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.db import OperationalError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.module_loading import import_string
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from foundation.admin.presentation import Column, presented
from foundation.errors import DomainError, Forbidden, Unavailable

_FIRST_STEP = re.compile(r"[^.\[]*")


def fault_text(fault: Mapping[str, Any]) -> str:
    """`conditions[0].field: Unknown field. Did you mean …?`"""
    where = f"{fault['path']}: " if fault.get("path") else ""
    suggestion = f" {fault['suggestion']}" if fault.get("suggestion") else ""
    return f"{where}{fault['message']}{suggestion}"


def as_domain_error(error: Exception) -> DomainError:
    """A lock or the database did not answer in time: known, and nothing was changed."""
    if isinstance(error, DomainError):
        return error
    return Unavailable("The database did not answer in time. Nothing was changed; try again.")


def actor_of(request: HttpRequest) -> User:
    """Who does it; the admin lets nobody in who is not logged in."""
    assert isinstance(request.user, User)
    return request.user


class HouseAdmin(ModelAdmin):
    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True
    hidden: ClassVar[Sequence[str]] = ()

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [self._presented(name) for name in super().get_list_display(request)]

    def _presented(self, name: Any) -> str | Column:
        return presented(self.model, name) if isinstance(name, str) else name

    def shown_fields(self) -> list[Any]:
        """What a page that only shows has: `fields`, or every column but the hidden ones."""
        names = self.fields or [f.name for f in self.opts.concrete_fields if f.name not in self.hidden]
        return [self._presented(name) for name in names]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """For actions: Django's permission to change, even where no field can be edited."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}"))

    def has_set_limits_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Limits are set from several pages; Unfold would ask the database at start for a permission's name."""
        return bool(request.user.has_perm("portfolios.add_limitset"))

    def has_question_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What would it do, why did it not: these pages stand at the decisions."""
        return bool(request.user.has_perm("trading.view_decision"))

    def lead_to(self, name: str, *args: Any, **query: Any) -> HttpResponse:
        """A page of a room above, by the name of its address."""
        asked = f"?{urlencode(query)}" if query else ""
        return HttpResponseRedirect(f"{reverse(f'admin:{name}', args=args)}{asked}")

    def ask(self, request: HttpRequest, action: str, portfolio_id: UUID | None) -> None:
        """Raise Forbidden unless the table of roles lets him do this, in a portfolio or (None) in all of them.

        Django's permissions say which pages he has; what he does there he needs a role for, as over REST.
        """
        asked: Callable[[Any, str, UUID | None], None] = import_string(settings.ADMIN_ASKS)
        asked(request.user, action, portfolio_id)

    def may(self, request: HttpRequest, action: str, portfolio_id: UUID | None) -> bool:
        try:
            self.ask(request, action, portfolio_id)
        except Forbidden:
            return False
        return True

    def existing(self, request: HttpRequest, object_id: str) -> Any:
        """The row that an address names, or 404."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return row

    def run_each(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        service: Callable[[Any], object],
        *,
        action: str | None,
        done: str,
    ) -> None:
        """A list action: one service call, hence one transaction, for each row; each refusal is shown.

        action: of the table of roles, asked in the row's portfolio; None: the service asks for itself.
        """
        count = 0
        for row in rows:
            try:
                if action is not None:
                    self.ask(request, action, row.portfolio_id)
                service(row)
            except (DomainError, OperationalError) as error:
                self.message_user(request, f"{row}: {as_domain_error(error).detail}", messages.ERROR)
            else:
                count += 1
        if count:
            noun = self.opts.verbose_name if count == 1 else self.opts.verbose_name_plural
            self.message_user(request, f"{count} {noun} {done}.", messages.SUCCESS)

    def run_dialog(
        self,
        request: HttpRequest,
        object_id: str,
        service: Callable[[], object],
        *,
        action: str | None,
        portfolio_id: UUID | None = None,
        done: str,
    ) -> HttpResponse:
        """A dialog's submission: one service call, its outcome as a message on the row's page.

        action: of the table of roles, asked in the portfolio; None: the service asks for itself.
        """
        try:
            if action is not None:
                self.ask(request, action, portfolio_id)
            service()
        except (DomainError, OperationalError) as error:
            refusal = as_domain_error(error)
            texts = [fault_text(fault) for fault in refusal.errors or ()] or [refusal.detail]
            for text in texts:
                self.message_user(request, text, messages.ERROR)
        else:
            self.message_user(request, done, messages.SUCCESS)
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return HttpResponse(headers={"HX-Redirect": reverse(name, args=[object_id])})


class ReadOnlyAdmin(HouseAdmin):
    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return self.shown_fields()

    def get_fieldsets(
        self, request: HttpRequest, obj: Model | None = None
    ) -> list[tuple[Any, dict[str, Any]]]:
        return [
            (title, {**options, "fields": [self._line(line) for line in options["fields"]]})
            for title, options in super().get_fieldsets(request, obj)
        ]

    def _line(self, line: Any) -> Any:
        if isinstance(line, list | tuple):
            return tuple(self._presented(name) for name in line)
        return self._presented(line)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class LongListAdmin(ReadOnlyAdmin):
    """A table that grows for ever: pages without counting it."""

    paginator = InfinitePaginator


class ServiceForm(forms.ModelForm):
    """A form that leaves judging to the service, and shows what the service refused."""

    refusal: ClassVar[DomainError | None] = None
    # First step of a path in an error -> field of the form, where the names differ.
    paths: ClassVar[dict[str, str]] = {}

    def _post_clean(self) -> None:
        """Django would fill and check the model's row here; the service does, under its locks."""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.refusal is not None:
            self.show_faults(self.refusal.errors or [{"path": "", "message": self.refusal.detail}])
        return cleaned

    def show_faults(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Each fault with path, message and suggestion, at the field that the path begins with."""
        for fault in faults:
            first = _FIRST_STEP.match(fault.get("path") or "")
            name = first.group() if first else ""
            name = self.paths.get(name, name)
            known = name in self.fields and not self.fields[name].widget.is_hidden
            self.add_error(name if known else None, fault_text(fault))


class ServiceAdmin(HouseAdmin):
    """Add and change by services; subclasses write `carry_out`."""

    form = ServiceForm

    def carry_out(self, request: HttpRequest, form: Any, obj: Any) -> Model:
        """Call the service with the cleaned form; `obj` is None for a new one. May raise DomainError."""
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        stored = self.carry_out(request, form, obj if change else None)
        obj.__dict__.update(stored.__dict__)  # what follows (the log, the redirect) speaks of the stored row

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Refused by the service: everything is rolled back by then, and the form is shown with the reasons."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except (DomainError, OperationalError) as error:
            request.refusal = as_domain_error(error)  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.refusal = getattr(request, "refusal", None)  # a class of this request's own
        return form
