"""What must never be, each a small function over the evidence that returns a line for every violation.

lost        an intent that left `pending` and has neither an order at the broker nor a final state with a reason; an
            order at the broker that no trade of ours sent
duplicated  one intent, two orders; one fill booked twice, or not as the broker filled it
guessed     a state that the broker does not bear out; exposure forgotten, or a symbol traded, while nobody knew
breaches    more than a limit allows, at any moment that the journal tells of; anything sent after a drained halt
invariants  what `verify_books` and the list of invariants say otherwise
"""

from collections.abc import Callable

from tests.faults.book_checks import (
    books_that_differ,
    breaks_without_a_cause,
    cash_that_differs,
    gaps_in_sequences,
    moves_outside_the_table,
    positions_that_differ,
    secrets_told,
    sent_without_approval,
)
from tests.faults.evidence import Evidence
from tests.faults.limit_checks import (
    beyond_limits_when_decided,
    cash_below_zero,
    decided_on_old_prices,
    sent_after_a_drained_halt,
    too_many_messages,
    too_many_trades_a_day,
)
from tests.faults.order_checks import (
    accepted_twice,
    ended_without_a_reason,
    ends_the_broker_does_not_know,
    exposure_forgotten,
    fills_not_as_the_broker_filled,
    orders_nobody_sent,
    symbols_traded_while_unknown,
    two_orders_for_one_intent,
    unsettled,
)

Check = Callable[[Evidence], list[str]]
CHECKS: dict[str, tuple[Check, ...]] = {
    "lost": (unsettled, ended_without_a_reason, orders_nobody_sent),
    "duplicated": (accepted_twice, two_orders_for_one_intent, fills_not_as_the_broker_filled),
    "guessed": (ends_the_broker_does_not_know, exposure_forgotten, symbols_traded_while_unknown),
    "breaches": (
        beyond_limits_when_decided, too_many_trades_a_day, too_many_messages, cash_below_zero,
        sent_after_a_drained_halt, decided_on_old_prices,
    ),
    "invariants_broken": (
        books_that_differ, sent_without_approval, gaps_in_sequences, moves_outside_the_table, positions_that_differ,
        cash_that_differs, breaks_without_a_cause, secrets_told,
    ),
}  # fmt: skip


def run(evidence: Evidence) -> dict[str, list[str]]:
    """Every violation, by what it is counted as."""
    return {
        name: [f"{check.__name__}: {line}" for check in checks for line in check(evidence)]
        for name, checks in CHECKS.items()
    }
