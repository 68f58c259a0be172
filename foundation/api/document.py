"""`/api/schema` as text for a file: the same whoever makes it, so that a difference is a change of the API."""

import json

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import spectacular_settings


def openapi_json() -> str:
    generator_class: type[SchemaGenerator] = spectacular_settings.DEFAULT_GENERATOR_CLASS
    document = generator_class().get_schema(request=None, public=True)
    # drf-spectacular's own rendering turns lazy texts to plain ones in the same way.
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, default=str) + "\n"
