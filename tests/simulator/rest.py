"""/v2: Alpaca's routes, with their statuses, bodies and refusals, and what goes wrong at each by script."""

import asyncio
import json
import time
from typing import Any

from tests.simulator.accounts import Account, told_account, told_positions
from tests.simulator.answers import spoil
from tests.simulator.book import Book
from tests.simulator.clock import Clock
from tests.simulator.listings import list_activities, list_fills, list_orders
from tests.simulator.matching import Matching
from tests.simulator.mischief import ANSWER, BEFORE, WORK, Mischief, Occasion, Rule
from tests.simulator.orders import (
    NOT_AUTHORIZED,
    NOT_FOUND,
    TOO_MANY,
    WRONG_REQUEST,
    Order,
    Refused,
    client_id,
    number,
    read_order,
    told,
)
from tests.simulator.wire import Request, Response, json_response

ENDPOINTS = (
    "submit",
    "orders",
    "order",
    "order_by_client_id",
    "replace",
    "cancel",
    "positions",
    "account",
    "fills",
    "activities",
)


def find_endpoint(method: str, path: str, query: Any) -> tuple[str, str]:
    """Which of ENDPOINTS a request is for, and the order's id in its path; raises Refused."""
    plain = {
        ("POST", "/v2/orders"): "submit",
        ("GET", "/v2/orders"): "orders",
        ("GET", "/v2/orders:by_client_order_id"): "order_by_client_id",
        ("GET", "/v2/positions"): "positions",
        ("GET", "/v2/account"): "account",
        ("GET", "/v2/account/activities/FILL"): "fills",
    }
    if found := plain.get((method, path)):
        return found, ""
    if (method, path) == ("GET", "/v2/account/activities"):
        if query.get("category") == "non_trade_activity":
            return "activities", ""
        wanted = query.get("activity_types") or query.get("activity_type")
        if wanted != "FILL":
            raise Refused(422, WRONG_REQUEST, f"invalid activity type: {wanted}")
        return "fills", ""
    of_one = {"GET": "order", "PATCH": "replace", "DELETE": "cancel"}
    if path.startswith("/v2/orders/") and method in of_one:
        return of_one[method], path.removeprefix("/v2/orders/")
    raise Refused(404, NOT_FOUND, "endpoint not found")


RATE_PER_MINUTE = 200


