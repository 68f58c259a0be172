"""What the simulator's log and our tables say at the end, read once, as plain values for the checks."""

import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Prefetch

from journal.models import Entry
from portfolios.models import LedgerTransfer, Portfolio, Position
from tests.faults.watching import Message
from tests.simulator.witness import Witness, WitnessedOrder
from trading.core.order_states import FINAL
from trading.models import AutoTrade, Execution, Halt, ReconciliationBreak

FINAL_NAMES = frozenset(str(state) for state in FINAL)


@dataclass(frozen=True)
class Trade:
    """key: of its account at the simulator, "" on paper. checks: of the decision that approved it."""

    id: uuid.UUID
    portfolio_id: uuid.UUID
    account_id: uuid.UUID
    key: str
    client_order_id: str
    symbol: str
    side: str
    quantity: Decimal
    filled: Decimal
    status: str
    reason: str
    attempt: int
    limits_version: str
    price_age_ms: int
    market_day: date
    outcome: str
    checks: Sequence[Mapping[str, Any]]
    session_id: uuid.UUID | None = None
    rule_id: uuid.UUID | None = None
    slot: int = 0
    origin: str = "rule"

    def __str__(self) -> str:
        return f"{self.client_order_id} ({self.key or 'paper'} {self.side} {self.symbol} {self.status})"


@dataclass(frozen=True)
class Fill:
    """One execution of ours."""

    trade_id: uuid.UUID
    execution_id: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True)
class Event:
    """One entry of a portfolio's journal; their order by seq is the order in which things were committed."""

    portfolio_id: uuid.UUID
    seq: int
    kind: str
    at: float
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Stop:
    """A halt; unix times of database time, None: not yet."""

    scope: str
    scope_id: str
    mode: str
    drained_at: float | None
    released_at: float | None


@dataclass(frozen=True)
class Break:
    key: str
    kind: str
    detail: str
    found_at: float
    is_open: bool


@dataclass
class Evidence:
    """submits: (unix time, account's key, client order id) of every order that reached the simulator. cash_history:
    each portfolio's cash after each entry of its ledger. lied: whether an account was told something untrue between
    two times."""

    witness: Witness
    trades: Sequence[Trade] = ()
    fills: Sequence[Fill] = ()
    events: Sequence[Event] = ()
    halts: Sequence[Stop] = ()
    breaks: Sequence[Break] = ()
    holdings: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    cash: Mapping[str, Decimal] = field(default_factory=dict)
    cash_history: Mapping[uuid.UUID, Sequence[Decimal]] = field(default_factory=dict)
    submits: Sequence[tuple[float, str, str]] = ()
    messages: Sequence[Message] = ()
    not_reserved: Sequence[str] = ()
    book_differences: Sequence[str] = ()
    limits: Mapping[str, Decimal] = field(default_factory=dict)
    lied: Callable[[str, float, float], bool] = lambda key, since, until: False
    secrets_in_logs: Sequence[str] = ()

    def orders(self) -> dict[str, WitnessedOrder]:
        """What clients asked for, by their id, taken or not."""
        return {cid: order for (_, cid), order in self.witness.orders.items() if not order.foreign}

    def of_portfolio(self) -> dict[uuid.UUID, list[Event]]:
        """Each one's events in their order."""
        found: dict[uuid.UUID, list[Event]] = defaultdict(list)
        for event in self.events:
            found[event.portfolio_id].append(event)
        return {key: sorted(events, key=lambda event: event.seq) for key, events in found.items()}


def read_trades(keys: Mapping[uuid.UUID, str]) -> list[Trade]:
    """keys: account id -> its key at the simulator."""
    rows = AutoTrade.objects.select_related("decision").order_by("created_at", "id")
    return [
        Trade(
            id=row.id, portfolio_id=row.portfolio_id, account_id=row.account_id, key=keys.get(row.account_id, ""),
            client_order_id=row.client_order_id, symbol=row.symbol, side=row.trade_type, quantity=row.quantity,
            filled=row.filled_quantity, status=row.status, reason=row.status_reason, attempt=row.attempt,
            limits_version=row.limits_version, price_age_ms=row.price_age_ms, market_day=row.market_day,
            outcome=row.decision.outcome, checks=row.decision.checks, session_id=row.session_id,
            rule_id=row.rule_id, slot=row.slot, origin=row.origin,
        )
        for row in rows.iterator(chunk_size=2000)
    ]  # fmt: skip


def read_fills() -> list[Fill]:
    rows = Execution.objects.values_list("trade_id", "execution_id", "quantity", "price")
    return [Fill(*row) for row in rows]


def read_events(portfolio_ids: Sequence[uuid.UUID]) -> list[Event]:
    rows = Entry.objects.filter(stream_id__in=portfolio_ids).order_by("stream_id", "seq")
    return [
        Event(row.stream_id, row.seq, row.kind, row.recorded_at.timestamp(), json.loads(row.payload))
        for row in rows.iterator(chunk_size=5000)
    ]


def read_halts() -> list[Stop]:
    return [
        Stop(
            row.scope, row.scope_id, row.mode, row.drained_at.timestamp() if row.drained_at else None,
            row.released_at.timestamp() if row.released_at else None,
        )
        for row in Halt.objects.all()
    ]  # fmt: skip


def read_breaks(keys: Mapping[uuid.UUID, str]) -> list[Break]:
    return [
        Break(
            keys.get(row.account_id, ""), row.kind, row.detail, row.found_at.timestamp(), row.ended_at is None
        )
        for row in ReconciliationBreak.objects.order_by("found_at")
    ]


def read_holdings(
    keys: Mapping[uuid.UUID, str]
) -> tuple[dict[str, dict[str, Decimal]], dict[str, Decimal]]:  # fmt: skip
    """(positions that are not zero, cash), by the account's key. keys: portfolio id -> key."""
    positions = Position.objects.exclude(quantity=0).select_related("instrument")
    held: dict[str, dict[str, Decimal]] = {}
    cash: dict[str, Decimal] = {}
    rows = Portfolio.objects.filter(pk__in=keys).prefetch_related(Prefetch("positions", queryset=positions))
    for row in rows:
        held[keys[row.pk]] = {p.instrument.symbol: p.quantity for p in row.positions.all()}
        cash[keys[row.pk]] = row.cash
    return held, cash


def read_cash_history() -> dict[uuid.UUID, list[Decimal]]:
    """After each entry: its transfers come together."""
    history: dict[uuid.UUID, list[Decimal]] = defaultdict(list)
    sums: dict[uuid.UUID, Decimal] = defaultdict(Decimal)
    last: dict[uuid.UUID, uuid.UUID] = {}
    rows = LedgerTransfer.objects.order_by("id").values_list(
        "portfolio_id", "entry_id", "debit_account", "credit_account", "amount"
    )
    for portfolio_id, entry_id, debit, credit, amount in rows.iterator(chunk_size=5000):
        moved = amount if debit == "cash" else -amount if credit == "cash" else Decimal(0)
        sums[portfolio_id] += moved
        if last.get(portfolio_id) == entry_id:
            history[portfolio_id][-1] = sums[portfolio_id]
        else:
            history[portfolio_id].append(sums[portfolio_id])
        last[portfolio_id] = entry_id
    return history
