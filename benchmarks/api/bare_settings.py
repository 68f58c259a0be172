"""The product's database and models, and no middleware, authentication, permission, throttle or problem document."""

from autotrading_project.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.api.bare_urls"
MIDDLEWARE = []
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
