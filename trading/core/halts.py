"""Which halts cover an order, and what they leave permitted. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID


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

    def belongs_to(self, halt: HaltInForce) -> bool:
        if halt.scope == "platform":
            return True
        mine = {
            "account": str(self.account_id),
            "portfolio": str(self.portfolio_id),
            "session": str(self.session_id),
            "rule": str(self.rule_id),
            "symbol": self.symbol,
        }
        return mine[halt.scope] == halt.scope_id


def strictest(halts: Iterable[HaltInForce], order: OrderScopes) -> HaltInForce | None:
    """The halt that decides: any in mode `halt` before any `reduce_only`; None when nothing covers the order."""
    covering = [halt for halt in halts if order.belongs_to(halt)]
    return min(covering, key=lambda halt: (halt.mode != "halt", str(halt.id)), default=None)


def forbids(halt: HaltInForce | None, *, reduces: bool) -> bool:
    """Whether an order may not go out: in `halt` none may, in `reduce_only` only reductions."""
    return halt is not None and (halt.mode == "halt" or not reduces)
