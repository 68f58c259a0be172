"""A portfolio as an evaluation saw it at a moment that is over, rebuilt: never read back from what was told then.

Cash and positions are the ledger's, replayed up to the moment; reservations, marks and splits on their way are as they
stood (`portfolios.past`). The rows go into the very functions that made the facts then (`trading.services.facts`).
"""

import copy
import math
import uuid
from decimal import Decimal

from foundation.core.money import ZERO
from foundation.loading import new
from foundation.moments import Moment
from market.core.snapshot import MarketSnapshot
from portfolios.models import Portfolio, Position, Reservation
from portfolios.past import mark_at, peaks_at, reservations_at, unsettled_splits_at
from trading.services.facts import OwnedRows
from trading.services.replaying import OwnedThen, owned_then


def owned_at(portfolio: Portfolio, moment: Moment, *, snapshot: MarketSnapshot) -> OwnedRows:
    """Seven queries, two of which pass over the portfolio's ledger. Realised profits are no facts, and are not told."""
    told = owned_then(portfolio.id, moment)
    reservations = reservations_at(portfolio.id, moment)
    positions = _positions(portfolio.id, told, reservations)
    mark = mark_at(portfolio.id, moment)
    return OwnedRows(
        portfolios={portfolio.id: _portfolio(portfolio, told, reservations)},
        positions={portfolio.id: positions},
        reservations={portfolio.id: reservations},
        marks={} if mark is None else {portfolio.id: mark},
        peaks=peaks_at([row.id for row in positions], moment),
        unsettled=unsettled_splits_at(
            portfolio.id, moment, quoted=_quoted(positions, snapshot), as_of=snapshot.as_of
        ),
    )


def _quoted(positions: list[Position], snapshot: MarketSnapshot) -> dict[int, float | None]:
    """When each of what was held was last quoted; None where it never was."""
    known = dict(zip(snapshot.instrument_ids, snapshot.market_time.tolist(), strict=True))
    at = {row.instrument_id: known.get(row.instrument_id, math.nan) for row in positions}
    return {key: None if math.isnan(moment) else moment for key, moment in at.items()}


def _portfolio(portfolio: Portfolio, told: OwnedThen, reservations: list[Reservation]) -> Portfolio:
    then = copy.copy(portfolio)
    then.cash, then.realised_pnl = told.cash, ZERO
    then.reserved_cash = sum((row.cash for row in reservations), ZERO)
    return then


def _positions(portfolio_id: uuid.UUID, told: OwnedThen, reservations: list[Reservation]) -> list[Position]:
    """What was held; a position's row, once there, stays, and with it the id that its mark names."""
    ids = dict(Position.objects.filter(portfolio_id=portfolio_id).values_list("instrument_id", "id"))
    promised: dict[int, Decimal] = {}
    for row in reservations:
        promised[row.instrument_id] = promised.get(row.instrument_id, ZERO) + row.quantity
    return [
        new(
            Position, id=ids[key], portfolio_id=portfolio_id, instrument_id=key, quantity=state.quantity,
            reserved_quantity=promised.get(key, ZERO), cost=state.cost, average_cost=state.average_cost,
            opened_at=state.opened_at,
        )
        for key, state in told.positions.items()
    ]  # fmt: skip
