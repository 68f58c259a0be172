"""Expected errors, which a caller can understand and mend.

    DomainError
    ├── InvalidInput   400  the input breaks a rule; `errors` lists path, message, suggestion
    ├── Forbidden      403  known and visible, but not for this actor
    ├── NotFound       404  does not exist, or is not the caller's to see
    ├── Conflict       409  valid, but not in the present state
    ├── PreconditionFailed 412  changed since the caller looked at it
    ├── Unprocessable  422  understood and refused
    │   └── RecordedRefusal  …  and the refusal itself is written down, which stays
    └── Unavailable    503  cannot be decided now; try again

The API renders each as RFC 9457 problem details; the admin and the command line print the detail.
Anything else that is raised is a defect.
"""

from typing import Any


class DomainError(Exception):
    status = 400
    code = "error"
    title = "The request could not be carried out"
    wait: int | None = None  # seconds after which it is worth while to ask again

    def __init__(
        self,
        detail: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        code: str | None = None,
        wait: int | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.extra = extra
        if code is not None:
            self.code = code
        if wait is not None:
            self.wait = wait


class InvalidInput(DomainError):
    status, code, title = 400, "invalid_input", "The input is not valid"


class Forbidden(DomainError):
    status, code, title = 403, "forbidden", "This is not permitted"


class NotFound(DomainError):
    status, code, title = 404, "not_found", "There is no such thing"


class Conflict(DomainError):
    status, code, title = 409, "conflict", "This is not possible in the present state"


class PreconditionFailed(DomainError):
    status, code, title = 412, "changed_meanwhile", "It is not any more what you looked at"


class Unprocessable(DomainError):
    status, code, title = 422, "unprocessable", "The request was understood and refused"


class RecordedRefusal(Unprocessable):
    """Raised after its record is written: whoever catches it inside a transaction commits all the same."""

    code = "refused"


class Unavailable(DomainError):
    status, code, title = 503, "unavailable", "This cannot be done at the moment"
    wait = 1
