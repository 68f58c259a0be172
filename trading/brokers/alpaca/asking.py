"""Questions to Alpaca: answered wholly, or AskFailed. Lists come in pages, and half a list is no answer."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from portfolios.services.credentials import ApiKeys
from trading.brokers.alpaca import reading
from trading.brokers.alpaca.sockets import Deadline
from trading.brokers.alpaca.translation import execution_of_activity, order_of
from trading.brokers.alpaca.wire import Answer, NoAnswer, Wire
from trading.brokers.protocol import AskFailed, BrokerExecution, BrokerOrder, NotConnected

ORDERS_IN_PAGE = 500  # Alpaca's maximum
ACTIVITIES_IN_PAGE = 100  # Alpaca's maximum
PAGES_MAX = 40
DEADLINES_OF_A_LIST = 5  # all pages together get this many deadlines of one exchange
SINGLE_LOOKS_MAX = 50
KNOWN_ORDERS_MAX = 10_000
RETRY_SECONDS_MAX = 300.0
ACTIVITY_MARGIN = timedelta(
    minutes=1
)  # Alpaca filters by when it wrote the activity, we by when it was filled
INSTANT = timedelta(microseconds=1)
# So long after a fill its order may not be found yet: what one part of a broker has written, another shows later.
APPEARS_WITHIN = timedelta(minutes=1)


def refusal(answer: Answer) -> tuple[str, str] | None:
    """Alpaca's own code (or the HTTP status) and message of an error; None where it is not Alpaca that speaks."""
    payload = answer.payload
    if not answer.is_json or not isinstance(payload, dict) or not isinstance(payload.get("message"), str):
        return None
    return str(payload.get("code", answer.status))[:20], payload["message"][: reading.TEXT_MAX]


def is_not_found(answer: Answer) -> bool:
    """Whether Alpaca itself says that it has no such thing, by a code of its own (40410000). A gateway that knows no
    such route says 404, too, and of the order that means nothing."""
    told = refusal(answer)
    return answer.status == 404 and told is not None and len(told[0]) > 3 and told[0].startswith("404")


def refuses_keys(answer: Answer) -> bool:
    """401, or a 403 without a code, in Alpaca's form: what it forbids for a reason, as too little buying power, has
    one. A proxy's page says nothing about keys."""
    told = refusal(answer)
    return told is not None and (answer.status == 401 or (answer.status, told[0]) == (403, "403"))


def retry_after(answer: Answer) -> float | None:
    """Seconds that it asks us to wait: `Retry-After`, or Alpaca's `X-Ratelimit-Reset` (seconds since 1970).

    Alpaca puts its rate and when that begins anew on every answer: it asks for nothing unless nothing is left.
    """
    limited = answer.status == 429 or answer.headers.get("x-ratelimit-remaining", "").strip() == "0"
    told = [("retry-after", 0.0)] if answer.status in {429, 503} else []
    told += [("x-ratelimit-reset", time.time())] if limited else []
    for name, now in told:
        try:
            seconds = float(answer.headers.get(name, "")) - now
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return min(seconds, RETRY_SECONDS_MAX)
    return None


