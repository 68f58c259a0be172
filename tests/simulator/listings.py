"""Alpaca's lists: orders, fills and what is no trade, with its filters, its pages and its strict `after`."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tests.simulator.accounts import Account
from tests.simulator.clock import from_text, new_york_millis, to_text
from tests.simulator.orders import WRONG_REQUEST, Execution, Order, Refused, plain, seeded_id, told

ORDERS_MAX = 500
ORDERS_DEFAULT = 50
FILLS_MAX = 100
MICROSECOND = 1000
Row = TypeVar("Row")


def list_orders(account: Account, query: Mapping[str, str], *, now: int) -> list[dict[str, Any]]:
    """GET /v2/orders: status, after, until (both strict, of the submission), direction, limit, symbols, side."""
    status = query.get("status") or "open"
    if status not in ("open", "closed", "all"):
        raise Refused(422, WRONG_REQUEST, f"invalid status: {status}")
    limit = _count(query, "limit", default=ORDERS_DEFAULT, most=ORDERS_MAX)
    after, until = _moment(query, "after"), _moment(query, "until")
    start = 0 if after is None else account.submitted_after(after)
    end = len(account.in_order) if until is None else account.submitted_after(until - 1)
    symbols = set(filter(None, query.get("symbols", "").split(",")))
    places = range(start, end)
    found: list[dict[str, Any]] = []
    for place in places if _ascending(query) else reversed(places):
        order = account.in_order[place]
        if len(found) == limit:
            break
        if status != "all" and order.is_open != (status == "open"):
            continue
        if (symbols and order.symbol not in symbols) or query.get("side", order.side) != order.side:
            continue
        if order.hidden_until <= now:
            found.append(told(order))
    return found


def activity_id(execution: Execution) -> str:
    """Of a form of its own: nothing published joins it to the execution id of the stream."""
    return f"{new_york_millis(execution.at)}::{seeded_id('activity', execution.execution_id)}"


def list_fills(account: Account, query: Mapping[str, str], *, before: int) -> list[dict[str, Any]]:
    """GET /v2/account/activities/FILL: after, until (strict), direction, page_size, page_token (the last id seen).

    Of those that happened before a moment."""
    size = _count(query, "page_size", default=FILLS_MAX, most=FILLS_MAX)
    after, until = _moment(query, "after"), _moment(query, "until")
    rows = [
        (order, fill)
        for order, fill in account.fills
        if fill.at <= before and _within(_micros(fill.at), after, until)
    ]
    if not _ascending(query):
        rows.reverse()
    page = _after_token(rows, query, lambda row: activity_id(row[1]))[:size]
    return [_told_fill(order, fill) for order, fill in page]


def list_activities(account: Account, query: Mapping[str, str], *, now: int) -> list[dict[str, Any]]:
    """GET /v2/account/activities of the category non_trade_activity: after (strict, of the day), direction, page_size,
    page_token."""
    size = _count(query, "page_size", default=FILLS_MAX, most=FILLS_MAX)
    day = query.get("after", "")[:10]
    rows = [one for one in account.activities if one["listed_from"] <= now and one["date"] > day]
    if not _ascending(query):
        rows.reverse()
    page = _after_token(rows, query, lambda row: row["id"])[:size]
    return [{name: value for name, value in one.items() if name != "listed_from"} for one in page]


def _after_token(rows: list[Row], query: Mapping[str, str], id_of: Callable[[Row], str]) -> list[Row]:
    """What comes after the last id that was seen."""
    token = query.get("page_token")
    if not token:
        return rows
    ids = [id_of(row) for row in rows]
    if token not in ids:
        raise Refused(422, WRONG_REQUEST, "invalid page_token")
    return rows[ids.index(token) + 1 :]


def _told_fill(order: Order, fill: Execution) -> dict[str, Any]:
    leaves = order.quantity - fill.cumulative
    return {
        "id": activity_id(fill),
        "activity_type": "FILL",
        "transaction_time": to_text(fill.at, digits=6),
        "type": "partial_fill" if leaves else "fill",
        "price": plain(fill.price),
        "qty": plain(fill.quantity),
        "side": order.side,
        "symbol": order.symbol,
        "leaves_qty": plain(leaves),
        "order_id": order.id,
        "cum_qty": plain(fill.cumulative),
        "order_status": "partially_filled" if leaves else "filled",
    }


def _within(at: int, after: int | None, until: int | None) -> bool:
    return (after is None or at > after) and (until is None or at < until)


def _micros(at: int) -> int:
    """The moment as it is told, so that `after` of a told moment is strict."""
    return at // MICROSECOND * MICROSECOND


def _ascending(query: Mapping[str, str]) -> bool:
    direction = query.get("direction") or "desc"
    if direction not in ("asc", "desc"):
        raise Refused(422, WRONG_REQUEST, f"invalid direction: {direction}")
    return direction == "asc"


def _count(query: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    text = query.get(name) or str(default)
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise Refused(422, WRONG_REQUEST, f"invalid {name}: must be between 1 and {most}")
    return int(text)


def _moment(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    try:
        return from_text(text)
    except ValueError:
        raise Refused(422, WRONG_REQUEST, f"invalid {name}: {text}") from None
