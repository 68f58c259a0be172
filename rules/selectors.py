"""Reading rules: who sees which, and what is in force."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Prefetch, QuerySet

from portfolios.approval import MAY_BE_IN_FORCE, NOT_REJECTED, WAITING
from portfolios.selectors import AnyUser, visible_portfolios
from rules.models import RuleVersion, TradingRule


def visible_rules(user: AnyUser) -> QuerySet[TradingRule]:
    """Rules of the portfolios that the user may see, archived ones included."""
    return TradingRule.objects.filter(portfolio__in=visible_portfolios(user))


def rules_of_portfolio(portfolio_id: UUID) -> QuerySet[TradingRule]:
    """A portfolio's rules that are not archived, the winners of a conflict first."""
    return TradingRule.objects.filter(portfolio_id=portfolio_id, archived_at__isnull=True)


def pending_versions() -> QuerySet[RuleVersion]:
    """What waits for a second person: of each rule the newest version. A newer one replaces an older one that
    waits, unless it was rejected itself."""
    newer = RuleVersion.objects.filter(
        NOT_REJECTED, rule_id=OuterRef("rule_id"), version__gt=OuterRef("version")
    )
    return RuleVersion.objects.filter(WAITING, ~Exists(newer))


def with_pending(rules: QuerySet[TradingRule]) -> QuerySet[TradingRule]:
    """The rules with `pending_versions`, a list of at most one, each with its author; one more query for all."""
    pending = pending_versions().select_related("created_by")
    return rules.prefetch_related(Prefetch("versions", queryset=pending, to_attr="pending_versions"))


def latest_version(rule_id: UUID) -> RuleVersion | None:
    """The newest version that was not rejected: in force, or waiting for a second person."""
    return RuleVersion.objects.filter(NOT_REJECTED, rule_id=rule_id).order_by("-version").first()


class InForce(NamedTuple):
    """A rule in force, by its current version; what it says is not read."""

    version_id: int
    portfolio_id: UUID
    rule_type: str


def rules_in_force(portfolio_ids: Iterable[UUID]) -> list[InForce]:
    """Which versions are in force: one small query for any number of portfolios, in a fixed order."""
    rows = _in_force(portfolio_ids).values_list("id", "rule__portfolio_id", "rule_type")
    return [InForce(*row) for row in rows]


def active_rule_versions(portfolio_ids: Iterable[UUID]) -> list[RuleVersion]:
    """The same with all that they say, and their rules."""
    return list(_in_force(portfolio_ids).select_related("rule"))


def versions_by_id(version_ids: Iterable[int]) -> dict[int, RuleVersion]:
    """Versions with their rules, by id."""
    wanted = set(version_ids)
    return RuleVersion.objects.select_related("rule").order_by().in_bulk(wanted) if wanted else {}


def _in_force(portfolio_ids: Iterable[UUID]) -> QuerySet[RuleVersion]:
    """The current version of every active, unarchived rule, if it needs no approval or has it."""
    return RuleVersion.objects.filter(
        MAY_BE_IN_FORCE,
        rule__portfolio_id__in=list(portfolio_ids),
        rule__is_active=True,
        rule__archived_at__isnull=True,
        version=F("rule__version"),
    ).order_by("rule__portfolio_id", "rule__created_at", "rule_id")
