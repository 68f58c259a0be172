"""`ETag` and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1): nobody overwrites a change that he has not seen.

A tag tells of what can be changed, and of nothing else: a fill does not change a session's. Whoever sends none changes
what he finds, as specified. Compared is under the lock that the change needs, in its transaction; a comparison before
it would let two clients through with the same tag.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.errors import InvalidInput, PreconditionFailed

HEADER = "If-Match"
_TAG_CHARACTERS = 24
_TAGS = re.compile(r'\s*"[^"]*"\s*(,\s*"[^"]*"\s*)*')


def etag(*parts: Any) -> str:
    """A strong tag of what these parts say."""
    text = json.dumps(parts, default=str, separators=(",", ":"))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:_TAG_CHARACTERS]}"'


def tagged(response: Response, tag: str) -> Response:
    response["ETag"] = tag
    return response


def expected(request: Request) -> set[str] | None:
    """The tags of which the thing must have one; None: none was named, or any will do (`*`). Raises InvalidInput."""
    header = request.headers.get(HEADER)
    if header is None or header.strip() == "*":
        return None
    if not _TAGS.fullmatch(header):
        told = (
            f'{HEADER} must be * or tags as ETag gave them, in double quotes: "…", "…". Weak ones are none.'
        )
        raise InvalidInput(told, errors=[{"path": HEADER, "message": told}])
    return {f'"{tag}"' for tag in re.findall(r'"([^"]*)"', header)}


@contextmanager
def unchanged(request: Request, *, lock: Callable[[], object], current: Callable[[], str]) -> Iterator[None]:
    """Within it the thing stays as it is but for what is done there. `lock` is the first that the change itself takes.

    Raises InvalidInput (the header), PreconditionFailed with the present tag.
    """
    wanted = expected(request)
    if wanted is None:
        yield
        return
    with transaction.atomic():
        lock()
        tag = current()
        if tag not in wanted:
            raise PreconditionFailed(
                "It was changed meanwhile: look at it as it is now, and send the change with its present ETag.",
                etag=tag,
            )
        yield
