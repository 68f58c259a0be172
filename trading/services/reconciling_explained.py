"""What of an account's holdings is explained at this moment."""

from decimal import Decimal

from foundation.core.money import ZERO, as_decimal
from trading.core.explained_differences import Explained
from trading.core.reconciliation import NO_ROUNDING
from trading.models import ReconciliationBreak
from trading.services.breaks import last_success
from trading.services.reconciling import Run

Kind = ReconciliationBreak.Kind


def explained_holdings(run: Run, currency: str) -> Explained:
    """By the last explanation of each symbol, and of cash in this currency, as far as what it explains has been there
    ever since."""
    rows = ReconciliationBreak.objects.filter(
        account_id=run.account_id, kind__in=(Kind.POSITION, Kind.CASH), explained_by__isnull=False
    )
    units: dict[str, Decimal] = {}
    cash, rounding = ZERO, NO_ROUNDING
    last = last_success(run.account_id)
    for row in rows.order_by("kind", "key", "-ended_at").distinct("kind", "key"):
        if last is not None and row.last_seen_at < last:
            continue
        if row.kind == Kind.POSITION:
            units[row.key] = _more_there(row, "quantity")
        elif row.key == currency:
            lowest, highest = row.ours.get("rounding", NO_ROUNDING)
            cash, rounding = _more_there(row, "cash"), (as_decimal(lowest), as_decimal(highest))
    return Explained(units, cash, rounding)


def _more_there(row: ReconciliationBreak, name: str) -> Decimal:
    return as_decimal(row.theirs.get(name) or 0) - as_decimal(row.ours.get(name) or 0)
