"""How a session does: from its booked trades, and from the equity curve of its portfolio while it ran. Pure.

Money is summed exactly; ratios are float64. docs/performance.md tells of each figure what it is and when it is None.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foundation.core.money import ZERO

Floats = NDArray[np.float64]

DAYS_A_YEAR = 252
SHARPE_DAYS_MIN = 20
# Below this a deviation of daily returns is rounding, not risk.
DEVIATION_MIN = 1e-12


@dataclass(frozen=True)
class ClosedTrade:
    """Realised profit of one filled sell in currency, after its own fee; fees of any filled trade.

    A buy realises nothing, unless its fill was reversed when not all of its units could carry their cost.
    """

    side: str
    realised: Decimal
    fee: Decimal


def summarise(trades: Sequence[ClosedTrade], *, unrealised: Decimal | None) -> dict[str, Any]:
    """Counts, profit and win rate. `unrealised` None: it is not known.

    win_rate = winning sells / sells; profit_factor = Σ gains / Σ losses, None without a loss.
    """
    sells = [trade for trade in trades if trade.side == "sell"]
    gains = sum((t.realised for t in sells if t.realised > 0), ZERO)
    losses = -sum((t.realised for t in sells if t.realised < 0), ZERO)
    of_buys = sum((t.realised - t.fee for t in trades if t.side == "buy"), ZERO)
    return {
        "total_trades": len(trades),
        "successful_trades": sum(1 for t in sells if t.realised > 0),
        "realised_pnl": gains - losses + of_buys,
        "unrealised_pnl": unrealised,
        "fees": sum((t.fee for t in trades), ZERO),
        "win_rate": (Decimal(sum(1 for t in sells if t.realised > 0)) / len(sells)).quantize(
            Decimal("0.0001")
        )
        if sells
        else None,
        "profit_factor": (gains / losses).quantize(Decimal("0.0001")) if losses else None,
    }


@dataclass(frozen=True)
class FilledPart:
    """One fill beside the price that its trade was decided on; in currency and units."""

    side: str
    decided: Decimal
    executed: Decimal
    quantity: Decimal


@dataclass(frozen=True)
class Slippage:
    """What it cost (positive) or gained to be filled at other prices than those decided on."""

    cost: Decimal
    bps: float | None
    """of the value at the decided prices; None without a fill"""


def slippage(fills: Sequence[FilledPart]) -> Slippage:
    """Implementation shortfall of what was filled (Perold, 1988), fees apart: Σ ±(executed - decided) × quantity."""
    cost = sum(((f.executed - f.decided) * f.quantity * (1 if f.side == "buy" else -1) for f in fills), ZERO)
    decided = sum((f.decided * f.quantity for f in fills), ZERO)
    return Slippage(cost, float(cost / decided * 10_000) if decided > 0 else None)


@dataclass(frozen=True)
class Curve:
    """float64[n], in the order of time: what the portfolio was worth, what of it was invested, and what had been paid
    in until then, in currency."""

    at: Sequence[datetime]
    equity: Floats
    exposure: Floats
    paid_in: Floats

    def __post_init__(self) -> None:
        shapes = {array.shape for array in (self.equity, self.exposure, self.paid_in)}
        assert shapes == {(len(self.at),)}, f"{len(self.at)} moments, and arrays of {shapes}"


@dataclass(frozen=True)
class Measures:
    """Fractions; None where there is nothing to measure."""

    total_return: float | None = None
    max_drawdown: float | None = None
    sharpe: float | None = None
    mean_exposure: float | None = None
    max_exposure: float | None = None


def measure(curve: Curve) -> Measures:
    """Of the whole curve."""
    index = linked(returns(curve.equity, curve.paid_in))
    mean, most = exposure(curve.exposure, curve.equity)
    had_capital = bool((curve.equity[:-1] > 0).any())
    return Measures(
        total_return=float(index[-1] - 1.0) if had_capital else None,
        max_drawdown=max_drawdown(index) if had_capital else None,
        sharpe=sharpe(by_day(curve.at, index)),
        mean_exposure=mean,
        max_exposure=most,
    )


def returns(equity: ArrayLike, paid_in: ArrayLike) -> Floats:
    """float64[n-1], time-weighted: (E_t - ΔF_t) / E_{t-1} - 1, so that what is paid in or out is no profit.

    A flow counts as having come at the end of its step. 0 where there was no capital that could have earned.
    """
    worth, flows = np.asarray(equity, dtype=np.float64), np.diff(np.asarray(paid_in, dtype=np.float64))
    before, after = worth[:-1], worth[1:] - flows
    made = np.divide(after, before, out=np.ones_like(before), where=before > 0) - 1.0
    return np.maximum(made, -1.0)


def linked(steps: Floats) -> Floats:
    """float64[n+1]: what a unit of money has become; it begins at 1."""
    return np.concatenate(([1.0], np.cumprod(1.0 + steps)))


def max_drawdown(index: Floats) -> float:
    """The deepest fall from a peak, as a fraction of the peak: 0 where it never fell."""
    return float(np.max(1.0 - index / np.maximum.accumulate(index)))


def by_day(at: Sequence[datetime], index: Floats) -> Floats:
    """float64[d-1]: returns from one UTC day's last value to the next day's that has one."""
    days = np.array([moment.astimezone(UTC).date().toordinal() for moment in at])
    last = index[np.append(np.flatnonzero(np.diff(days)), len(days) - 1)] if len(days) else index[:0]
    before = last[:-1]
    return np.divide(last[1:], before, out=np.ones_like(before), where=before > 0) - 1.0


def sharpe(daily: Floats) -> float | None:
    """Mean over standard deviation (ddof 1) of daily returns, × √252; without a risk-free rate.

    None below 20 days, and where they do not deviate.
    """
    if len(daily) < SHARPE_DAYS_MIN:
        return None
    deviation = float(np.std(daily, ddof=1))
    if deviation <= DEVIATION_MIN:
        return None
    return float(np.mean(daily)) / deviation * float(np.sqrt(DAYS_A_YEAR))


def exposure(invested: Floats, equity: Floats) -> tuple[float | None, float | None]:
    """(mean, most) of what was invested, as a fraction of equity, over the points at which there was any."""
    some = equity > 0
    if not some.any():
        return None, None
    share = invested[some] / equity[some]
    return float(share.mean()), float(share.max())
