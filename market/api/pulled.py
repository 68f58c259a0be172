"""What a service elsewhere answers, read by the rules of what is pushed."""

from rest_framework import serializers

from foundation.api.base import StrictSerializer
from foundation.api.parsers import NotStrictJSON, parse_strict
from foundation.api.problems import flat_errors
from foundation.errors import InvalidInput
from market.api.serializers import PushedRecommendationSerializer
from market.core.recommendation import RecommendationItem
from market.services.recommendations import ITEMS_MAX


class AnswerSerializer(StrictSerializer):
    """The body of a push; the source may be left out, for it is known who was asked."""

    source = serializers.CharField(max_length=50, required=False)  # type: ignore[assignment]
    recommendations = serializers.ListField(child=PushedRecommendationSerializer(), max_length=ITEMS_MAX)


def read_pulled(body: bytes, source: str) -> list[RecommendationItem]:
    """The advice in an answer, as a whole. Raises InvalidInput with a path for each error."""
    try:
        content = parse_strict(body.decode("utf-8"))
    except (UnicodeDecodeError, NotStrictJSON) as error:
        raise InvalidInput(f"The answer is not valid JSON: {error}") from None
    serializer = AnswerSerializer(data=content)
    if not serializer.is_valid():
        raise InvalidInput("The answer is not valid.", errors=flat_errors(serializer.errors))
    named = serializer.validated_data.get("source", source)
    if named != source:
        message = f"is {named!r}, but {source!r} was asked"
        raise InvalidInput(
            "The answer is of another source.", errors=[{"path": "source", "message": message}]
        )
    items: list[RecommendationItem] = serializer.validated_data["recommendations"]
    return items
