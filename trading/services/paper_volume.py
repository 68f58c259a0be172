"""What paper orders have had already of the volume that limits them."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from foundation.arrays import array_text
from foundation.loading import selected
from market.core.snapshot import MarketSnapshot
from trading.models import AutoTrade

INSTANT = timedelta(microseconds=1)
Key = tuple[uuid.UUID, int]
"""portfolio and instrument"""

_TAKEN = """
    SELECT n.portfolio_id, n.instrument_id, sum(t.amount)
    FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[]) AS n (portfolio_id, instrument_id, since)
    JOIN ledger_transfers t ON t.instrument_id = n.instrument_id AND t.portfolio_id = n.portfolio_id
        AND t.market_at > n.since AND t.kind = 'fill'
    GROUP BY n.portfolio_id, n.instrument_id
"""


def key_of(trade: AutoTrade) -> Key:
    return trade.portfolio_id, trade.instrument_id


def taken_since_bar(trades: Sequence[AutoTrade], *, snapshot: MarketSnapshot) -> dict[Key, Decimal]:
    """Units that the portfolios of these trades have traded, on either side, after the last bar of the instrument
    completed, whose volume it is: those alone that a limit of the volume holds for, and that traded at all. What was
    filled at the bar's very close had of the volume of the bar before. What was reversed since counts still.

    All orders of a portfolio share it, as in zipline's `VolumeShareSlippage`: splitting an order gains nothing. Where
    the time of the bar is not known it is what they had on this snapshot. One query, or none.
    """
    limited = {key_of(trade) for trade in trades if trade.account.volume_limit_percentage}
    if not limited:
        return {}
    ordered = sorted(limited)
    since = _bars_completed_at(snapshot, {instrument_id for _, instrument_id in ordered})
    rows = selected(
        _TAKEN,
        [
            array_text([portfolio_id for portfolio_id, _ in ordered]),
            array_text([instrument_id for _, instrument_id in ordered]),
            [since.get(instrument_id, snapshot.as_of - INSTANT) for _, instrument_id in ordered],
        ],
    )
    return {(portfolio_id, instrument_id): taken for portfolio_id, instrument_id, taken in rows}


def _bars_completed_at(snapshot: MarketSnapshot, instrument_ids: set[int]) -> dict[int, datetime]:
    return {
        instrument_id: datetime.fromtimestamp(float(at), UTC)
        for instrument_id, at in zip(snapshot.instrument_ids, snapshot.bar_at[1], strict=True)
        if instrument_id in instrument_ids and at == at  # NaN is not itself
    }
