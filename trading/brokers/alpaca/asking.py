"""Questions to Alpaca: answered wholly, or AskFailed. Lists come in pages, and half a list is no answer."""

import contextlib
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from foundation.core.money import ZERO
from foundation.sockets import Deadline
from portfolios.services.credentials import ApiKeys
from trading.brokers.alpaca import reading
from trading.brokers.alpaca.activities import activity_of
from trading.brokers.alpaca.translation import execution_of_activity, order_of, order_or_report
from trading.brokers.alpaca.wire import Answer, NoAnswer, Wire
from trading.brokers.protocol import (
    AskFailed,
    BadReport,
    BrokerExecution,
    BrokerOrder,
    CashActivity,
    NotConnected,
    UnreadableActivity,
    UnreadableReport,
    about_to_exchange,
)

ORDERS_IN_PAGE = 500  # Alpaca's maximum
ACTIVITIES_IN_PAGE = 100  # Alpaca's maximum
SINGLE_LOOKS_MAX = 50  # where lists may tell of the others
ORDERS_OF_ABOUT, ORDERS_LIVE = (
    timedelta(days=1),
    timedelta(days=90),
)  # a gtc order ends by itself after that time
KNOWN_ORDERS_MAX = 10_000
RETRY_SECONDS_MAX = 300.0
DEADLINES_OF_A_LIST = 5  # all pages together get this many deadlines of one exchange
ACTIVITY_MARGIN = timedelta(
    minutes=1
)  # Alpaca filters by when it wrote the activity, we by when it was filled
INSTANT = timedelta(microseconds=1)
# What is no fill has a day and no time: New York's, which may be the one before ours, and `after` leaves its own out.
DAYS_MARGIN = timedelta(days=2)
# So long after a fill its order may not be found yet: what one part of a broker has written, another shows later.
APPEARS_WITHIN = timedelta(minutes=1)

