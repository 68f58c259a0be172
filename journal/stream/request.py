"""What a client asks for: which streams, and from where. Pure parsing; every refusal is a Close 4400."""

import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qs
from uuid import UUID

from journal.stream.closing import Close, CloseCode

QUERY_BYTES_MAX = 2048
FIRST_MESSAGE_CHARACTERS_MAX = 65_536
STREAMS_MAX = 1_000
_SEQ = re.compile(r"[0-9]{1,18}")
_SEQ_MAX = 10**18
_KNOWN = ("portfolio", "since", "ticket")


@dataclass(frozen=True)
class Query:
    """`portfolio` None: everything that the user may see; `since` None: from now on."""

    portfolio: UUID | None
    since: int | None


def ticket_in(query_string: bytes) -> str | None:
    """The ticket, whatever else the query holds: it must be spent even by a request that is refused."""
    return _parameters(query_string).get("ticket", [None])[0]


def parse_query(query_string: bytes) -> Query:
    """Of `portfolio={uuid}&since={seq}`; both may be missing, but `since` alone names no stream."""
    parameters = _parameters(query_string)
    for name in parameters:
        if name not in _KNOWN:  # passed over, a misspelt `since` would lose what happened since
            raise Close(CloseCode.BAD_REQUEST, f"known are {', '.join(_KNOWN)}, and not {name}")
    for name in ("portfolio", "since"):
        if len(parameters.get(name, [])) > 1:
            raise Close(CloseCode.BAD_REQUEST, f"{name} is given twice")
    portfolio = parameters["portfolio"][0] if "portfolio" in parameters else None
    since = parameters["since"][0] if "since" in parameters else None
    if since is not None and not _SEQ.fullmatch(since):
        raise Close(CloseCode.BAD_REQUEST, "since must be a sequence number, 0 or more")
    if since is not None and portfolio is None:
        raise Close(CloseCode.BAD_REQUEST, "since needs a portfolio; for all streams send a first message")
    return Query(
        portfolio=None if portfolio is None else _uuid(portfolio, "portfolio"),
        since=None if since is None else int(since),
    )


def parse_first_message(text: str | None) -> dict[UUID, int]:
    """Of `{"since": {"<stream>": <seq>, …}}`, the first message of a client that follows everything."""
    if text is None or len(text) > FIRST_MESSAGE_CHARACTERS_MAX:
        raise Close(CloseCode.BAD_REQUEST, "the first message must be a JSON text of reasonable size")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise Close(CloseCode.BAD_REQUEST, "the first message is not JSON") from None
    since = message.get("since") if isinstance(message, dict) else None
    if not isinstance(since, dict) or len(message) != 1:
        raise Close(CloseCode.BAD_REQUEST, 'the first message must be {"since": {stream: seq}}')
    if len(since) > STREAMS_MAX:
        raise Close(CloseCode.BAD_REQUEST, f"at most {STREAMS_MAX} streams")
    for stream, seq in since.items():
        if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq < _SEQ_MAX:
            raise Close(CloseCode.BAD_REQUEST, f"the seq of {stream} must be a number, 0 or more")
    return {_uuid(stream, "a stream"): seq for stream, seq in since.items()}


def _parameters(query_string: bytes) -> dict[str, list[str]]:
    if len(query_string) > QUERY_BYTES_MAX:
        raise Close(CloseCode.BAD_REQUEST, "the query is too long")
    try:
        return parse_qs(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=16)
    except ValueError:
        raise Close(CloseCode.BAD_REQUEST, "the query has too many parameters") from None


def _uuid(text: str, what: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Close(CloseCode.BAD_REQUEST, f"{what} must be a UUID") from None
