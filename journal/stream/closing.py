"""Why the server closes a socket: every code has one meaning, and a client knows what to do."""

from collections.abc import Mapping
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


MEANINGS: Mapping[CloseCode, str] = {
    CloseCode.INTERNAL: "The journal is not in order: somebody tampered with it. Resume with since; tell the operator.",
    CloseCode.TRY_AGAIN_LATER: "The database does not answer. Resume with since after a while.",
    CloseCode.BAD_REQUEST: (
        "The request is wrong, and the reason says how. Mend it; the same again ends the same. A `since` beyond the "
        "stream's last event is wrong, too (the server was restored from a backup, or is another one): read the state "
        "anew over REST, and begin without `since`."
    ),
    CloseCode.UNAUTHENTICATED: "The login is missing, wrong, or valid no longer. Log in again.",
    CloseCode.ORIGIN_REFUSED: "A page of another origin may not use the visitor's login.",
    CloseCode.NOT_FOUND: "There is no such stream, or it is not yours to see (any more).",
    CloseCode.SLOW_CONSUMER: "You did not read for seconds. Resume with since: nothing is lost.",
    CloseCode.TOO_MANY_SOCKETS: "You have too many sockets open. Close one, then resume with since.",
}


class Close(Exception):
    """End this connection with this code and reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
