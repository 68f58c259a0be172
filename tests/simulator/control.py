"""/control: what a test can do. No keys; the process listens on this machine alone.

GET  health                          {"seed": …}
GET  state                           accounts with exact cash, positions, number of orders; rules with their counts
POST accounts                        key, secret, cash; number, may_short, multiplier, fee_per_unit, currency, status
POST accounts/{key}                  change: status, currency, may_short, trading_blocked, account_blocked, …
POST quotes                          {symbol: {"bid", "ask"} or a price}
POST walk                            every: seconds (0 ends it), basis_points, symbols
POST policy                          fields of `matching.Policy`; with account, symbol or client_order_id: for that
POST orders/{client or order id}/{fill|cancel|expire|reject}      account; for fill: qty, price
POST expire_day                      every open day order ends; account
POST foreign/order                   account and an order as Alpaca takes it
POST foreign/position                account, symbol, qty
POST foreign/cash                    account, amount
POST charge_fees                     account: what its sales have accrued is charged
POST activity                        account and the facts as Alpaca tells them (activity_type, net_amount, description,
                                     …); in_cash: moved with it; listed: told of, listed_after: so many seconds
POST mischief                        {"rules": […]} with the fields of `mischief.Rule`
DELETE mischief                      forget all rules
POST streams/cut                     account; now, or again and again after every: [seconds, seconds] (null ends it)
POST refuse                          seconds: breaks all connections and takes no new ones
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from random import Random
from typing import Any

from tests.simulator.accounts import Account
from tests.simulator.book import Book
from tests.simulator.matching import Matching
from tests.simulator.mischief import PHASES, Mischief, Occasion
from tests.simulator.orders import Order, Refused, read_order, told
from tests.simulator.stream import Streams
from tests.simulator.wire import Request, Response, json_response

_CHANGEABLE = {
    "status", "currency", "may_short", "trading_blocked", "account_blocked", "trade_suspended_by_user",
}  # fmt: skip


class Control:
    """Answers requests under /control; 400 says what was wrong with one."""

    def __init__(
        self,
        book: Book,
        matching: Matching,
        mischief: Mischief,
        streams: Streams,
        lose_connections: Callable[[float], None],
    ) -> None:
        self.book = book
        self.matching = matching
        self.mischief = mischief
        self.streams = streams
        self.lose_connections = lose_connections
        self._repeated: dict[str, asyncio.Task[None]] = {}

    async def answer(self, request: Request) -> Response:
        name = request.path.removeprefix("/control/").strip("/")
        parts = name.split("/")
        try:
            facts = request.json() or {}
            if (request.method, name) == ("DELETE", "mischief"):
                self.mischief.rules.clear()
                return json_response(200, {})
            if request.method == "POST" and parts[0] == "accounts" and len(parts) == 2:
                return json_response(200, self._change_account(parts[1], facts))
            if request.method == "POST" and parts[0] == "orders" and len(parts) == 3:
                return json_response(200, self._act(parts[1], parts[2], facts))
            handler = getattr(self, f"_{request.method.lower()}_{name.replace('/', '_')}", None)
            if handler is None:
                return json_response(404, {"message": f"no control {request.method} {name}"})
            answer = handler(facts)
            return answer if isinstance(answer, Response) else json_response(200, answer)
        except Refused as refusal:
            return json_response(refusal.status, refusal.body)
        except (ValueError, KeyError, TypeError, AssertionError, InvalidOperation) as error:
            return json_response(400, {"message": f"{type(error).__name__}: {error}"})

    # reading

    def _get_health(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"seed": self.book.seed}

    def _get_state(self, _: dict[str, Any]) -> dict[str, Any]:
        accounts = {
            account.key: {
                "cash": f"{account.cash:f}",
                "positions": {s: f"{q:f}" for s, q in account.positions.items() if q},
                "orders": len(account.orders),
                "open": [told(order) for order in account.open.values()],
            }
            for account in self.book.accounts.values()
        }
        rules = [{"number": r.number, "name": r.name, "acted": r.acted} for r in self.mischief.rules]
        return {"accounts": accounts, "rules": rules}

    # accounts, quotes, policies

    def _post_accounts(self, facts: dict[str, Any]) -> dict[str, Any]:
        key = facts["key"]
        more = {name: facts[name] for name in _CHANGEABLE & facts.keys()}
        for name in {"multiplier", "fee_per_unit"} & facts.keys():
            more[name] = Decimal(facts[name])
        number = facts.get("number") or f"PA{Random(key).randrange(10**9):09d}"
        self.book.open_account(
            key=key, secret=facts["secret"], cash=Decimal(str(facts["cash"])), number=number, **more
        )
        return {"key": key, "number": number}

    def _change_account(self, key: str, facts: dict[str, Any]) -> dict[str, Any]:
        account = self.book.accounts[key]
        assert facts.keys() <= _CHANGEABLE, f"can change {sorted(_CHANGEABLE)}"
        self.book.log.write("account_changed", account=key, **facts)
        for name, value in facts.items():
            setattr(account, name, value)
        return {}

    def _post_quotes(self, facts: dict[str, Any]) -> dict[str, Any]:
        for symbol, quote in facts.items():
            both = quote if isinstance(quote, dict) else {"bid": quote, "ask": quote}
            self.book.market.set(symbol, Decimal(str(both["bid"])), Decimal(str(both["ask"])))
        for symbol in facts:
            self.matching.quotes_changed(symbol)
        return {}

    def _post_walk(self, facts: dict[str, Any]) -> dict[str, Any]:
        every, points = float(facts["every"]), int(facts.get("basis_points", 10))

        def step() -> None:
            for symbol in facts.get("symbols") or list(self.book.market.quotes):
                self.book.market.step(symbol, basis_points=points)
                self.matching.quotes_changed(symbol)

        self._repeat("walk", lambda: every, step)
        return {}

    def _post_policy(self, facts: dict[str, Any]) -> dict[str, Any]:
        kinds = ("account", "symbol", "client_order_id")
        changes = {name: value for name, value in facts.items() if name not in kinds}
        changed = self.matching.default.changed(changes)  # raises for unknown fields
        special = [(kind, facts[kind]) for kind in kinds if kind in facts]
        for about in special:
            self.matching.special[about] = self.matching.special.get(about, {}) | changes
        if not special:
            self.matching.default = changed
        self.matching.policy_changed()
        return {}

    # orders

    def _find(self, name: str, facts: dict[str, Any]) -> Order:
        chosen = [self.book.accounts[facts["account"]]] if "account" in facts else self.book.accounts.values()
        for account in chosen:
            if order := account.by_client_id.get(name) or account.orders.get(name):
                return order
        raise KeyError(f"no order {name}")

    def _act(self, name: str, act: str, facts: dict[str, Any]) -> dict[str, Any]:
        order = self._find(name, facts)
        self.book.work(order)
        if act == "fill":
            price = Decimal(str(facts["price"])) if "price" in facts else self.book.market.last(order.symbol)
            self.book.fill(order, Decimal(str(facts.get("qty", order.remaining))), price)
        else:
            {"cancel": self.book.cancel, "expire": self.book.expire, "reject": self.book.reject}[act](order)
        self.matching.consider(order)
        return told(order)

    def _post_expire_day(self, facts: dict[str, Any]) -> dict[str, Any]:
        ended = [
            order
            for account in self.book.accounts.values()
            if facts.get("account", account.key) == account.key
            for order in account.open.values()
            if order.time_in_force == "day"
        ]
        for order in ended:
            self.book.expire(order)
        return {"expired": len(ended)}

    # what others do in the account

    def _post_foreign_order(self, facts: dict[str, Any]) -> dict[str, Any]:
        account = self.book.accounts[facts.pop("account")]
        order = self.book.submit(account, read_order(facts), foreign=True)
        self.book.work(order)
        self.matching.begin(order)
        return told(order)

    def _post_foreign_position(self, facts: dict[str, Any]) -> dict[str, Any]:
        account = self.book.accounts[facts["account"]]
        self.book.change_position(account, facts["symbol"], Decimal(str(facts["qty"])))
        return {}

    def _post_foreign_cash(self, facts: dict[str, Any]) -> dict[str, Any]:
        self.book.change_cash(self.book.accounts[facts["account"]], Decimal(str(facts["amount"])))
        return {}

    def _post_activity(self, facts: dict[str, Any]) -> dict[str, Any]:
        account = self.book.accounts[facts.pop("account")]
        how = {name: facts.pop(name) for name in ("in_cash", "listed", "listed_after")}
        return {"id": self.book.add_activity(account, facts, **how)}

    def _post_charge_fees(self, facts: dict[str, Any]) -> dict[str, Any]:
        return {"id": self.book.charge_fees(self.book.accounts[facts["account"]])}

    # what goes wrong

    def _post_mischief(self, facts: dict[str, Any]) -> dict[str, Any]:
        return {"rules": [self.mischief.add(rule).number for rule in facts["rules"]]}

    def _get_mischief(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"kinds": {name: phase[name] for name, phase in PHASES.items()}}

    def _post_streams_cut(self, facts: dict[str, Any]) -> dict[str, Any]:
        account = self.book.accounts[facts["account"]] if facts.get("account") else None
        if "every" not in facts:
            return {"cut": self._cut(account)}
        span, draws = facts["every"], Random(f"{self.book.seed}|cuts")
        self._repeat("cuts", lambda: draws.uniform(*span) if span else 0.0, lambda: self._cut(account))
        return {}

    def _cut(self, account: Account | None) -> int:
        self.mischief.record("stream_cut", Occasion(account=account.key if account else ""))
        return self.streams.cut(account)

    def _post_refuse(self, facts: dict[str, Any]) -> Response:
        seconds = float(facts["seconds"])

        def lose() -> None:
            self.mischief.record("lost_connection", Occasion())
            self.lose_connections(seconds)

        response = json_response(200, {})
        response.afterwards = lose
        return response

    def _repeat(self, name: str, pause: Callable[[], float], act: Callable[[], object]) -> None:
        """Act after each pause until there is a pause of 0; in the place of what was repeated under this name."""

        async def run() -> None:
            while seconds := pause():
                await asyncio.sleep(seconds)
                act()

        if old := self._repeated.pop(name, None):
            old.cancel()
        self._repeated[name] = asyncio.get_running_loop().create_task(run())
