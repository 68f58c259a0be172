"""One-time tickets for the WebSocket: browsers cannot send an Authorization header with it."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from foundation.clock import database_now
from journal.models import StreamTicket

TICKET_SECONDS = 30
TICKET_LENGTH_MAX = 128


@dataclass(frozen=True)
class Credential:
    """What a client proved itself with; asked about again and again while its socket is open."""

    user_id: int
    token_digest: str = ""
    session_key: str = ""


def issue_ticket(*, credential: Credential) -> str:
    """A ticket that opens one socket within TICKET_SECONDS. Only its hash is stored."""
    now = database_now()
    StreamTicket.objects.filter(expires_at__lt=now).delete()
    ticket = secrets.token_urlsafe(32)
    StreamTicket.objects.create(
        ticket_hash=_hash(ticket),
        user_id=credential.user_id,
        token_digest=credential.token_digest,
        session_key=credential.session_key,
        expires_at=now + timedelta(seconds=TICKET_SECONDS),
    )
    return ticket


def redeem_ticket(*, ticket: str) -> Credential | None:
    """The credential behind a ticket, once; None when it is unknown, used or too old."""
    if len(ticket) > TICKET_LENGTH_MAX:
        return None
    row = StreamTicket.objects.filter(pk=_hash(ticket)).first()
    if row is None:
        return None
    deleted, _ = StreamTicket.objects.filter(pk=row.pk).delete()
    if deleted != 1 or row.expires_at <= database_now():  # of two who try, one deletes the row
        return None
    return Credential(user_id=row.user_id, token_digest=row.token_digest, session_key=row.session_key)


def _hash(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
