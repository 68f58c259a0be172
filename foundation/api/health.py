import math

from django.conf import settings
from django.http import HttpRequest, JsonResponse

from foundation.heartbeats import ages_seconds
from foundation.tasks import BEAT

SILENT_SECONDS = 30.0
# Who cannot be told of by those whom they would have to wake: without beat nobody else may be called, and without that
# worker no alert leaves the installation.
WATCHED = {"beat": BEAT, "alerts": "worker.notification"}


def health(request: HttpRequest) -> JsonResponse:
    """200 when this process can read the database; nothing secret, no login needed.

    It says whether celery-beat and the worker that delivers alerts are heard, for whoever watches from outside. That is
    no fault of this process, which goes on to be asked.

    The header says which `make run` the process belongs to, if any: another server may have taken the port.
    """
    answer = _answer()
    if settings.RUN_ID:
        answer.headers["Autotrading-Run"] = settings.RUN_ID
    return answer


def _answer() -> JsonResponse:
    try:
        ages = ages_seconds()
    except Exception as error:  # whatever fails here, the answer is the same: not healthy
        return JsonResponse({"status": "unavailable", "database": type(error).__name__}, status=503)
    heard = {
        name: "heard" if ages.get(component, math.inf) <= SILENT_SECONDS else "silent"
        for name, component in WATCHED.items()
    }
    return JsonResponse({"status": "ok", **heard})
