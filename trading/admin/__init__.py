"""Pages of decisions, trades, executions and halts."""

from trading.admin import decisions, halts, trades

__all__ = ["decisions", "halts", "trades"]
