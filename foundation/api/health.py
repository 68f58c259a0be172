from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse


def health(request: HttpRequest) -> JsonResponse:
    """200 when this process can read the database; nothing secret, no login needed.

    The header says which `make run` the process belongs to, if any: another server may have taken the port.
    """
    answer = _answer()
    if settings.RUN_ID:
        answer.headers["Autotrading-Run"] = settings.RUN_ID
    return answer


def _answer() -> JsonResponse:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:  # whatever fails here, the answer is the same: not healthy
        return JsonResponse({"status": "unavailable", "database": type(error).__name__}, status=503)
    return JsonResponse({"status": "ok"})
