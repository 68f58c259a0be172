"""The floor: a DRF list view of the trades with nothing around it. Served by the same uvicorn in its own process."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.api.bare_settings"

from django.core.asgi import get_asgi_application

application = get_asgi_application()
