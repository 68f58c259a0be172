from django.conf import settings
from django.http import HttpRequest, JsonResponse

from foundation.heartbeats import is_silent
from foundation.tasks import BEAT

SILENT_SECONDS = 30.0


def health(request: HttpRequest) -> JsonResponse:
    """200 when this process can read the database; nothing secret, no login needed.

    It says whether celery-beat is heard, for whoever watches from outside: without it nobody else may be called. That
    is no fault of this process, which goes on to be asked.

    The header says which `make run` the process belongs to, if any: another server may have taken the port.
    """
    answer = _answer()
    if settings.RUN_ID:
        answer.headers["Autotrading-Run"] = settings.RUN_ID
    return answer


def _answer() -> JsonResponse:
    try:
        beat_silent = is_silent(component=BEAT, seconds=SILENT_SECONDS)
    except Exception as error:  # whatever fails here, the answer is the same: not healthy
        return JsonResponse({"status": "unavailable", "database": type(error).__name__}, status=503)
    return JsonResponse({"status": "ok", "beat": "silent" if beat_silent else "heard"})
