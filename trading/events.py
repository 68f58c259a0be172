"""What the trading room tells the journal: decisions, orders and their fills, stops, brokers."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, NotRequired, TypedDict
from uuid import UUID

from journal.core.kinds import EITHER, PLATFORM, EventKind, register
from portfolios.models import BrokerAccount
from trading.brokers.protocol import ActivityKind
from trading.core.breakers import Breaker
from trading.core.order_states import OrderState
from trading.core.orders import OrderType, TimeInForce
from trading.core.protections import Kind as ProtectionKind
from trading.models import AutoTrade, Decision, Halt, ReconciliationBreak

Side = Literal["buy", "sell"]


class DecisionMade(TypedDict):
    """A rule triggered; `GET /api/auto-trading/decisions/{id}/details` tells why it came to this `outcome`."""

    decision_id: UUID
    session_id: UUID | None
    rule_id: UUID | None
    symbol: str | None
    outcome: Decision.Outcome
    code: str
    detail: str


class RuleAlerted(TypedDict):
    rule_id: UUID | None
    symbol: str | None
    message: str


class Trade(TypedDict):
    """What every event about a trade tells; `status` is the one that it has then."""

    trade_id: UUID
    client_order_id: str
    session_id: UUID | None
    rule_id: UUID | None
    symbol: str
    trade_type: Side
    quantity: Decimal
    status: OrderState
    origin: AutoTrade.Origin
    order_type: OrderType
    time_in_force: TimeInForce
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail_percentage: Decimal | None


class TradeCreated(Trade):
    trigger_price: Decimal


class TradeSubmitting(Trade):
    attempt: int


class _PerhapsFilled(Trade):
    """With a fill, as in `trade.filled`, where that is what moved it, or came with or after its end."""

    execution_id: NotRequired[str]
    fill_quantity: NotRequired[Decimal]
    fill_price: NotRequired[Decimal]
    fee: NotRequired[Decimal]
    filled_quantity: NotRequired[Decimal]
    executed_price: NotRequired[Decimal]
    realised_pnl: NotRequired[Decimal | None]


class TradeTold(_PerhapsFilled):
    """`reason` says why; with the broker's id and who told it (`told_by`) where a broker did."""

    reason: NotRequired[str]
    broker_order_id: NotRequired[str]
    told_by: NotRequired[str]


class TradeEnded(_PerhapsFilled):
    """With `actor` and `explanation` where a person ended it, and the broker's id that it was known by. Instead of a
    `reason` it has a fill where that came with or after its end."""

    reason: NotRequired[str]
    actor: NotRequired[str]
    explanation: NotRequired[str]
    broker_order_id: NotRequired[str]


class TradeTriggered(Trade):
    """`best_price` is what a trailing stop has followed."""

    best_price: Decimal | None


class TradeFilled(Trade):
    """`fill_quantity` at `fill_price` now, `filled_quantity` at `executed_price` on average so far; `realised_pnl` of
    a sell, before its fee."""

    execution_id: str
    fill_quantity: Decimal
    fill_price: Decimal
    fee: Decimal
    filled_quantity: Decimal
    executed_price: Decimal
    realised_pnl: Decimal | None


class TradePartiallyFilled(_PerhapsFilled):
    """A fill, as in `trade.filled`; or with `reason`, that it works on although it was to be cancelled."""

    reason: NotRequired[str]
    broker_order_id: NotRequired[str]
    told_by: NotRequired[str]


class PositionChanged(TypedDict):
    """What is held then, at `cost` in all and `average_cost` a unit; `cash` is the portfolio's."""

    symbol: str
    quantity: Decimal
    cost: Decimal
    average_cost: Decimal
    realised_pnl: Decimal
    cash: Decimal


class Reason(TypedDict):
    reason: str


class Nothing(TypedDict):
    """The kind says it all."""


class FlattenRefused(TypedDict):
    session_id: UUID
    symbol: str
    code: str
    detail: str


