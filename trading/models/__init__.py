"""Decisions, what cooldowns count from, trades, executions, messages to brokers and halts.

`decisions` is the only writer of decisions, `cooldowns` of when a rule acted, `order_management` of a trade's
status and of counted messages, `bookkeeping` of executions, `emergency_stop` and `draining` of halts, `stop_audience`
of who is to hear of them, `protections` of positions' protections, `broker_messages` of what was said to brokers,
`reconciliation` and `breaks` of how the books compare, `reconciling_cash` of what brokers move outside of orders.
"""

from trading.models.decisions import Decision, RuleAct
from trading.models.halts import Halt, HaltNotice
from trading.models.messages import BrokerMessage, OrderMessage
from trading.models.performance import SessionPerformance
from trading.models.protections import Protection
from trading.models.reconciliation import BrokerActivity, Reconciliation, ReconciliationBreak
from trading.models.trades import AutoTrade, Execution, Side

__all__ = [
    "AutoTrade", "BrokerActivity", "BrokerMessage", "Decision", "Execution", "Halt", "HaltNotice", "OrderMessage",
    "Protection", "Reconciliation", "ReconciliationBreak", "RuleAct", "SessionPerformance", "Side",
]  # fmt: skip
