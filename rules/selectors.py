"""Reading rules: who sees which, and what is in force."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import F, QuerySet

from portfolios.selectors import AnyUser, visible_portfolios
from rules.models import RuleVersion, TradingRule


def visible_rules(user: AnyUser) -> QuerySet[TradingRule]:
    """Rules of the portfolios that the user may see, archived ones included."""
    return TradingRule.objects.filter(portfolio__in=visible_portfolios(user))


def rules_of_portfolio(portfolio_id: UUID) -> QuerySet[TradingRule]:
    """A portfolio's rules that are not archived, the winners of a conflict first."""
    return TradingRule.objects.filter(portfolio_id=portfolio_id, archived_at__isnull=True)


def active_rule_versions(portfolio_ids: Iterable[UUID]) -> list[RuleVersion]:
    """What is in force: the current version of every active, unarchived rule, with its rule.

    One query for any number of portfolios, in a fixed order.
    """
    return list(
        RuleVersion.objects.filter(
            rule__portfolio_id__in=list(portfolio_ids),
            rule__is_active=True,
            rule__archived_at__isnull=True,
            version=F("rule__version"),
        )
        .select_related("rule")
        .order_by("rule__portfolio_id", "rule__created_at", "rule_id")
    )
