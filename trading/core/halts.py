"""Which halts cover an order, and what they leave permitted. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

# Key of the advisory lock between paper batches (shared) and a draining halt (exclusive).
HALT_KEY = 0x4175746F48616C74

SCOPES = ("platform", "account", "portfolio", "session", "rule", "symbol")


@dataclass(frozen=True)
class HaltInForce:
    """scope_id is text: a UUID, a symbol, or empty for the platform. mode: halt or reduce_only.

    rule_id: the rule that armed it, None for people, breakers and the command line.
    """

    id: UUID
    scope: str
    scope_id: str
    mode: str
    reason: str
    rule_id: UUID | None = None


@dataclass(frozen=True)
class OrderScopes:
    """Everything that an order belongs to and that may be halted."""

    account_id: UUID
    portfolio_id: UUID
    session_id: UUID | None
    rule_id: UUID | None
    symbol: str

    def scopes(self) -> dict[str, str]:
        """Scope -> the scope_id of the halts that cover it."""
        ids = {
            "account": self.account_id,
            "portfolio": self.portfolio_id,
            "session": self.session_id,
            "rule": self.rule_id,
            "symbol": self.symbol,
        }
        return {"platform": ""} | {scope: str(key) for scope, key in ids.items() if key is not None}


class Halts:
    """Halts by what they stop: an order meets none but its own, however many there are."""

    def __init__(self, halts: Iterable[HaltInForce] = ()) -> None:
        self._found: dict[str, dict[str, list[HaltInForce]]] = {}  # by scope and scope_id
        for halt in halts:
            self._found.setdefault(halt.scope, {}).setdefault(halt.scope_id, []).append(halt)

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[HaltInForce]:
        return (halt for found in self._found.values() for halts in found.values() for halt in halts)

    def covering(self, order: OrderScopes) -> list[HaltInForce]:
        if not self._found:
            return []
        return [
            halt
            for scope, scope_id in order.scopes().items()
            for halt in self._found.get(scope, {}).get(scope_id, ())
        ]

    def within(self, *, account_id: UUID, portfolio_id: UUID, session_id: UUID | None) -> "Halts":
        """Those that may cover an order of one portfolio: without other portfolios' own."""
        mine = {"account": str(account_id), "portfolio": str(portfolio_id), "session": str(session_id)}
        found = Halts()
        for scope, halts in self._found.items():
            only = mine.get(scope)
            found._found[scope] = halts if only is None else {only: halts.get(only, [])}
        return found


def strictest(halts: Iterable[HaltInForce], order: OrderScopes) -> HaltInForce | None:
    """The halt that decides: any in mode `halt` before any `reduce_only`; None when nothing covers the order."""
    covering = (halts if isinstance(halts, Halts) else Halts(halts)).covering(order)
    return min(covering, key=lambda halt: (halt.mode != "halt", str(halt.id)), default=None)


def forbids(halt: HaltInForce | None, *, reduces: bool) -> bool:
    """Whether an order may not go out: in `halt` none may, in `reduce_only` only reductions."""
    return halt is not None and (halt.mode == "halt" or not reduces)
