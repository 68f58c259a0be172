"""Checks of books, decisions, journal and breaks: invariants. The numbers are those of the list of invariants. See
`checks.py`."""

from collections.abc import Mapping
from decimal import Decimal

from tests.faults.evidence import Evidence
from trading.core.order_states import FINAL, MOVES, OrderState

CENT = Decimal("0.01")
CAUSE_SECONDS = 45.0
HOPS_MAX = 4  # of the table, that one transaction may take and tell of only by the last


def books_that_differ(evidence: Evidence) -> list[str]:
    """7, 8, 10 and 11, as `manage.py verify_books` says it."""
    return list(evidence.book_differences)


def sent_without_approval(evidence: Evidence) -> list[str]:
    """4: a passing decision that names limits and price age."""
    return [
        f"{trade}: decision {trade.outcome}, limits {trade.limits_version!r}, age {trade.price_age_ms}"
        for trade in evidence.trades
        if trade.outcome != "traded" or not trade.checks or not all(c["passed"] for c in trade.checks)
        or not trade.limits_version or trade.price_age_ms < 0
    ]  # fmt: skip


def gaps_in_sequences(evidence: Evidence) -> list[str]:
    """10."""
    found = []
    for portfolio_id, events in evidence.of_portfolio().items():
        numbers = [event.seq for event in events]
        if numbers != list(range(1, len(numbers) + 1)):
            found.append(f"portfolio {portfolio_id}: {len(numbers)} events up to {numbers[-1]}")
    return found


def moves_outside_the_table(evidence: Evidence) -> list[str]:
    """7, from the journal."""
    found = []
    for events in evidence.of_portfolio().values():
        states: dict[str, str] = {}
        for event in events:
            if not event.kind.startswith("trade.") or "client_order_id" not in event.payload:
                continue
            cid, new = event.payload["client_order_id"], event.payload["status"]
            old = states.get(cid)
            if old is None and new != "pending":
                found.append(f"{cid}: begins as {new}")
            elif old is not None and old != new and not _leads_to(old, new):
                found.append(f"{cid}: {old} → {new}")
            states[cid] = new
    return found


def _leads_to(old: str, new: str) -> bool:
    reached = {OrderState(old)}
    for _ in range(HOPS_MAX):
        reached |= {after for state in reached - FINAL | {OrderState(old)} for after in MOVES[state]}
    return OrderState(new) in reached


def positions_that_differ(evidence: Evidence) -> list[str]:
    """8: ours and the witness's, of each account."""
    found = []
    for key, ours in evidence.holdings.items():
        theirs = {symbol: units for symbol, units in evidence.witness.positions[key].items() if units}
        if dict(ours) != theirs:
            found.append(f"{key}: we hold {_plain(ours)}, the broker {_plain(theirs)}")
    return found


def cash_that_differs(evidence: Evidence) -> list[str]:
    """8: to a cent."""
    return [
        f"{key}: our cash is {ours:f}, the broker's {evidence.witness.cash[key]:f}"
        for key, ours in evidence.cash.items()
        if abs(ours - evidence.witness.cash[key]) > CENT
    ]


def _plain(units: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{quantity:f} {symbol}" for symbol, quantity in sorted(units.items())) or "nothing"


def breaks_without_a_cause(evidence: Evidence) -> list[str]:
    """2 and 8: no difference but where the broker was heard to say what is not true; and none is left open."""
    found = []
    for row in evidence.breaks:
        if not evidence.lied(row.key, row.found_at - CAUSE_SECONDS, row.found_at + 1.0):
            found.append(f"{row.key}: {row.kind}, {row.detail}: the broker had said nothing untrue")
        elif row.is_open:
            found.append(f"{row.key}: {row.kind}, {row.detail}: still open")
    return found


def secrets_told(evidence: Evidence) -> list[str]:
    """12."""
    return list(evidence.secrets_in_logs)
