"""Actions: what a rule asks for when it fires.

A rule has never heard of an order: it asks for a side and a size, an alert, a
block on buys or a halt, and somebody else sizes, checks and sends. The words stand
here once; `rules.core.action_checks` holds what is written against them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from journal.core.events import Severity
from rules.core.language import RuleType

ACTIONS_MAX = 8
MESSAGE_CHARACTERS_MAX = 500
FIXED_SIZE_MAX = 10**9
LIMIT_OFFSET_BPS_MAX = 1000
TAKE_PROFIT_PERCENTAGE_MAX = 1000

Side = Literal["buy", "sell"]
HaltMode = Literal["reduce_only", "halt"]

ACTION_TYPES = ("buy", "sell", "reduce", "block_entries", "halt", "alert")
# A rule makes at most one of these, so that it asks for one trade per symbol.
TRADE_TYPES = ("buy", "sell", "reduce")
TYPES_OF: Mapping[RuleType, tuple[str, ...]] = {
    RuleType.ENTRY: ("buy", "alert"),
    RuleType.EXIT: ("sell", "alert"),
    RuleType.RISK: ("sell", "reduce", "block_entries", "halt", "alert"),
}
METHODS_OF: Mapping[Side, tuple[str, ...]] = {
    "buy": ("fixed", "percentage", "kelly", "volatility_target", "risk_per_trade"),
    "sell": ("fixed", "percentage", "full_position"),
}
SIZE_UNITS = ("shares", "cash")
ORDER_TYPES = ("market", "limit")
HALT_MODES: tuple[HaltMode, ...] = ("reduce_only", "halt")

PERCENTAGE_OF_POSITION = "percentage_of_position"
PERCENTAGE_OF_EQUITY = "percentage_of_equity"
# The keys of `reduce`, and the unit in which its request gives them.
REDUCE_UNITS: Mapping[str, str] = {
    "percentage": PERCENTAGE_OF_POSITION,
    "to_position_size": PERCENTAGE_OF_EQUITY,
}


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """A wish to trade one symbol.

    What `size_value` means follows from `sizing_method`:

        fixed              shares or cash (`size_unit`)
        percentage         percent of equity
        kelly              fraction of full Kelly, at most 1
        volatility_target  annualised volatility that the position may add, percent of equity
        risk_per_trade     percent of equity lost when the stop is hit
        full_position      None: all that is held
        reduce             with the unit `percentage_of_position` the part to sell, in percent;
                           with `percentage_of_equity` the size to come down to

    `max_position_size` is in percent of equity; `limit_offset_bps` in basis points of
    the last price, positive for a better price; `stop_loss_percentage` and
    `take_profit_percentage` in percent below and above the average entry price,
    `trailing_stop_percentage` in percent below the highest price since the position
    was opened.
    """

    symbol: str
    side: Side
    sizing_method: str
    size_value: Decimal | None
    size_unit: str | None
    max_position_size: Decimal | None
    order_type: str
    limit_offset_bps: Decimal | None = None
    stop_loss_percentage: Decimal | None = None
    take_profit_percentage: Decimal | None = None
    trailing_stop_percentage: Decimal | None = None


@dataclass(frozen=True, slots=True)
class AlertRequest:
    """A wish to tell people; `symbol` is None when the rule speaks of the whole portfolio."""

    symbol: str | None
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True)
class BlockRequest:
    """A wish that no rule buys in this evaluation: this symbol, or None for the whole portfolio."""

    symbol: str | None


@dataclass(frozen=True, slots=True)
class HaltRequest:
    """A wish to arm the emergency stop of the portfolio; only a risk officer releases it."""

    mode: HaltMode


Request = ActionRequest | AlertRequest | BlockRequest | HaltRequest


def asks_for_trade(actions: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any of the actions asks for a trade."""
    return any(action["type"] in TRADE_TYPES for action in actions)


def blocks_entries(actions: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any of the actions keeps other rules from buying."""
    return any(action["type"] == "block_entries" for action in actions)


def requests_of(
    actions: Sequence[Mapping[str, Any]], *, symbol: str | None, held: Iterable[str]
) -> list[Request]:
    """What validated actions ask for, in their order.

    `symbol` None stands for a rule that fired for the portfolio as a whole: it
    alerts, blocks and halts once, and sells or reduces every symbol in `held`, in
    the order of their names.
    """
    targets = sorted(held) if symbol is None else [symbol]
    requests: list[Request] = []
    for action in actions:
        kind = action["type"]
        if kind == "alert":
            requests.append(AlertRequest(symbol, action.get("severity", "info"), action["message"]))
        elif kind == "block_entries":
            requests.append(BlockRequest(symbol))
        elif kind == "halt":
            requests.append(HaltRequest(action.get("mode", "reduce_only")))
        elif kind == "reduce":
            requests.extend(_reduction(action, target) for target in targets)
        else:
            requests.extend(_trade(action, target) for target in targets)
    return requests


def _trade(action: Mapping[str, Any], symbol: str) -> ActionRequest:
    return ActionRequest(
        symbol=symbol,
        side=action["type"],
        sizing_method=action["sizing_method"],
        size_value=_decimal(action.get("size_value")),
        size_unit=action.get("size_unit"),
        max_position_size=_decimal(action.get("max_position_size")),
        order_type=action.get("order_type", "market"),
        limit_offset_bps=_decimal(action.get("limit_offset_bps")),
        stop_loss_percentage=_decimal(action.get("stop_loss_percentage")),
        take_profit_percentage=_decimal(action.get("take_profit_percentage")),
        trailing_stop_percentage=_decimal(action.get("trailing_stop_percentage")),
    )


def _reduction(action: Mapping[str, Any], symbol: str) -> ActionRequest:
    key = next(key for key in REDUCE_UNITS if key in action)
    return ActionRequest(
        symbol=symbol,
        side="sell",
        sizing_method="reduce",
        size_value=_decimal(action[key]),
        size_unit=REDUCE_UNITS[key],
        max_position_size=None,
        order_type="market",
    )


def _decimal(number: float | int | None) -> Decimal | None:
    # Through the text: Decimal(0.1) would carry the float's binary tail into money.
    return None if number is None else Decimal(str(number))
