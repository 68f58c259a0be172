"""The description of the API: as text for a file, and at `/api/schema`."""

import json
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer2, OpenApiYamlRenderer2
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


@cache
def document() -> dict[str, Any]:
    """The same for everybody, as long as the process runs: making it takes a second of work."""
    generator_class: type[SchemaGenerator] = spectacular_settings.DEFAULT_GENERATOR_CLASS
    made: dict[str, Any] = generator_class().get_schema(request=None, public=True)
    return made


def openapi_json() -> str:
    """The same text whoever makes it, so that a difference is a change of the API."""
    return json.dumps(document(), indent=1, sort_keys=True, ensure_ascii=False, default=str) + "\n"


@extend_schema(exclude=True)
class Schema(APIView):
    """JSON, or YAML for who asks for it (`Accept: application/yaml`, `?format=yaml`)."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    renderer_classes = (OpenApiJsonRenderer2, OpenApiYamlRenderer2)

    def get(self, request: Request) -> Response:
        return Response(document())
