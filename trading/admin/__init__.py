"""Pages of broker accounts, decisions, protections, rests, trades, executions and halts."""

from trading.admin import connections, decisions, halts, protections, rests, trades

__all__ = ["connections", "decisions", "halts", "protections", "rests", "trades"]
