"""Reading rules: who sees which, and what is in force."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from foundation.arrays import array_text
from foundation.loading import columns_of, load_pairs, load_where, selected
from portfolios.approval import NOT_REJECTED, WAITING
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
    sql = f"SELECT v.id, r.portfolio_id, v.rule_type {_IN_FORCE}"
    return [InForce(*row) for row in selected(sql, [list(portfolio_ids)])]


def active_rule_versions(portfolio_ids: Iterable[UUID]) -> list[RuleVersion]:
    """The same with all that they say, and their rules."""
    return _with_rules(_IN_FORCE, [list(portfolio_ids)])


def contents_by_id(version_ids: Iterable[int]) -> dict[int, RuleVersion]:
    """Versions by id, without their rules."""
    rows = load_where(RuleVersion, "t.id = ANY(%s::bigint[])", [array_text(version_ids)])
    return {row.pk: row for row in rows}


def versions_by_id(version_ids: Iterable[int]) -> dict[int, RuleVersion]:
    """Versions with their rules, by id."""
    wanted = list(set(version_ids))
    found = _with_rules(f"{_JOINED} WHERE v.id = ANY(%s)", [wanted]) if wanted else []
    return {version.pk: version for version in found}


_JOINED = "FROM rule_versions AS v JOIN trading_rules AS r ON r.id = v.rule_id"
# The current version of every active, unarchived rule, if it needs no approval or has it (`MAY_BE_IN_FORCE`).
_IN_FORCE = f"""
    {_JOINED}
    WHERE (NOT v.needs_approval OR v.approved) AND r.portfolio_id = ANY(%s) AND r.is_active AND r.archived_at IS NULL
      AND v.version = r.version
    ORDER BY r.portfolio_id, r.created_at, v.rule_id
"""


def _with_rules(what: str, params: list[Any]) -> list[RuleVersion]:
    sql = f"SELECT {columns_of(RuleVersion, 'v')}, {columns_of(TradingRule, 'r')} {what}"
    found = load_pairs(RuleVersion, TradingRule, sql, params)
    for version, rule in found:
        version.rule = rule
    return [version for version, _ in found]
