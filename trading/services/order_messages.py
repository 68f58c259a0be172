"""Counting what is asked of brokers, for the limits on messages: when it is decided, under the portfolio's lock."""

from collections.abc import Iterable

from django.db import connection

from foundation.clock import database_now
from foundation.copying import copy_values
from trading.models import AutoTrade, OrderMessage


def count_messages(trades: Iterable[AutoTrade], kind: str) -> None:
    """One for each trade, as of now (database time)."""
    now = database_now()
    columns = ("portfolio_id", "account_id", "kind", "at")
    copy_values(
        OrderMessage, columns, [(trade.portfolio_id, trade.account_id, kind, now) for trade in trades]
    )


def forget_messages(*, minutes: int) -> int:
    """Those that no limit asks for any more; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM trading_ordermessage WHERE at < clock_timestamp() - make_interval(mins => %s)",
            [minutes],
        )
        return cursor.rowcount
