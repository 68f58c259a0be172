"""Alpaca behind the protocol. One object is one account, one connection, one thread."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from typing import Any

from foundation.kill_points import reach
from portfolios.services.credentials import ApiKeys
from trading.brokers.alpaca import reading
from trading.brokers.alpaca.asking import (
    Asker,
    is_not_found,
    order_path,
    refusal,
    refuses_keys,
    retry_after,
)
from trading.brokers.alpaca.stream import open_stream
from trading.brokers.alpaca.translation import account_of, order_of, position_of
from trading.brokers.alpaca.wire import Answer, NoAnswer, Wire
from trading.brokers.capabilities import terms_objection
from trading.brokers.protocol import (
    Accepted,
    BrokerAccountState,
    BrokerExecution,
    BrokerOrder,
    BrokerPosition,
    CancelOutcome,
    CancelRefused,
    CancelRequested,
    Capabilities,
    CashActivity,
    ExecutionStream,
    Gate,
    NotCapable,
    NotConnected,
    NotSent,
    OrderTicket,
    Rejected,
    SubmitOutcome,
    Unknown,
    UnreadableActivity,
    UnreadableReport,
)
from trading.core.orders import OrderTerms, OrderType, TimeInForce

CAPABILITIES = Capabilities(
    order_types=frozenset(OrderType),
    times_in_force=frozenset(TimeInForce),
    fractional=True,
    whole_only=frozenset({TimeInForce.GTC, OrderType.TRAILING_STOP}),
    replaces=True,
    streams=True,
    has_network=True,
    activities=True,
    rejects_opposites=True,
)
# A 4xx that does not say whether the order was taken: a time-out of its own, a state that changed meanwhile, a request
# that it thinks was replayed, a rate that is used up.
_UNDECIDED = frozenset({408, 409, 425, 429})
CLIENT_ID_MAX = 128  # Alpaca's


class AlpacaBroker:
    """Implements `trading.brokers.protocol.Broker`. account_number: what it must be; empty while connecting.
    require_allowed: raises NotConnected where no order may be sent, while all else goes on."""

    capabilities = CAPABILITIES

    def __init__(
        self, *, base_url: str, keys: ApiKeys, account_number: str, deadline_seconds: float,
        require_allowed: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._base_url = base_url
        self._require_allowed = require_allowed
        self._keys = keys
        self._account_number = account_number
        self._deadline_seconds = deadline_seconds
        headers = {"APCA-API-KEY-ID": keys.key_id, "APCA-API-SECRET-KEY": keys.secret}
        self._wire = Wire(base_url, headers=headers, deadline_seconds=deadline_seconds)
        self._asker = Asker(self._wire, keys, deadline_seconds=deadline_seconds)

    def __repr__(self) -> str:
        return f"<Alpaca account {self._account_number or 'not connected yet'}>"

    def submit(self, ticket: OrderTicket, *, gate: Gate) -> SubmitOutcome:
        """See the protocol. That no byte has left is known where the socket is: `Exchange.wrote` is set before the
        first one of the request is given to it, after the gate."""
        self._require_allowed()
        objection = terms_objection(CAPABILITIES, ticket.terms, quantity=ticket.quantity)
        if objection:
            raise NotCapable(objection)

        def look() -> None:
            reach("send.connected", detail=ticket.client_order_id)
            gate()
            reach("send.gated", detail=ticket.client_order_id)

        try:
            answer = self._wire.exchange(
                "POST", "/v2/orders", body=_order_body(ticket), before_first_byte=look,
                after_last_byte=lambda: reach("send.sent", detail=ticket.client_order_id),
            )  # fmt: skip
        except NoAnswer as failure:
            if not failure.sent:
                raise NotSent(f"{failure.reason}; nothing was sent") from None
            return Unknown(failure.reason)
        return self._outcome(answer, ticket)

    def cancel(self, order: BrokerOrder) -> CancelOutcome:
        try:
            answer = self._wire.exchange("DELETE", order_path(order))
        except NoAnswer as failure:
            return Unknown(failure.reason)
        if answer.status in {200, 202, 204}:
            return CancelRequested()
        told = refusal(answer)
        if told and (answer.status == 422 or is_not_found(answer)):
            return CancelRefused(self._clean(told[1]))
        return self._unknown(answer)

    def replace(self, order: BrokerOrder, *, quantity: Decimal, terms: OrderTerms) -> SubmitOutcome:
        """Alpaca makes a new order of it, with a client id of its own: `replacement_id` of the old one, so that an
        unknown outcome can be asked for."""
        self._require_allowed()
        objection = terms_objection(CAPABILITIES, terms, quantity=quantity)
        if objection:
            raise NotCapable(objection)
        ticket = OrderTicket(
            client_order_id=replacement_id(order.client_order_id), symbol=order.symbol, side=order.side,
            quantity=quantity, terms=terms,
        )  # fmt: skip
        body = _order_body(ticket)
        changed = {name: body[name] for name in ("qty", "time_in_force", "client_order_id")}
        changed |= {name: body[name] for name in ("limit_price", "stop_price") if name in body}
        if "trail_percent" in body:
            changed["trail"] = body["trail_percent"]
        try:
            answer = self._wire.exchange("PATCH", order_path(order), body=changed)
        except NoAnswer as failure:
            return Unknown(failure.reason)
        return self._outcome(answer, ticket)

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        order = self._asker.order(
            "/v2/orders:by_client_order_id", {"client_order_id": client_order_id}
        )  # fmt: skip
        if order is not None and order.client_order_id != client_order_id:
            raise reading.bad("it answered with another order", {"client_order_id": order.client_order_id})
        return order

    def open_orders(self) -> Sequence[BrokerOrder | UnreadableReport]:
        return self._asker.orders(status="open")

    def orders_since(self, since: datetime) -> Sequence[BrokerOrder | UnreadableReport]:
        return self._asker.orders(status="all", since=since)

    def executions_since(self, since: datetime) -> Sequence[BrokerExecution | UnreadableReport]:
        return self._asker.executions(since)

    def cash_activities_since(self, since: datetime) -> Sequence[CashActivity | UnreadableActivity]:
        return self._asker.cash_activities(since)

    def positions(self) -> Sequence[BrokerPosition]:
        payload = reading.rows(self._asker.ask("/v2/positions"), "the list of positions")
        positions = [position_of(row) for row in payload]
        if len({position.symbol for position in positions}) != len(positions):
            raise reading.bad("a symbol is there twice", payload)
        return positions

    def account(self) -> BrokerAccountState:
        payload = self._asker.ask("/v2/account")
        account = account_of(payload)
        if self._account_number and account.account_number != self._account_number:
            raise reading.bad("it is another account", {"account_number": account.account_number})
        return account

    def stream(self) -> AbstractContextManager[ExecutionStream]:
        return open_stream(
            self._base_url, keys=self._keys, deadline_seconds=self._deadline_seconds, note=self._asker.note
        )

    def close(self) -> None:
        self._wire.close()

    def _outcome(self, answer: Answer, ticket: OrderTicket) -> SubmitOutcome:
        if answer.status in {200, 201} and answer.is_json:
            payload = reading.struck(answer.payload, self._keys)
            return Accepted(self._asker.note(_as_ordered(payload, ticket)))
        if refuses_keys(answer):
            raise NotConnected(f"Alpaca refuses the keys of this account (HTTP {answer.status}).")
        told = refusal(answer)
        if told and 400 <= answer.status < 500 and answer.status not in _UNDECIDED:
            code, message = told
            if not _is_duplicate(message) and (answer.status != 404 or is_not_found(answer)):
                return Rejected(self._clean(message), code=code)
        return self._unknown(answer)

    def _unknown(self, answer: Answer) -> Unknown:
        """429 among them: Alpaca documents that requests beyond the rate are refused, not that none of them was
        taken. Its word about when to ask again is kept."""
        told = refusal(answer)
        said = self._clean(told[1]) if told else "nothing that can be understood"
        return Unknown(f"HTTP {answer.status}: {said}", retry_after_seconds=retry_after(answer))

    def _clean(self, message: str) -> str:
        cleaned: str = reading.struck(message, self._keys)
        return cleaned


def replacement_id(client_order_id: str) -> str:
    """`abc` → `abc.r1` → `abc.r2`."""
    stem, separator, count = client_order_id.rpartition(".r")
    if separator and count.isdecimal():
        return f"{stem}.r{int(count) + 1}"
    return f"{client_order_id}.r1"


def _is_duplicate(message: str) -> bool:
    """Alpaca's 422 "client_order_id must be unique": it has an order of this id, which is to be asked for."""
    return "client_order_id" in message.lower().replace(" ", "_")


