"""What the portfolios' room tells the journal: of members, limits, money and corrections."""

from decimal import Decimal
from typing import NotRequired, TypedDict
from uuid import UUID

from journal.core.kinds import EITHER, EventKind, register
from portfolios.models import LedgerTransfer, LimitSet, Role


class PortfolioCreated(TypedDict):
    name: str
    owner: str


class MemberSet(TypedDict):
    user: str
    role: Role
    actor: str


class MemberRemoved(TypedDict):
    user: str
    actor: str


class ByActor(TypedDict):
    actor: str


class CashMoved(TypedDict):
    """`amount` is positive; `cash` is what the portfolio has then."""

    entry_id: UUID
    amount: Decimal
    currency: str
    cash: Decimal
    actor: str


class Limits(TypedDict):
    """`scope_id` is null for the platform and for an instrument, which `instrument_id` names; `values` are the limits
    that are set, by name."""

    scope: LimitSet.Scope
    scope_id: UUID | None
    instrument_id: int | None
    version: int
    values: dict[str, Decimal | int]
    actor: str


class InstrumentLists(TypedDict):
    """The symbols that may be traded (all, where there are none), and those that may not, each with the reason."""

    permitted: list[str]
    restricted: dict[str, str]
    version: int
    actor: str


class PaperMarketSet(TypedDict):
    """The settings that changed, by name."""

    account_id: UUID
    actor: str
    before: dict[str, Decimal | int]
    after: dict[str, Decimal | int]


class EntryReversed(TypedDict):
    """`kind` is the entry's, `amount` the change of cash. Of units: `symbol`, and what is held then. Of a fill: its
    execution and trade."""

    entry_id: UUID
    reversal_entry_id: UUID
    kind: LedgerTransfer.Kind
    reason: str
    actor: str
    amount: Decimal
    cash: Decimal
    realised_pnl: Decimal
    symbol: NotRequired[str]
    quantity: NotRequired[Decimal]
    average_cost: NotRequired[Decimal]
    execution_id: NotRequired[str]
    trade_id: NotRequired[UUID]
    trade_type: NotRequired[str]


class CorporateActionWaiting(TypedDict):
    corporate_action_id: UUID
    symbol: str
    reason: str


class Booked(TypedDict):
    """`entry_id` is null where nothing had to be booked; `entitled` is what was held at the ex time."""

    corporate_action_id: UUID
    external_id: str
    entry_id: UUID | None
    symbol: str
    entitled: Decimal
    cash: Decimal


class DividendBooked(Booked):
    amount_per_unit: Decimal
    amount: Decimal


class PositionSplit(Booked):
    new_units: int
    old_units: int
    quantity_before: Decimal
    quantity: Decimal
    average_cost: Decimal
    cash_in_lieu: Decimal
    realised_pnl: Decimal


register(
    EventKind("portfolio.created", "A portfolio was opened", PortfolioCreated),
    EventKind("member.set", "Somebody became a member, or has another role", MemberSet),
    EventKind("member.removed", "Somebody is no member any more", MemberRemoved),
    EventKind("four_eyes.enabled", "Changes wait for a second person from now on", ByActor),
    EventKind("four_eyes.disabled", "Changes take effect without approval from now on", ByActor),
    EventKind("cash.deposited", "Money came in", CashMoved),
    EventKind("cash.withdrawn", "Money went out", CashMoved),
    EventKind("limits.set", "Limits are in force", Limits, EITHER),
    EventKind("limits.proposed", "Limits wait for a second person's approval", Limits, EITHER),
    EventKind("limits.approved", "Limits that were proposed are in force", Limits, EITHER),
    EventKind("limits.rejected", "Limits that were proposed will not be in force", Limits, EITHER),
    EventKind("permissions.set", "Lists of instruments are in force", InstrumentLists, EITHER),
    EventKind(
        "permissions.proposed", "Lists of instruments wait for a second person", InstrumentLists, EITHER
    ),
    EventKind("permissions.approved", "Lists that were proposed are in force", InstrumentLists, EITHER),
    EventKind(
        "permissions.rejected", "Lists that were proposed will not be in force", InstrumentLists, EITHER
    ),
    EventKind("account.paper_market_set", "The paper account's market was changed", PaperMarketSet),
    EventKind("entry.reversed", "An entry of the ledger was taken back", EntryReversed),
    EventKind("corporate_action.waiting", "A corporate action waits for somebody", CorporateActionWaiting),
    EventKind("dividend.booked", "A dividend was booked", DividendBooked),
    EventKind("position.split", "A split was booked", PositionSplit),
)
