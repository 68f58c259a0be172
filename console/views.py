"""One page over the public API: it has no data of its own, so it can show nothing that the API would not.

It has its own login, because a trader or a risk officer need not be staff of the admin.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

View = Callable[..., HttpResponseBase]


def strictly_ours(view: View) -> View:
    """Nothing but our own files and our own API: a script that got into the page could not run."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        scheme = "wss" if request.is_secure() else "ws"  # older Safari does not count sockets to 'self'
        response["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            f"connect-src 'self' {scheme}://{request.get_host()}; form-action 'self'; base-uri 'none'; "
            f"frame-ancestors 'none'"
        )
        return response

    return guarded


@strictly_ours
@never_cache
@require_safe
@ensure_csrf_cookie
@login_required(login_url="console-login")
def console(request: HttpRequest) -> HttpResponse:
    return render(request, "console/console.html")


login: View = strictly_ours(
    LoginView.as_view(
        template_name="console/login.html", next_page="console", redirect_authenticated_user=True
    )
)
logout: View = strictly_ours(LogoutView.as_view(next_page="console-login"))
