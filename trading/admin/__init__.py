"""Pages of broker accounts, decisions, protections, rests, trades, executions, halts and breaks."""

from trading.admin import connections, decisions, halts, protections, reconciliation, rests, trades

__all__ = ["connections", "decisions", "halts", "protections", "reconciliation", "rests", "trades"]
