"""Pages of decisions, protections, rests, trades, executions and halts."""

from trading.admin import decisions, halts, protections, rests, trades

__all__ = ["decisions", "halts", "protections", "rests", "trades"]
