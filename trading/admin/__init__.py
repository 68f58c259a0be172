"""Pages of broker accounts, decisions, performance, protections, rests, trades, executions, halts and breaks."""

from trading.admin import (
    connections,
    decisions,
    halts,
    performance,
    protections,
    reconciliation,
    rests,
    trades,
)

__all__ = [
    "connections",
    "decisions",
    "halts",
    "performance",
    "protections",
    "reconciliation",
    "rests",
    "trades",
]
