"""Why the server closes a socket: every code has one meaning, and a client knows what to do."""

from enum import IntEnum

REASON_BYTES_MAX = 120


class CloseCode(IntEnum):
    """4400 mend the request; 4401 log in again; 4403 wrong page; 4404 not yours; 4429 close other sockets first;
    else resume with since."""

    INTERNAL = 1011
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHENTICATED = 4401
    ORIGIN_REFUSED = 4403
    NOT_FOUND = 4404
    SLOW_CONSUMER = 4408
    TOO_MANY_SOCKETS = 4429


class Close(Exception):
    """End this connection with this code and reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