class ProtectionSet(TypedDict):
    """Percentages of the average cost and of the peak; null: no such threshold. `trade_id` where a trade brought it."""

    protection_id: UUID
    symbol: str
    actor: str
    trade_id: UUID | None
    stop_loss_percentage: Decimal | None
    take_profit_percentage: Decimal | None
    trailing_stop_percentage: Decimal | None


class ProtectionRemoved(TypedDict):
    protection_id: UUID
    symbol: str
    reason: str


class ProtectionReached(TypedDict):
    """`trade_id` is that of the sell; null where it was refused, by `code`."""

    protection_id: UUID
    decision_id: UUID
    symbol: str
    protection: ProtectionKind
    percentage: Decimal
    threshold: Decimal
    price: Decimal
    quantity: Decimal
    code: str
    detail: str
    trade_id: UUID | None


class Stop(TypedDict):
    """An emergency stop. `scope_id` is empty for the platform, else an id or a symbol; `numbers` are what the
    `breaker` measured, and its limit."""

    halt_id: UUID
    scope: Halt.Scope
    scope_id: str
    mode: Halt.Mode
    reason: str
    actor: str
    rule_id: UUID | None
    breaker: NotRequired[Breaker]
    episode: NotRequired[str]
    numbers: NotRequired[dict[str, Any]]


class NotDrained(TypedDict):
    halt_ids: list[UUID]
    reason: str


class SliceFailing(TypedDict):
    slice_id: int
    failures: int
    reason: str


class VersionRequired(TypedDict):
    """Null: any version may trade."""

    version: str | None
    before: str | None
    actor: str


class VersionMismatch(TypedDict):
    """`members` are the live processes that trade nothing."""

    version: str
    required: str
    members: list[str]


class ProcessMissing(TypedDict):
    """`last_sign`: of any process of the component, in database time."""

    component: str
    last_sign: datetime


class ClockOff(TypedDict):
    """At least; below 0 the machine's clock is behind the database's."""

    host: str
    ahead_seconds: Decimal


class BrokerBreak(TypedDict):
    """Where the broker and our books differ: `key` is what it is about, an order's id, a symbol or a currency."""

    break_id: UUID
    account_id: UUID
    kind: ReconciliationBreak.Kind
    key: str
    ours: dict[str, Any]
    theirs: dict[str, Any]
    detail: str


class ActivityBooked(TypedDict):
    """`amount` is what it added to the cash, below zero for what was taken; `cash` is what the portfolio has then.
    `day` is the broker's; `symbol` is empty where it is of none."""

    account_id: UUID
    activity_id: str
    kind: ActivityKind
    entry_id: UUID
    amount: Decimal
    currency: str
    cash: Decimal
    day: date
    symbol: str
    detail: str


class BreakExplained(BrokerBreak):
    explanation: str
    actor: str


class AccountTrouble(TypedDict):
    account_id: UUID
    reason: str


class NotCancelled(AccountTrouble):
    client_order_ids: list[str]


class NotConnected(AccountTrouble):
    broker: BrokerAccount.Broker


class Account(TypedDict):
    broker: BrokerAccount.Broker
    account_number: str
    actor: str


class AccountConnected(Account):
    """`key` is the beginning of the key's name, `cash` what the broker said."""

    is_live: bool
    key: str
    cash: Decimal
    currency: str


class AccountDisconnected(Account):
    is_live: bool


class KeysReplaced(Account):
    key: str


