"""`Idempotency-Key`: the same POST sent twice has one effect and one answer.

The key's row is inserted first, in the transaction that does the work, so a concurrent twin waits
for the first to commit and then gets its answer. A failed request leaves no row: it may be retried. But a
refusal that is itself recorded (RecordedRefusal) is an answer like any other.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.problems import CONTENT_TYPE, problem_of
from foundation.errors import InvalidInput, RecordedRefusal, Unprocessable
from foundation.models import IdempotencyKey

HEADER = "Idempotency-Key"
KEY_LENGTH_MAX = 255


def _fingerprint(request: Request) -> str:
    body = json.dumps(request.data, sort_keys=True, default=str)
    return hashlib.sha256(f"{request.method} {request.path}\n{body}".encode()).hexdigest()


def _insert(*, user_id: int, key: str, fingerprint: str) -> bool:
    """True when the key is new; a key older than 24 hours is forgotten and counts as new."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM foundation_idempotencykey WHERE user_id = %s AND key = %s"
            " AND created_at < now() - interval '24 hours'",
            [user_id, key],
        )
        cursor.execute(
            "INSERT INTO foundation_idempotencykey (id, user_id, key, fingerprint, created_at)"
            " VALUES (gen_random_uuid(), %s, %s, %s, now()) ON CONFLICT (user_id, key) DO NOTHING",
            [user_id, key, fingerprint],
        )
        return cursor.rowcount == 1


def answer_once(request: Request, work: Callable[[], Response]) -> Response:
    """Run `work` once for this user and key, and give its stored answer from then on.

    Without the header the work is simply done. The same key with another body raises Unprocessable (422).
    """
    key = request.headers.get(HEADER)
    if key is None:
        return work()
    if not 0 < len(key) <= KEY_LENGTH_MAX:
        raise InvalidInput(f"{HEADER} must have 1 to {KEY_LENGTH_MAX} characters.")
    fingerprint = _fingerprint(request)
    assert request.user.is_authenticated
    user_id = request.user.pk
    with transaction.atomic():
        if not _insert(user_id=user_id, key=key, fingerprint=fingerprint):
            stored = IdempotencyKey.objects.get(user_id=user_id, key=key)
            if stored.fingerprint != fingerprint:
                raise Unprocessable(f"This {HEADER} was used for another request. Use a new one.")
            assert stored.status is not None
            return Response(
                stored.body, status=stored.status, headers={"Idempotent-Replayed": "true"},
                content_type=CONTENT_TYPE if stored.status >= 400 else None,
            )  # fmt: skip
        try:
            response = work()
        except RecordedRefusal as refusal:
            response = problem_of(refusal)
        body: Any = json.loads(JSONRenderer().render(response.data)) if response.data is not None else None
        IdempotencyKey.objects.filter(user_id=user_id, key=key).update(status=response.status_code, body=body)
    return response


class IdempotentPostMixin:
    """Makes `post` of an APIView idempotent by key. Put it before APIView in the bases.

    takes_idempotency_key = False: a POST that has the same effect when it is repeated, and whose work may not run in
    one transaction (it speaks to somebody over the network) or whose body may leave no trace (it holds a secret).
    """

    takes_idempotency_key = True

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        handler = getattr(self, "post", None)
        if handler is not None and self.takes_idempotency_key and not getattr(self, "_wrapped", False):

            def once(request: Request, *args: Any, **kwargs: Any) -> Response:
                return answer_once(request, lambda: handler(request, *args, **kwargs))

            self.post = once
            self._wrapped = True
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
