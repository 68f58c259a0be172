"""What the ledger alone tells of a portfolio: a witness beside the columns that are kept with it."""

import uuid
from decimal import Decimal

from django.db.models import Case, F, Q, Sum, Value, When
from django.db.models.functions import Coalesce

from foundation.core.money import ZERO
from portfolios.models import LedgerTransfer


def ledger_balance(portfolio_id: uuid.UUID) -> Decimal:
    """Its cash, as the ledger alone tells it."""
    return _ledger_sums(portfolio_id, LedgerTransfer.Account.CASH).get("", ZERO)


def ledger_units(portfolio_id: uuid.UUID) -> dict[str, Decimal]:
    """Symbol -> units held, as the ledger alone tells them; zero of what was sold again."""
    return _ledger_sums(portfolio_id, LedgerTransfer.Account.HOLDINGS)


def _ledger_sums(portfolio_id: uuid.UUID, account: str) -> dict[str, Decimal]:
    """What came to the account less what left it, by the instrument's symbol (none for money)."""
    rows = LedgerTransfer.objects.filter(portfolio_id=portfolio_id)
    touching = rows.filter(Q(debit_account=account) | Q(credit_account=account))
    signed = Case(When(debit_account=account, then=F("amount")), default=-F("amount"))
    sums = touching.values_list(Coalesce("instrument__symbol", Value(""))).annotate(total=Sum(signed))
    return {symbol: Decimal(total) for symbol, total in sums}
