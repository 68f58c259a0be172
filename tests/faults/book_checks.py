"""Checks of books, decisions, journal and breaks: invariants. The numbers are those of the list of invariants. See
`checks.py`."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from itertools import combinations, product

from tests.faults.evidence import Evidence
from trading.core.order_reports import TOLD, Ours, Told, settle
from trading.core.order_states import MOVES, OrderState

S = OrderState
UNTOUCHED = (S.PENDING, S.SUBMITTING, S.ACCEPTED)  # nothing was filled of them
CENT = Decimal("0.01")
CAUSE_SECONDS = 45.0


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
            elif old is not None and old != new and (old, new) not in told_moves():
                found.append(f"{cid}: {old} → {new}")
            states[cid] = new
    return found


@cache
def told_moves() -> frozenset[tuple[OrderState, OrderState]]:
    """Those of the table, and of every path on which a broker's word takes a trade at once: the journal may tell of its
    end, and of the fill on its way, and leaves the rest out. What the paper market does are such paths, too."""
    found = {(old, new) for old, news in MOVES.items() for new in news}
    none, some, all_ = parts = [Decimal(0), Decimal(1), Decimal(2)]
    filled_of = {S.PARTIALLY_FILLED: [some], S.FILLED: [all_]} | {state: [none] for state in UNTOUCHED}
    ours = [
        Ours(state, all_, filled, *wishes)
        for state in S
        for filled in filled_of.get(state, [none, some])
        for wishes in product([False, True], repeat=2)
    ]
    for mine, word in product(ours, [Told(*row) for row in product(TOLD, parts, parts)]):
        found |= set(combinations(settle(mine, word).path, 2))
    return frozenset(found)


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