class Asker:
    """Asks over one wire. Remembers the orders that it has seen, for fills name only the broker's id."""

    def __init__(self, wire: Wire, keys: ApiKeys, *, deadline_seconds: float) -> None:
        self._wire = wire
        self._keys = keys
        self._deadline_seconds = deadline_seconds
        self._known: dict[str, BrokerOrder] = {}

    def ask(
        self, path: str, params: Mapping[str, str] | None = None, *, within: Deadline | None = None,
        none_if_missing: bool = False,
    ) -> Any:  # fmt: skip
        """The document, keys struck out. Raises AskFailed, NotConnected (the keys are refused)."""
        try:
            answer = self._wire.exchange("GET", path, params=params, within=within)
        except NoAnswer as failure:
            raise AskFailed(failure.reason) from None
        if answer.status == 200 and answer.is_json:
            return reading.struck(answer.payload, self._keys)
        told = refusal(answer)
        if none_if_missing and is_not_found(answer):
            return None
        if answer.status in {401, 403} and told:
            raise NotConnected(f"Alpaca refuses the keys of this account (HTTP {answer.status}).")
        said = reading.struck(told[1], self._keys) if told else "nothing that can be understood"
        raise AskFailed(f"HTTP {answer.status}: {said}", retry_after_seconds=retry_after(answer))

    def order(
        self, path: str, params: Mapping[str, str] | None = None, *, within: Deadline | None = None
    ) -> BrokerOrder | None:
        payload = self.ask(path, params, within=within, none_if_missing=True)
        return None if payload is None else self.note(order_of(payload))

    def note(self, order: BrokerOrder) -> BrokerOrder:
        if len(self._known) >= KNOWN_ORDERS_MAX:
            self._known.clear()
        self._known[order.broker_order_id] = order
        return order

    def whole_list(self) -> Deadline:
        return Deadline(self._deadline_seconds * DEADLINES_OF_A_LIST)

    def orders(
        self, *, status: str, since: datetime | None = None, within: Deadline | None = None
    ) -> list[BrokerOrder]:
        """By the time of submission, oldest first. Alpaca's `after` excludes, so it is asked for an instant earlier,
        and what came already is left out: orders of one instant on the edge of two pages are not lost."""
        within = within or self.whole_list()
        found: dict[str, BrokerOrder] = {}
        edge = since
        for _ in range(PAGES_MAX):
            params = {
                "status": status, "limit": str(ORDERS_IN_PAGE), "direction": "asc", "nested": "false",
            }  # fmt: skip
            if edge is not None:
                params["after"] = _written(edge - INSTANT)
            page = reading.rows(self.ask("/v2/orders", params, within=within), "the list of orders")
            orders = [self.note(order_of(payload)) for payload in page]
            new = {order.broker_order_id: order for order in orders if order.broker_order_id not in found}
            found |= new
            if len(page) < ORDERS_IN_PAGE:
                return [order for order in found.values() if since is None or _submitted(order) >= since]
            if not new:
                break
            edge = max(_submitted(order) for order in orders)
        raise AskFailed("the list of orders does not end")

    def executions(self, since: datetime) -> list[BrokerExecution]:
        """Oldest first; fills of one order and instant by what was filled with them."""
        within = self.whole_list()
        activities = self._activities(since, within)
        orders = self._orders_of(activities, since, within)
        told = [
            (execution_of_activity(activity, orders[activity["order_id"]]), activity)
            for activity in activities
        ]
        told.sort(
            key=lambda pair: (
                pair[0].at,
                pair[0].broker_order_id,
                reading.quantity(pair[1], "cum_qty"),
            )
        )
        return [execution for execution, _ in told]

    def _activities(self, since: datetime, within: Deadline) -> list[Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        params = {
            "after": _written((since - ACTIVITY_MARGIN).replace(microsecond=0)), "direction": "asc",
            "page_size": str(ACTIVITIES_IN_PAGE),
        }  # fmt: skip
        for _ in range(PAGES_MAX):
            page = reading.rows(
                self.ask("/v2/account/activities/FILL", params, within=within), "the list of fills"
            )
            before = len(found)
            for payload in page:
                activity = reading.document(payload, "the activity")
                reading.text(activity, "order_id")
                if reading.moment(activity, "transaction_time") >= since:
                    found[reading.text(activity, "id")] = activity
                else:
                    reading.text(activity, "id")
            if len(page) < ACTIVITIES_IN_PAGE:
                return list(found.values())
            token = reading.text(page[-1], "id")
            if token == params.get("page_token") and len(found) == before:
                break
            params["page_token"] = token
        raise AskFailed("the list of fills does not end")

    def _orders_of(
        self, activities: Iterable[Mapping[str, Any]], since: datetime, within: Deadline
    ) -> dict[str, BrokerOrder]:
        """The orders that the fills are of: known already, or of about that time, or asked for one by one.

        An order that is not there makes a fill of a moment ago no answer yet, and an older one a bad report.
        """
        last: dict[str, datetime] = {}
        for activity in activities:
            at = reading.moment(activity, "transaction_time")
            last[activity["order_id"]] = max(at, last.get(activity["order_id"], at))
        wanted = set(last)
        if len(wanted - self._known.keys()) > 1:
            for order in self.orders(status="all", since=since - timedelta(days=1), within=within):
                self.note(order)
        orders = {key: self._known[key] for key in wanted & self._known.keys()}
        missing = sorted(wanted - orders.keys())
        if len(missing) > SINGLE_LOOKS_MAX:
            raise AskFailed("too many fills are of orders that are older")
        for key in missing:
            found = self.order(f"/v2/orders/{_in_path(key)}", within=within)
            if found is None and datetime.now(UTC) - last[key] < APPEARS_WITHIN:
                raise AskFailed("a fill is of an order that Alpaca does not show yet")
            if found is None or found.broker_order_id != key:
                raise reading.bad("a fill is of an order that Alpaca does not know", {"order_id": key})
            orders[key] = found
        return orders


def _in_path(broker_order_id: str) -> str:
    """Raises BadReport for what would be another address."""
    if not broker_order_id.replace("-", "").isalnum() or not broker_order_id.isascii():
        raise reading.bad("the order's id is none", {"order_id": broker_order_id})
    return broker_order_id


def order_path(order: BrokerOrder) -> str:
    return f"/v2/orders/{_in_path(order.broker_order_id)}"


def _submitted(order: BrokerOrder) -> datetime:
    assert order.submitted_at is not None, "order_of asks for it"
    return order.submitted_at


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
