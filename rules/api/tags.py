"""A rule with its tag, and changes that name the tag which they were made for."""

from contextlib import AbstractContextManager
from functools import partial
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.preconditions import tagged, unchanged
from portfolios.services.locking import lock_portfolio
from rules.api.serializers import RuleSerializer, rule_tag
from rules.models import TradingRule
from rules.selectors import with_pending


def shown_rule(rule_id: UUID, *, status: int = 200) -> Response:
    """The rule as it is now, with its tag."""
    rule = _rule(rule_id)
    return tagged(Response(RuleSerializer(rule).data, status=status), rule_tag(rule))


def rule_unchanged(request: Request, rule: TradingRule) -> AbstractContextManager[None]:
    """Raises PreconditionFailed when the client names the tag of another state."""
    lock = partial(lock_portfolio, rule.portfolio_id)
    return unchanged(request, lock=lock, current=lambda: rule_tag(_rule(rule.pk)))


def _rule(rule_id: UUID) -> TradingRule:
    return with_pending(TradingRule.objects.select_related("created_by")).get(pk=rule_id)
