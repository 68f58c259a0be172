"""Decisions, what cooldowns count from, trades, executions, messages to brokers and halts.

`decisions` is the only writer of decisions, `cooldowns` of when a rule acted, `order_management` of a trade's
status and of messages, `bookkeeping` of executions, `emergency_stop` of halts, `protections` of positions' protections.
"""

from trading.models.decisions import Decision, RuleAct
from trading.models.halts import Halt
from trading.models.messages import OrderMessage
from trading.models.protections import Protection
from trading.models.trades import AutoTrade, Execution, Side

__all__ = ["AutoTrade", "Decision", "Execution", "Halt", "OrderMessage", "Protection", "RuleAct", "Side"]