Told = BrokerOrder | UnreadableReport


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
        self._known: dict[str, Told] = {}

    def ask(
        self, path: str, params: Mapping[str, str] | None = None, *, within: Deadline | None = None,
        none_if_missing: bool = False,
    ) -> Any:  # fmt: skip
        """The document, keys struck out. Raises AskFailed, NotConnected (the keys are refused)."""
        about_to_exchange()
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
        self._note(order)
        return order

    def _note(self, order: Told) -> None:
        if len(self._known) >= KNOWN_ORDERS_MAX:
            self._known.clear()
        self._known[_id_of(order)] = order

    def _read(self, payload: Any) -> Told:
        """One row of a list. Raises BadReport."""
        order = order_or_report(payload)
        self._note(order)
        return order

    def whole_list(self) -> Deadline:
        return Deadline(self._deadline_seconds * DEADLINES_OF_A_LIST)

    def orders(
        self, *, status: str, since: datetime | None = None, within: Deadline | None = None
    ) -> list[Told]:
        """By the time of submission, oldest first."""
        pages = self._pages_of_orders(status=status, since=since, within=within or self.whole_list())
        return [order for page in pages for order in page]

    def _pages_of_orders(
        self, *, status: str, since: datetime | None, within: Deadline, until: datetime | None = None
    ) -> Iterator[list[Told]]:
        """Alpaca's `after` excludes, so it is asked for an instant earlier, and what came already is left out: orders
        of one instant on the edge of two pages are not lost. So does `until`.

        It ends with the time that a list has, or with a page that tells nothing new, however long it is."""
        seen: set[str] = set()
        edge = since
        while True:
            params = {
                "status": status, "limit": str(ORDERS_IN_PAGE), "direction": "asc", "nested": "false",
            }  # fmt: skip
            if edge is not None:
                params["after"] = _written(edge - INSTANT)
            if until is not None:
                params["until"] = _written(until)
            page = reading.rows(self.ask("/v2/orders", params, within=within), "the list of orders")
            orders = [self._read(payload) for payload in page]
            new = {_id_of(order): order for order in orders if _id_of(order) not in seen}
            seen |= new.keys()
            yield [order for order in new.values() if since is None or _is_since(order, since)]
            if len(page) < ORDERS_IN_PAGE:
                return
            times = [at for order in orders if (at := _submitted(order)) is not None]
            if not new or not times:
                raise AskFailed("the list of orders does not end")
            edge = max(times)

    def executions(self, since: datetime) -> list[BrokerExecution | UnreadableReport]:
        """Oldest first; fills of one order and instant by what was filled with them."""
        within = self.whole_list()
        activities = self._activities(since, within)
        orders = self._orders_of(activities, since, within)
        told = [execution_of_activity(one, orders[one["order_id"]]) for one in activities]
        cumulative = [
            ZERO if isinstance(fill, UnreadableReport) else reading.quantity(one, "cum_qty")
            for fill, one in zip(told, activities, strict=True)
        ]
        places = range(len(told))
        in_order = sorted(places, key=lambda n: (told[n].at, activities[n]["order_id"], cumulative[n]))
        return [told[place] for place in in_order]

    def _activities(self, since: datetime, within: Deadline) -> list[Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        after = (since - ACTIVITY_MARGIN).replace(microsecond=0)
        for activity in self._each("/v2/account/activities/FILL", {"after": _written(after)}, within):
            reading.text(activity, "order_id")
            if reading.moment(activity, "transaction_time") >= since:
                found[activity["id"]] = activity
        return list(found.values())

    def cash_activities(self, since: datetime) -> list[CashActivity | UnreadableActivity]:
        """Of all types, so that none which nobody has heard of moves money unseen."""
        after = _written((since - DAYS_MARGIN).replace(microsecond=0))
        params = {"category": "non_trade_activity", "after": after}
        told = {
            activity["id"]: activity_of(activity)
            for activity in self._each("/v2/account/activities", params, self.whole_list())
        }
        return [one for one in told.values() if one is not None]

    def _each(self, path: str, params: Mapping[str, str], within: Deadline) -> Iterator[Mapping[str, Any]]:
        """Activities with an id, page after page, oldest first; one that came already may come again."""
        seen: set[str] = set()
        asked = {**params, "direction": "asc", "page_size": str(ACTIVITIES_IN_PAGE)}
        while True:
            page = reading.rows(self.ask(path, asked, within=within), "the list of activities")
            before = len(seen)
            for payload in page:
                activity = reading.document(payload, "the activity")
                seen.add(reading.text(activity, "id"))
                yield activity
            if len(page) < ACTIVITIES_IN_PAGE:
                return
            if len(seen) == before:
                raise AskFailed("the list of activities does not end")
            asked["page_token"] = page[-1]["id"]

    def _orders_of(
        self, activities: Iterable[Mapping[str, Any]], since: datetime, within: Deadline
    ) -> dict[str, Told]:
        """The orders that the fills are of: known already, or of about that time, or of the months before, or asked
        for one by one.

        An order that is not there makes a fill of a moment ago no answer yet, and an older one a bad report.
        """
        last: dict[str, datetime] = {}
        for activity in activities:
            at = reading.moment(activity, "transaction_time")
            last[activity["order_id"]] = max(at, last.get(activity["order_id"], at))
        wanted = set(last)
        orders = {key: self._known[key] for key in wanted & self._known.keys()}
        lately = since - ORDERS_OF_ABOUT
        if len(wanted - orders.keys()) > 1:
            for order in self.orders(status="all", since=lately, within=within):
                orders[_id_of(order)] = order
        if len(wanted - orders.keys()) > SINGLE_LOOKS_MAX:
            orders |= self._older(wanted - orders.keys(), before=lately)
        missing = sorted(wanted - orders.keys())
        for key in missing:
            payload = self.ask(f"/v2/orders/{_in_path(key)}", within=within, none_if_missing=True)
            found = None if payload is None else self._read(payload)
            if found is None and datetime.now(UTC) - last[key] < APPEARS_WITHIN:
                raise AskFailed("a fill is of an order that Alpaca does not show yet")
            if found is None or _id_of(found) != key:
                raise reading.bad("a fill is of an order that Alpaca does not know", {"order_id": key})
            orders[key] = found
        return orders

    def _older(self, wanted: Collection[str], *, before: datetime) -> dict[str, Told]:
        """Those of the wanted orders that lists of the time before tell of, each of them twice as long as the one after
        it, until so few are left that they are asked for one by one. It may find none: it has half of the time of a
        list, and what it could not be told is asked for, too."""
        found: dict[str, Told] = {}
        within = Deadline(self._deadline_seconds * DEADLINES_OF_A_LIST / 2)
        until, span = before, ORDERS_OF_ABOUT
        with contextlib.suppress(AskFailed, BadReport):
            while until > before - ORDERS_LIVE:
                begin = until - span
                for page in self._pages_of_orders(status="all", since=begin, until=until, within=within):
                    found |= {_id_of(order): order for order in page if _id_of(order) in wanted}
                    if len(wanted) - len(found) <= SINGLE_LOOKS_MAX:
                        return found
                until, span = begin, span * 2
        return found


def _in_path(broker_order_id: str) -> str:
    """Raises BadReport for what would be another address."""
    if not broker_order_id.replace("-", "").isalnum() or not broker_order_id.isascii():
        raise reading.bad("the order's id is none", {"order_id": broker_order_id})
    return broker_order_id


def order_path(order: BrokerOrder) -> str:
    return f"/v2/orders/{_in_path(order.broker_order_id)}"


def _id_of(order: Told) -> str:
    return order.key if isinstance(order, UnreadableReport) else order.broker_order_id


def _submitted(order: Told) -> datetime | None:
    """None: it does not say so, and cannot be read."""
    return order.at if isinstance(order, UnreadableReport) else order.submitted_at


def _is_since(order: Told, since: datetime) -> bool:
    at = _submitted(order)
    return at is None or at >= since


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