def _order_body(ticket: OrderTicket) -> dict[str, Any]:
    terms = ticket.terms
    assert 0 < len(ticket.client_order_id) <= CLIENT_ID_MAX
    body = {
        "symbol": ticket.symbol,
        "qty": _written(ticket.quantity),
        "side": ticket.side,
        "type": str(terms.order_type),
        "time_in_force": str(terms.time_in_force),
        "client_order_id": ticket.client_order_id,
    }
    for name, value in (
        ("limit_price", terms.limit_price),
        ("stop_price", terms.stop_price),
        ("trail_percent", terms.trail_percentage),
    ):
        if value is not None:
            body[name] = _written(value)
    return body


def _written(value: Decimal) -> str:
    assert value.is_finite() and value > 0
    return f"{value.normalize():f}"


def _as_ordered(payload: Any, ticket: OrderTicket) -> BrokerOrder:
    """Raises BadReport unless it is the order that was sent."""
    order = order_of(payload)
    for what, told, sent in (
        ("client_order_id", order.client_order_id, ticket.client_order_id),
        ("symbol", order.symbol, ticket.symbol),
        ("side", order.side, ticket.side),
        ("qty", order.quantity, ticket.quantity),
    ):
        if told != sent:
            raise reading.bad(f"it took another order than was sent: {what} differs", payload)
    return order