class Rest:
    """Answers requests. `lose_connections` breaks all connections for some seconds."""

    def __init__(self, book: Book, matching: Matching, mischief: Mischief, clock: Clock) -> None:
        self.book = book
        self.matching = matching
        self.mischief = mischief
        self.clock = clock
        self.lose_connections: Any = None
        self._handlers = {
            "submit": self._submit,
            "orders": self._orders,
            "order": self._order,
            "order_by_client_id": self._order_by_client_id,
            "replace": self._replace,
            "cancel": self._cancel,
            "positions": self._positions,
            "account": self._account,
            "fills": self._fills,
            "activities": self._activities,
        }

    async def answer(self, request: Request) -> Response:
        """With Alpaca's rate on every answer: how much of it is left, and when it begins anew."""
        response = await self._answer(request)
        rate = {
            "X-RateLimit-Limit": str(RATE_PER_MINUTE),
            "X-RateLimit-Remaining": str(RATE_PER_MINUTE - 1),
            "X-RateLimit-Reset": str((int(time.time()) // 60 + 1) * 60),
        }
        response.headers = {**rate, **response.headers}
        return response

    async def _answer(self, request: Request) -> Response:
        try:
            endpoint, order_id = find_endpoint(request.method, request.path, request.query)
            account = self._authenticate(request)
        except Refused as refusal:
            self.book.log.write("request", method=request.method, path=request.path, refused=refusal.status)
            return json_response(refusal.status, refusal.body)
        occasion = self._occasion(request, endpoint, account, order_id)
        self.book.log.write("request", method=request.method, path=request.path, **vars(occasion))
        if rule := self.mischief.pick(BEFORE, occasion):
            return _not_done(rule)
        work = self.mischief.pick(WORK, occasion)
        try:
            response = self._handlers[endpoint](account, request, order_id, work)
        except Refused as refusal:
            response = json_response(refusal.status, refusal.body)
        if rule := self.mischief.pick(ANSWER, occasion):
            response = self._spoiled(rule, response)
        return response

    def _authenticate(self, request: Request) -> Account:
        account = self.book.accounts.get(request.headers.get("apca-api-key-id", ""))
        if account is None or request.headers.get("apca-api-secret-key") != account.secret:
            raise Refused(401, NOT_AUTHORIZED, "request is not authorized")
        return account

    def _occasion(self, request: Request, endpoint: str, account: Account, order_id: str) -> Occasion:
        """What the request is about, as far as one can know before it is carried out."""
        name, symbol = request.query.get("client_order_id", ""), ""
        if endpoint == "submit":
            body = _body(request)
            if isinstance(body, dict):
                name, symbol = str(body.get("client_order_id", "")), str(body.get("symbol", ""))
        order = account.orders.get(order_id) or account.by_client_id.get(name)
        if order is not None:
            name, symbol = order.client_order_id, order.symbol
        return Occasion(account.key, endpoint, name, symbol)

    def _spoiled(self, rule: Rule, response: Response) -> Response:
        if rule.name == "lost_connection":
            self.lose_connections(rule.seconds)
        return spoil(rule, response)

    # the handlers: (account, request, the order's id in the path, a rule of the phase WORK)

    def _submit(self, account: Account, request: Request, _: str, work: Rule | None) -> Response:
        order = self.book.submit(account, read_order(_body(request)))
        policy = self.matching.policy(order)
        response = json_response(200, told(order) | {"status": policy.answer_status})
        if work and work.name == "appears_late":
            order.hidden_until = self.clock.now() + int(work.seconds * 1e9)
        if work and work.name == "fill_early":
            self.book.work(order)
            if (price := self.book.market.fill_price(order)) is not None:
                self.book.fill(order, order.remaining, price)
            response.wait = work.seconds
        late = work.seconds if work and work.name == "fill_late" else None
        asyncio.get_running_loop().call_soon(self._begin, order, late)
        return response

    def _begin(self, order: Order, late: float | None) -> None:
        self.book.work(order)
        if order.is_open:
            self.matching.begin(order, after=late)

    def _orders(self, account: Account, request: Request, *_: Any) -> Response:
        return json_response(200, list_orders(account, request.query, now=self.clock.now()))

    def _order(self, account: Account, request: Request, order_id: str, *_: Any) -> Response:
        return json_response(200, told(self._visible(account.orders.get(order_id), order_id)))

    def _order_by_client_id(self, account: Account, request: Request, *_: Any) -> Response:
        name = request.query.get("client_order_id", "")
        return json_response(200, told(self._visible(account.by_client_id.get(name), name)))

    def _visible(self, order: Order | None, name: str) -> Order:
        if order is None or order.hidden_until > self.clock.now():
            raise Refused(404, NOT_FOUND, f"order not found for {name}")
        return order

    def _replace(self, account: Account, request: Request, order_id: str, *_: Any) -> Response:
        order = self._visible(account.orders.get(order_id), order_id)
        body = _body(request)
        if not isinstance(body, dict):
            raise Refused(400, WRONG_REQUEST, "request body format is invalid")
        changes: dict[str, Any] = {
            ours: value
            for theirs, ours in (
                ("qty", "quantity"),
                ("limit_price", "limit_price"),
                ("stop_price", "stop_price"),
            )
            if (value := number(body, theirs)) is not None
        }
        trail = number(body, "trail")
        if trail is not None:
            changes["trail_price" if order.trail_price is not None else "trail_percent"] = trail
        if (named := client_id(body)) is not None:
            changes["client_order_id"] = named
        if body.get("time_in_force"):
            changes["time_in_force"] = body["time_in_force"]
        new = self.book.replace(order, changes)
        response = json_response(200, told(new))
        asyncio.get_running_loop().call_soon(self._begin, new, None)
        return response

    def _cancel(self, account: Account, request: Request, order_id: str, work: Rule | None) -> Response:
        order = self._visible(account.orders.get(order_id), order_id)
        self.book.ask_cancel(order)
        if work:
            self.book.fill(order, order.remaining, self.book.market.last(order.symbol))
        else:
            self.matching.begin_cancel(order)
        return json_response(204)

    def _positions(self, account: Account, *_: Any) -> Response:
        return json_response(200, told_positions(account, self.book.market))

    def _account(self, account: Account, *_: Any) -> Response:
        return json_response(200, told_account(account, self.book.market))

    def _fills(self, account: Account, request: Request, _: str, work: Rule | None) -> Response:
        seconds = work.seconds if work and work.name == "lists_late" else 0
        return json_response(
            200, list_fills(account, request.query, before=self.clock.now() - int(seconds * 1e9))
        )

    def _activities(self, account: Account, request: Request, *_: Any) -> Response:
        return json_response(200, list_activities(account, request.query, now=self.clock.now()))


def _body(request: Request) -> Any:
    try:
        return request.json()
    except ValueError:
        return None


def _not_done(rule: Rule) -> Response:
    """The answer to a request that nothing is done about."""
    if rule.name == "rate_limited":
        body = {"code": TOO_MANY, "message": "rate limit exceeded"}
        return json_response(429, body, **{"Retry-After": f"{rule.seconds:g}", "X-RateLimit-Remaining": "0"})
    if rule.name == "error_before":
        body = {"code": 50010000, "message": "internal server error occurred"}
        return Response(rule.status or 500, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return Response(manner=rule.name.removesuffix("_before"))
