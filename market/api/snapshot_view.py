"""A snapshot's arrays as one object a symbol."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from market.core.recommendation import CLASS_NAMES
from market.core.snapshot import MarketSnapshot


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _moment(value: float) -> datetime | None:
    return datetime.fromtimestamp(float(value), tz=UTC) if math.isfinite(value) else None


def _advice(snapshot: MarketSnapshot, position: int) -> list[dict[str, Any]]:
    return [
        {
            "id": frame.ids[position],
            "source": source,
            "recommendation": CLASS_NAMES[int(frame.codes[position])],
            "confidence": float(frame.confidence[position]),
            "expected_return_percentage": _number(frame.expected_return[position]),
            "as_of": _moment(frame.as_of[position]),
        }
        for source, frame in sorted(snapshot.recommendations.items())
        if frame.ids[position] is not None
    ]


def symbols_of(snapshot: MarketSnapshot, wanted: Sequence[str] | None) -> list[dict[str, Any]]:
    """One mapping for each symbol (all, or those wanted that it has), for SnapshotSymbolSerializer."""
    chosen = snapshot.symbols if wanted is None else wanted
    positions = [(symbol, snapshot.index(symbol)) for symbol in chosen]
    return [
        {
            "symbol": symbol,
            "price": snapshot.price(symbol),
            "bid": snapshot.bid_price(symbol),
            "ask": snapshot.ask_price(symbol),
            "is_open": bool(snapshot.is_open[position]),
            "market_time": _moment(snapshot.market_time[position]),
            "received_at": _moment(snapshot.price_received_at[position]),
            "facts": {
                name: _number(snapshot.values[row, position]) for row, name in enumerate(snapshot.fields)
            },
            "recommendations": _advice(snapshot, position),
        }
        for symbol, position in positions
        if position is not None
    ]
