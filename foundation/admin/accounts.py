"""People, groups and API tokens. A user is never deleted, for the books name him: he is made inactive."""

from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from knox.admin import AuthTokenAdmin as KnoxTokenAdmin
from knox.models import AuthToken
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from foundation.admin.base import ReadOnlyAdmin
from foundation.models import ServiceAccount

assert KnoxTokenAdmin is not None  # its import registers the page that is replaced here
for model in (User, Group, AuthToken):
    admin.site.unregister(model)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "first_name",
        "last_name",
        "is_active",
        "is_staff",
        "is_superuser",
        "last_login",
    )

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass


@admin.register(AuthToken)
class TokenAdmin(ReadOnlyAdmin):
    """A token is made by logging in or over the API; deleting it revokes it at once."""

    list_display = ("user", "label", "created", "expiry")
    list_select_related = ("user", "label")
    search_fields = ("user__username", "label__name")
    fields = ("user", "label", "created", "expiry")
    ordering = ("-created",)

    def has_delete_permission(self, request: HttpRequest, obj: AuthToken | None = None) -> bool:
        return bool(request.user.has_perm("knox.delete_authtoken"))


@admin.register(ServiceAccount)
class ServiceAccountAdmin(ReadOnlyAdmin):
    """Programs' users; made and given tokens over the API."""

    list_display = ("user", "description", "created_by", "created_at")
    list_select_related = ("user", "created_by")
    search_fields = ("user__username", "description")


@admin.register(AccessAttempt)
class FailedLoginAdmin(ReadOnlyAdmin):
    """Names that failed to log in, and from where; deleting a row unlocks that name there."""

    list_display = ("username", "ip_address", "failures_since_start", "attempt_time")
    search_fields = ("username", "ip_address")
    fields = ("username", "ip_address", "user_agent", "failures_since_start", "attempt_time")
    ordering = ("-attempt_time",)

    def has_delete_permission(self, request: HttpRequest, obj: AccessAttempt | None = None) -> bool:
        return bool(request.user.has_perm("axes.delete_accessattempt"))
