"""Whether what a broker tells of an order can be true of the trade that we have made. Everything here only reads.

A sale takes no units that are not held, or that are promised to another order; a price is believed within a factor of
those that the trade was decided on: the last one then, its limit and its stop.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import structlog
from django.db import InternalError, NotSupportedError, ProgrammingError

from foundation.core.canonical import plain_decimal
from foundation.core.money import ZERO, round_money
from portfolios.services.books import Books
from trading.brokers.protocol import BadReport, BrokerError, BrokerExecution, BrokerOrder
from trading.models import AutoTrade, Execution
from trading.services.faults import TRANSIENT

log = structlog.get_logger(__name__)

# A fill's price is believed within this factor of the prices that the trade was decided on, below the lowest and above
# the highest of them: a limit that waits for a crash is filled in it.
PRICE_FACTOR_MAX = 10
OF_THE_SCHEMA = (ProgrammingError, NotSupportedError)
ID_CHARACTERS_MAX = 100


def as_told(order: BrokerOrder, execution: BrokerExecution | None) -> dict[str, Any]:
    """For records: plain JSON."""
    told = {"order": {key: str(value) for key, value in asdict(order).items() if value is not None}}
    if execution is not None:
        told["execution"] = {key: str(value) for key, value in asdict(execution).items()}
    return told


@contextlib.contextmanager
def nothing_unforeseen(
    order: BrokerOrder, execution: BrokerExecution | None, *, but: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Around the outermost transaction in which one report is applied: one report must never stop an account.

    What nobody has foreseen is a BadReport, which becomes a break: the account is halted, and the rest is applied. A
    database that was busy or away is to blame for nothing (`faults.TRANSIENT`), nor is a schema that is just migrated,
    nor what the caller names.
    """
    foreseen: tuple[type[Exception], ...] = (*TRANSIENT, *OF_THE_SCHEMA, InternalError, BrokerError, *but)
    try:
        yield
    except foreseen:  # InternalError: the database may only be read just now
        raise
    except Exception as error:
        log.exception("report_not_applied", client_order_id=order.client_order_id)
        said = (str(error).splitlines() or [""])[0]  # further lines name rows, which change
        reason = f"it could not be booked: {type(error).__name__}: {said}"
        raise BadReport(reason, payload=as_told(order, execution)) from error


def _check(claim: Callable[[str], BadReport], *faults: tuple[bool, str]) -> None:
    for wrong, reason in faults:
        if wrong:
            raise claim(reason)


def check_order(trade: AutoTrade, order: BrokerOrder, account_id: uuid.UUID) -> None:
    """It must be the order that we have made. Raises BadReport."""
    known, bad = trade.broker_order_id, partial(BadReport, payload=as_told(order, None))
    numbers = order.quantity.is_finite() and order.filled_quantity.is_finite()
    _check(bad, (not numbers, "a quantity of it is not a number"))
    _check(
        bad,
        (trade.account_id != account_id, "the order was made for another account"),
        (order.symbol != trade.symbol, f"its symbol is {order.symbol}, we ordered {trade.symbol}"),
        (order.side != trade.trade_type, f"its side is {order.side}, we ordered to {trade.trade_type}"),
        (
            order.quantity != trade.quantity,
            f"its quantity is {order.quantity}, we ordered {plain_decimal(trade.quantity)}",
        ),
        (
            not 0 < len(order.broker_order_id) <= ID_CHARACTERS_MAX,
            "the broker's id of the order is missing or too long",
        ),
        (
            known not in ("", order.broker_order_id),
            f"it is the broker's order {order.broker_order_id}, and {known} has the same client order id",
        ),
    )


def new_fill(
    trade: AutoTrade, order: BrokerOrder, execution: BrokerExecution | None, books: Books, *,
    units_each: Fraction = Fraction(1),
) -> BrokerExecution | None:  # fmt: skip
    """The execution if it is not booked yet, in our columns' precision. units_each: so many of the books' units is one
    of its, where a split was booked since. Raises BadReport."""
    if execution is None:
        return None
    bad = partial(BadReport, payload=as_told(order, execution))
    price, quantity, fee = execution.price, execution.quantity, execution.fee
    _check(
        bad,
        (
            (execution.client_order_id, execution.broker_order_id, execution.symbol, execution.side)
            != (order.client_order_id, order.broker_order_id, order.symbol, order.side),
            "the execution is of another order",
        ),
        (
            not 0 < len(execution.execution_id) <= ID_CHARACTERS_MAX,
            "the execution's id is missing or too long",
        ),
    )
    numbers = price.is_finite() and quantity.is_finite() and fee.is_finite()
    _check(bad, (not numbers, "a number of the execution is none"))
    _check(
        bad,
        (price <= 0 or quantity <= 0 or fee < 0, "a number of the execution is not positive"),
        (round_money(quantity) != quantity, "the executed quantity has more than 8 decimals"),
        (execution.at.tzinfo is None, "the execution's time has no zone"),
    )
    prices = [one for one in (trade.trigger_price, trade.limit_price, trade.stop_price) if one is not None]
    if not min(prices) / PRICE_FACTOR_MAX <= price <= max(prices) * PRICE_FACTOR_MAX:
        away_from = " and ".join(plain_decimal(one) for one in prices)
        raise bad(f"the price {price} is more than {PRICE_FACTOR_MAX} times away from {away_from}")
    known = Execution.objects.filter(account_id=trade.account_id, execution_id=execution.execution_id).first()
    if known is not None:
        same = (known.trade_id, known.quantity, known.price) == (trade.id, quantity, round_money(price))
        _check(bad, (not same, "the execution was told before with other numbers, or of another order"))
        return None
    if trade.trade_type == "sell":
        free = sellable(trade, books)
        too_many = Fraction(quantity) * units_each > Fraction(free)
        _check(bad, (too_many, f"it sells {quantity}, and {plain_decimal(free)} can be sold"))
    return execution


def sellable(trade: AutoTrade, books: Books) -> Decimal:
    """Units that a fill of this trade may take: what is held and not promised to another."""
    position = books.position(trade.portfolio_id, trade.instrument_id)
    own = books.reservations.get(trade.id)
    return position.quantity - position.reserved_quantity + (own.quantity if own is not None else ZERO)
