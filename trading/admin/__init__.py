"""Pages of decisions, rests, trades, executions and halts."""

from trading.admin import decisions, halts, rests, trades

__all__ = ["decisions", "halts", "rests", "trades"]
