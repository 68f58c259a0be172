"""`Idempotency-Key`: the same POST sent twice has one effect and one answer.

The key's row is inserted first, in the transaction that does the work, so a concurrent twin waits
for the first to commit and then gets its answer. A failed request leaves no row: it may be retried. But a
refusal that is itself recorded (RecordedRefusal) is an answer like any other.

What is kept of a request is an HMAC, for a body may hold a password; and of an answer what a client needs: status,
body, ETag.
"""

import enum
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.problems import CONTENT_TYPE, problem_of
from foundation.core.sealing import KEY_BYTES, seal, unseal
from foundation.errors import Conflict, InvalidInput, RecordedRefusal, Unprocessable
from foundation.models import IdempotencyKey

HEADER = "Idempotency-Key"
KEY_LENGTH_MAX = 255
# Work that speaks over the network ends long before; whose process died may be repeated then.
WORK_SECONDS_MAX = 60
KEPT_HEADERS = ("ETag", "Location")
Work = Callable[[], Response]


class Keep(enum.Enum):
    """How the work and its first answer are kept."""

    ANSWER = "in one transaction, as it is"
    SEALED = "in one transaction, and sealed: it holds a secret"
    COMMITTED = (
        "before and after the work, which speaks to somebody over the network, outside of transactions"
    )


def _digest(user_id: int, purpose: str, text: str) -> bytes:
    message = f"idempotency|{purpose}|{user_id}|{text}".encode()
    return hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).digest()


def _fingerprint(request: Request) -> str:
    body = json.dumps(request.data, sort_keys=True, default=str)
    assert request.user.pk is not None
    return _digest(request.user.pk, "request", f"{request.method} {request.path}\n{body}").hex()


def _insert(*, user_id: int, key: str, fingerprint: str) -> bool:
    """True when the key is new; a key older than 24 hours is forgotten and counts as new."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM foundation_idempotencykey WHERE user_id = %s AND key = %s"
            " AND created_at < now() - interval '24 hours'",
            [user_id, key],
        )
        cursor.execute(
            "INSERT INTO foundation_idempotencykey (id, user_id, key, fingerprint, headers, created_at)"
            " VALUES (gen_random_uuid(), %s, %s, %s, '{}', now()) ON CONFLICT (user_id, key) DO NOTHING",
            [user_id, key, fingerprint],
        )
        return cursor.rowcount == 1


def answer_once(request: Request, work: Work, keep: Keep = Keep.ANSWER) -> Response:
    """Run `work` once for this user and key, and give its stored answer from then on.

    Without the header the work is simply done. The same key with another body raises Unprocessable (422); while the
    first is still at work (COMMITTED only), Conflict (409, `in_progress`).
    """
    key = request.headers.get(HEADER)
    if key is None:
        return work()
    if not 0 < len(key) <= KEY_LENGTH_MAX:
        raise InvalidInput(f"{HEADER} must have 1 to {KEY_LENGTH_MAX} characters.")
    assert request.user.is_authenticated
    kept = _Kept(request.user.pk, key, _fingerprint(request), keep)
    return kept.around(work) if keep is Keep.COMMITTED else kept.within(work)


class _Kept:
    """One key of one user."""

    def __init__(self, user_id: int, key: str, fingerprint: str, keep: Keep) -> None:
        self.user_id, self.key, self.fingerprint, self.keep = user_id, key, fingerprint, keep
        self.rows = IdempotencyKey.objects.filter(user_id=user_id, key=key)

    def within(self, work: Work) -> Response:
        with transaction.atomic():
            if not self._is_new():
                return self._again()
            response = self._answer_of(work)
            self._store(response)
        return response

    def around(self, work: Work) -> Response:
        with transaction.atomic():
            if not self._is_new() and not self._takes_over():
                return self._again()
            # From here on only what this claim has made: another may take it over.
            self.rows = self.rows.filter(created_at=self.rows.values_list("created_at", flat=True).get())
        try:
            response = self._answer_of(work)
        except BaseException:
            self.rows.filter(status=None).delete()
            raise
        self._store(response)
        return response

    def _is_new(self) -> bool:
        return _insert(user_id=self.user_id, key=self.key, fingerprint=self.fingerprint)

    def _takes_over(self) -> bool:
        """From one who died at work, once."""
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE foundation_idempotencykey SET created_at = clock_timestamp()"
                " WHERE user_id = %s AND key = %s AND fingerprint = %s AND status IS NULL"
                " AND created_at < clock_timestamp() - make_interval(secs => %s)",
                [self.user_id, self.key, self.fingerprint, WORK_SECONDS_MAX],
            )
            return cursor.rowcount == 1

    @staticmethod
    def _answer_of(work: Work) -> Response:
        try:
            return work()
        except RecordedRefusal as refusal:
            return problem_of(refusal)

    def _store(self, response: Response) -> None:
        rendered = JSONRenderer().render(response.data) if response.data is not None else None
        what: dict[str, Any] = {"status": response.status_code}
        what["headers"] = {name: response[name] for name in KEPT_HEADERS if name in response}
        if rendered is not None and self.keep is Keep.SEALED:
            what["sealed"] = seal(rendered, key=self._seal_key(), binding=self.fingerprint.encode())
        elif rendered is not None:
            what["body"] = json.loads(rendered)
        self.rows.update(**what)

    def _again(self) -> Response:
        stored = self.rows.get()
        if stored.fingerprint != self.fingerprint:
            raise Unprocessable(f"This {HEADER} was used for another request. Use a new one.")
        if stored.status is None:
            raise Conflict("The first request with this key is still at work.", code="in_progress", wait=1)
        body = stored.body
        if stored.sealed is not None:
            opened = unseal(
                bytes(stored.sealed), keys={"": self._seal_key()}, named="", binding=self.fingerprint.encode()
            )
            body = json.loads(opened)
        return Response(
            body, status=stored.status, headers=stored.headers | {"Idempotent-Replayed": "true"},
            content_type=CONTENT_TYPE if stored.status >= 400 else None,
        )  # fmt: skip

    def _seal_key(self) -> bytes:
        """Made of SECRET_KEY, which is not in the database, for this user and key alone."""
        return _digest(self.user_id, "answer", self.key)[:KEY_BYTES]


class IdempotentPostMixin:
    """Makes `post` of an APIView idempotent by key. Put it before APIView in the bases."""

    idempotency = Keep.ANSWER

    def before_key(self, request: Request) -> None:
        """What must be asked each time, before a stored answer is looked for, and is not rolled back with the work."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        handler = getattr(self, "post", None)
        if handler is not None and not getattr(self, "_wrapped", False):

            def once(request: Request, *args: Any, **kwargs: Any) -> Response:
                self.before_key(request)
                return answer_once(request, lambda: handler(request, *args, **kwargs), self.idempotency)

            self.post = once
            self._wrapped = True
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