register(
    EventKind("decision.made", "A rule triggered, and this became of it", DecisionMade),
    EventKind("rule.alerted", "A rule asked for an alert", RuleAlerted),
    EventKind(
        "trade.created", "An order is meant, approved and reserved for; nothing was sent", TradeCreated
    ),
    EventKind("trade.cancel_requested", "It will be cancelled once it is known where it is", TradeTold),
    EventKind("trade.triggered", "Its stop price was reached", TradeTriggered),
    EventKind(
        "trade.turned_up", "It turned up at the broker after its end, and is being cancelled", TradeTold
    ),
    EventKind("position.changed", "A fill changed what is held", PositionChanged),
    EventKind("protection.set", "A position has these thresholds", ProtectionSet),
    EventKind("protection.removed", "A position has no thresholds any more", ProtectionRemoved),
    EventKind(
        "protection.triggered", "The price reached a threshold: the position is sold", ProtectionReached
    ),
    EventKind("protection.refused", "The price reached a threshold and it cannot be sold", ProtectionReached),
    EventKind(
        "protection.recovered", "The broker's rejections of a threshold's sale are over", ProtectionRemoved
    ),
    EventKind("protection.failing", "Thresholds cannot be carried out", Reason),
    EventKind("execution.failing", "Orders cannot be executed", Nothing),
    EventKind("session.flatten_refused", "A session cannot end: this cannot be sold yet", FlattenRefused),
    EventKind("halt.armed", "An emergency stop is armed: nothing in its scope starts", Stop, EITHER),
    EventKind("halt.drained", "Nothing in the stop's scope is in flight any more", Stop, EITHER),
    EventKind("halt.not_drained", "Something in the scope of stops stays in flight", NotDrained, EITHER),
    EventKind("halt.released", "An emergency stop is over", Stop, EITHER),
    EventKind("slice.failing", "A group of sessions cannot be evaluated", SliceFailing, PLATFORM),
    EventKind("fleet.version_required", "Only workers of this version trade", VersionRequired, PLATFORM),
    EventKind("fleet.mismatch", "Workers of another version than is required run", VersionMismatch, PLATFORM),
    EventKind("process.missing", "No process of a kind shows a sign of life", ProcessMissing, PLATFORM),
    EventKind("process.clock_off", "A machine's clock is not the database's", ClockOff, PLATFORM),
    EventKind("reconciliation.break", "Broker and books differ", BrokerBreak),
    EventKind("reconciliation.break_ended", "They do not differ in this any more", BrokerBreak),
    EventKind("reconciliation.break_explained", "A person says why they differ", BreakExplained),
    EventKind("reconciliation.failing", "Broker and books cannot be compared", AccountTrouble),
    EventKind("orders.not_cancelled", "Orders are not cancelled although the broker was asked", NotCancelled),
    EventKind("streams.missing", "Nobody follows the executions of a broker account", AccountTrouble),
    EventKind("streams.failing", "The executions of an account cannot be followed", AccountTrouble),
    EventKind("streams.not_connected", "An account cannot be used to follow executions", AccountTrouble),
    EventKind("broker.not_connected", "Orders cannot be sent to the broker", NotConnected),
    EventKind(
        "account.activity_booked",
        "The broker moved money outside of orders, and it is booked",
        ActivityBooked,
    ),
    EventKind("account.connected", "The account is one at a broker", AccountConnected),
    EventKind("account.disconnected", "The account is on paper again", AccountDisconnected),
    EventKind("account.keys_replaced", "The account has other keys", KeysReplaced),
)

_OF_STATES: dict[OrderState, tuple[str, type]] = {
    OrderState.PENDING: ("It was not sent, and waits again", TradeTold),
    OrderState.SUBMITTING: ("It is being sent", TradeSubmitting),
    OrderState.ACCEPTED: ("The broker has it, and it works there", TradeTold),
    OrderState.PARTIALLY_FILLED: ("A part was executed, the rest works", TradePartiallyFilled),
    OrderState.FILLED: ("It was executed", TradeFilled),
    OrderState.CANCELLING: ("The broker is asked to cancel it; it may still be filled", TradeTold),
    OrderState.CANCELLED: ("It was cancelled; what was filled stays", TradeEnded),
    OrderState.REJECTED: ("The broker does not take it", TradeEnded),
    OrderState.EXPIRED: ("Its time is over; what was filled stays", TradeEnded),
    OrderState.UNKNOWN: ("It is not known whether the broker has it: it stays reserved", TradeTold),
    OrderState.QUARANTINED: ("Even the broker cannot say: a person must look", TradeTold),
}
register(*(EventKind(f"trade.{state}", *_OF_STATES[state]) for state in OrderState))
