"""What was said to brokers and what they answered: the only writer of `BrokerMessage`."""

from datetime import datetime

from foundation.clock import database_now
from trading.models import AutoTrade, BrokerMessage

Kind = BrokerMessage.Kind
OUTCOME_CHARACTERS_MAX = 20
DETAIL_CHARACTERS_MAX = 255


def note_message(
    trade: AutoTrade, kind: str, outcome: str, *, detail: str = "", sent_at: datetime | None = None
) -> None:
    """One exchange about a trade, in the transaction that records its outcome. sent_at: database time, None where
    the broker spoke first."""
    BrokerMessage.objects.create(
        trade=trade, kind=kind, attempt=trade.attempt, outcome=outcome[:OUTCOME_CHARACTERS_MAX],
        detail=detail[:DETAIL_CHARACTERS_MAX], sent_at=sent_at, answered_at=database_now(),
    )  # fmt: skip
