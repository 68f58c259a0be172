"""How a session does: its booked trades, and its portfolio's equity curve from its beginning to now, or to its end."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from django.db.models import Q

from foundation.core.money import ZERO, as_decimal, round_money
from foundation.errors import NotFound
from portfolios.models import EquityPoint
from portfolios.services.equity import equity_now
from sessions.models import TradingSession
from trading.core.performance import ClosedTrade, Curve, FilledPart, Measures, measure, slippage, summarise
from trading.models import AutoTrade, Execution
from trading.selectors.equity import equity_points_of

_RATIO = Decimal("0.0001")


class _Fill(NamedTuple):
    trade_id: uuid.UUID
    quantity: Decimal
    price: Decimal
    fee: Decimal
    realised: Decimal
    reversed_at: datetime | None
    reversal: Decimal


@dataclass
class _FilledTrade:
    """`standing`: its fills that were not reversed, whose fees are paid."""

    side: str
    decided: Decimal
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    standing: list[FilledPart] = field(default_factory=list)

    def add(self, fill: _Fill, *, until: datetime | None) -> None:
        self.realised += fill.realised
        if fill.reversed_at is not None and (until is None or fill.reversed_at <= until):
            self.realised += fill.reversal
            return
        self.fees += fill.fee
        self.standing.append(FilledPart(self.side, self.decided, fill.price, fill.quantity))

    def closed(self) -> ClosedTrade:
        of_itself = self.fees if self.side == "sell" else ZERO
        return ClosedTrade(side=self.side, realised=self.realised - of_itself, fee=self.fees)


def get_session_performance(session_id: uuid.UUID) -> dict[str, Any]:
    """Each figure of docs/performance.md, by its name; a handful of queries, however much it has traded.

    Of a session that has ended they stay as they were then: what its orders gain afterwards, as those that people
    placed may, was in what it held at its end. Money and ratios are Decimal, None where not known. Raises NotFound.
    """
    row = TradingSession.objects.filter(pk=session_id).first()
    if row is None:
        raise NotFound(f"There is no session {session_id}.")
    trades = _filled(row)
    points = list(equity_points_of(row).order_by("at", "id"))
    outside = _filled_outside(row, trades.keys(), points)
    now = equity_now(row.portfolio_id) if row.status in TradingSession.RUNNING else None
    if now is not None:
        points.append(now)
    # What a running session holds is worth what it is worth now, or it is not known.
    known = bool(points) and (now is not None or row.status == TradingSession.Status.STOPPED) and not outside
    unrealised = points[-1].unrealised_pnl - points[0].unrealised_pnl if known else None
    return {
        "session_id": row.id,
        **summarise([trade.closed() for trade in trades.values()], unrealised=unrealised),
        **_slippage([part for trade in trades.values() for part in trade.standing]),
        **_measures(points),
        "measured_from": points[0].at if points else None,
        "measured_to": points[-1].at if points else None,
    }


def _filled(row: TradingSession) -> dict[uuid.UUID, _FilledTrade]:
    """With a fill by the session's end.

    Joined here: the planner believes of a session that has grown fast that it is small, and joins row by row.
    """
    trades = AutoTrade.objects.filter(session=row, filled_quantity__gt=0)
    by_id = {
        key: _FilledTrade(*more) for key, *more in trades.values_list("id", "trade_type", "trigger_price")
    }
    rows = Execution.objects.filter(trade_id__within=by_id)
    if row.end_time is not None:
        rows = rows.filter(created_at__lte=row.end_time)
    found: dict[uuid.UUID, _FilledTrade] = {}
    for values in rows.values_list(
        "trade_id", "quantity", "price", "fee", "realised_pnl", "reversed_at", "reversal_pnl"
    ):
        fill = _Fill(*values)
        trade = found.setdefault(fill.trade_id, by_id[fill.trade_id])
        trade.add(fill, until=row.end_time)
    return found


def _filled_outside(
    row: TradingSession, trade_ids: Collection[uuid.UUID], points: Sequence[EquityPoint]
) -> bool:
    """Whether something was booked before the first point, or after the last and until the end: what it realised is
    in what was not realised yet at one of them, too, so that the two would count it twice, or not at all."""
    if not points:
        return bool(trade_ids)
    outside = Q(created_at__lt=points[0].noted_at)
    if row.end_time is not None:
        outside |= Q(created_at__gt=points[-1].noted_at, created_at__lte=row.end_time)
    return Execution.objects.filter(outside, trade_id__within=trade_ids).exists()


def _slippage(fills: Sequence[FilledPart]) -> dict[str, Any]:
    """Of every fill that stands; what was reversed has cost nothing."""
    found = slippage(fills)
    return {"slippage": round_money(found.cost), "slippage_bps": _ratio(found.bps)}


def _measures(points: Sequence[EquityPoint]) -> dict[str, Any]:
    found = measure(_curve(points)) if len(points) > 1 else Measures()
    percent = {
        "return_percentage": found.total_return,
        "max_drawdown_percentage": found.max_drawdown,
        "mean_exposure_percentage": found.mean_exposure,
        "max_exposure_percentage": found.max_exposure,
    }
    told = {name: _ratio(value * 100 if value is not None else None) for name, value in percent.items()}
    return told | {"sharpe_ratio": _ratio(found.sharpe)}


def _curve(points: Sequence[EquityPoint]) -> Curve:
    def column(name: str) -> Any:
        return np.array([float(getattr(point, name)) for point in points])

    return Curve([p.at for p in points], column("equity"), column("exposure"), column("paid_in"))


def _ratio(value: float | None) -> Decimal | None:
    return as_decimal(value).quantize(_RATIO) if value is not None else None
