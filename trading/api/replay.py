"""Why a rule did not trade, or why it did: its evaluation at a moment that is over, done again."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView, StrictSerializer
from foundation.api.schema import Problems
from portfolios.api.access import owned
from portfolios.core.access import Action
from portfolios.selectors import visible_portfolio
from rules.core.description import describe
from rules.selectors import visible_rules
from sessions.models import TradingSession
from trading.api.preview import RuleContentField
from trading.services.why_not import Answer, Question, why_not

_TAGS = ["decisions"]
_EXAMPLES = [
    OpenApiExample(
        "Another threshold",
        value={
            "at": "2026-11-30T14:32:00Z",
            "symbol": "AAPL",
            "rule": {
                "name": "Stop Loss Protection",
                "type": "exit",
                "conditions": [{"field": "position_pnl_percentage", "operator": "less_than", "value": -3}],
                "actions": [{"type": "sell", "sizing_method": "full_position"}],
            },
        },
        request_only=True,
    )
]


class _WhenSerializer(StrictSerializer):
    at = serializers.DateTimeField(
        required=False, help_text="market time; the newest snapshot of then counts. Or `slot`"
    )
    slot = serializers.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, help_text="version of the snapshot. Or `at`"
    )
    symbol = serializers.CharField(
        required=False, max_length=32, help_text="not needed for a rule about the portfolio as a whole"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("at" in attrs) == ("slot" in attrs):
            raise serializers.ValidationError({"at": "Give either `at` or `slot`, one of them."})
        return attrs


class ReplayQuerySerializer(_WhenSerializer):
    rule = serializers.UUIDField(help_text="the rule that is asked about, as it was then")


class ReplayBodySerializer(_WhenSerializer):
    rule = RuleContentField(help_text="the content that is asked about; nobody need have stored it")


class ReplayReasonSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(
        help_text="`no_session`, `not_evaluated`, `session_stopping`, `session_paused`, `rule_not_made`, "
        "`rule_not_active`, `not_true`, `unknown`; or what was recorded of a rule that was true: a decision's outcome, "
        "`nothing_recorded`"
    )
    detail = serializers.CharField(allow_blank=True)
    decision_id = serializers.UUIDField(allow_null=True, help_text="the record that says so")


class ReplayedRuleSerializer(serializers.Serializer[Any]):
    """What was explained. `id` and `version` are null for content that is not stored."""

    id = serializers.UUIDField(allow_null=True)
    version = serializers.IntegerField(allow_null=True)
    name = serializers.CharField()
    description = serializers.CharField(help_text="what it says, in plain English")
    was_active = serializers.BooleanField(help_text="whether the rule was active then")


class ReplaySerializer(serializers.Serializer[Any]):
    """`reasons` are all that stood in its way, the widest first. `facts` has every field with what was known of it then
    for this symbol, null for unknown; diversification is told by an `explanation` that asks for it."""

    slot = serializers.IntegerField(help_text="version of the snapshot")
    as_of = serializers.DateTimeField(help_text="market time of the snapshot")
    facts_at = serializers.DateTimeField(
        help_text="database time up to which the portfolio's changes were seen"
    )
    evaluated = serializers.BooleanField(
        help_text="whether the session's rules were evaluated on this slot; else `facts_at` is when it was published"
    )
    session_id = serializers.UUIDField(allow_null=True)
    session_status = serializers.CharField(
        allow_null=True, help_text=f"of then: one of {', '.join(TradingSession.Status.values)}"
    )
    rule = ReplayedRuleSerializer(allow_null=True, help_text="null: it was not made yet")
    symbol = serializers.CharField(allow_null=True, help_text="null: the portfolio as a whole")
    outcome = serializers.BooleanField(allow_null=True, help_text="null: a fact that it needs was unknown")
    reasons = ReplayReasonSerializer(many=True)
    explanation = serializers.DictField(
        allow_null=True, help_text="each condition with its fact, threshold and outcome"
    )
    facts = serializers.DictField()


class Replay(ApiView):
    actions: ClassVar[Actions] = {"get": Action.VIEW, "post": Action.VIEW}
    query_class = ReplayQuerySerializer
    problems: ClassVar[Problems] = {
        "400": "The question is not valid; `errors` says where.",
        "403": None,
        "404": "There is no such thing, or it is not yours to see; or (`snapshot_not_kept`) it is too long ago.",
        "409": None,
    }

    @extend_schema(
        operation_id="replayDecision",
        summary="Why did it, or why did it not?",
        responses=ReplaySerializer,
        tags=_TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """Evaluate a rule of the portfolio once more on the market and the portfolio of a moment that is over: what
        it said then, on the facts that its evaluation saw, whatever has happened since. For every member.
        """
        portfolio = visible_portfolio(self.actor, portfolio_id, action=self.intent)
        given = self.asked(request)
        rules = visible_rules(self.actor).filter(portfolio_id=portfolio_id)
        rule = owned(rules, given.pop("rule"), view=self, what="rule")
        return Response(_shown(why_not(Question(portfolio, rule=rule, **given))))

    @extend_schema(
        operation_id="replayContent",
        summary="What would another rule have come to?",
        request=ReplayBodySerializer,
        responses=ReplaySerializer,
        examples=_EXAMPLES,
        tags=_TAGS,
    )
    def post(self, request: Request, portfolio_id: UUID) -> Response:
        """The same on any content, as another threshold: judged on exactly the facts of then. Nothing is written. For
        every member.
        """
        portfolio = visible_portfolio(self.actor, portfolio_id, action=self.intent)
        given = self.body(ReplayBodySerializer)
        content = given.pop("rule")
        return Response(_shown(why_not(Question(portfolio, content=content, **given))))


def _shown(answer: Answer) -> dict[str, Any]:
    version, trading_session = answer.version, answer.session
    rule = None
    if version is not None:
        rule = {
            "id": version.rule_id,
            "version": version.version or None,
            "name": version.name,
            "description": describe(version.content()),
            "was_active": answer.was_active,
        }
    shown: dict[str, Any] = ReplaySerializer(
        {
            "slot": answer.snapshot.version,
            "as_of": answer.snapshot.as_of,
            "facts_at": answer.moment.at,
            "evaluated": answer.evaluated,
            "session_id": trading_session.id if trading_session is not None else None,
            "session_status": answer.session_status,
            "rule": rule,
            "symbol": answer.symbol,
            "outcome": answer.outcome,
            "reasons": answer.reasons,
            "explanation": answer.explanation,
            "facts": answer.facts,
        }
    ).data
    return shown
