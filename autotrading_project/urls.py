from django.contrib import admin
from django.urls import include, path

from foundation.api.docs import Docs
from foundation.api.document import Schema
from foundation.api.health import health
from foundation.api.metrics import Metrics

admin.autodiscover()  # here, so that processes without a web page start without its forms

urlpatterns = [
    path("", include("console.urls")),
    path("admin/", admin.site.urls),
    path("health", health, name="health"),
    path("api/schema", Schema.as_view(), name="schema"),
    path("api/docs", Docs.as_view(), name="docs"),
    path("api/", include("foundation.api.urls")),
    path("api/", include("journal.api.urls")),
    path("api/", include("market.api.urls")),
    path("api/", include("portfolios.api.urls")),
    path("api/", include("rules.api.urls")),
    path("api/", include("sessions.api.urls")),
    path("api/", include("trading.api.urls")),
    path("metrics", Metrics.as_view(), name="metrics"),
]

handler404 = "foundation.api.problems.not_found"
handler500 = "foundation.api.problems.server_error"
