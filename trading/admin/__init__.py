"""Pages of decisions, protections, rests, trades, executions, halts and breaks."""

from trading.admin import decisions, halts, protections, reconciliation, rests, trades

__all__ = ["decisions", "halts", "protections", "reconciliation", "rests", "trades"]
