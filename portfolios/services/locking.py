"""The lock that every change of a portfolio's money, trades, positions, rules and limits takes first."""

import uuid

from foundation.errors import NotFound
from portfolios.models import Portfolio


def lock_portfolio(portfolio_id: uuid.UUID) -> None:
    """To the transaction's end. Raises NotFound."""
    if not Portfolio.objects.select_for_update(no_key=True).filter(pk=portfolio_id).exists():
        raise NotFound("There is no such portfolio.")
