"""Limits of the platform, of a broker account and of an instrument, and the catalogue of all that there are."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.api.actions import Actions
from foundation.api.base import ApiView
from foundation.api.preconditions import tagged, unchanged
from foundation.api.schema import Problems
from foundation.errors import NotFound
from market.models import Instrument
from portfolios.api.limits import limits_answer, limits_tag, limits_unchanged, scope_tag, version_shown
from portfolios.api.serializers import (
    LimitsSerializer,
    LimitValuesSerializer,
    LimitVersionSerializer,
    all_limits,
)
from portfolios.core.access import Action
from portfolios.core.limits import CATALOGUE
from portfolios.models import LimitSet
from portfolios.selectors import (
    account_of,
    current_instrument_limits,
    current_limit_sets,
    pending_limit_sets,
    pending_limits,
    visible_portfolio,
)
from portfolios.services.limits import lock_platform, set_limits

TAGS = ["limits"]
_OF_STAFF: Problems = {"403": "For staff only."}
LIMITS_EXAMPLE = OpenApiExample(
    "Two limits", value={"max_order_value": "5000", "max_spread_bps": "50"}, request_only=True
)


class LimitSpecSerializer(serializers.Serializer[Any]):
    """One limit. Each may be set on the platform, an account, a portfolio, a session and an instrument."""

    name = serializers.CharField()
    meaning = serializers.CharField()
    unit = serializers.CharField()
    default = serializers.DecimalField(
        max_digits=20, decimal_places=8, help_text="of the platform in a new installation"
    )
    higher_is_tighter = serializers.BooleanField(
        help_text="true: of several scopes the highest value holds; false: the lowest"
    )
    open_end = serializers.DecimalField(
        max_digits=20,
        decimal_places=8,
        allow_null=True,
        help_text="the value at which everything passes, even what is unknown",
    )


class ScopeLimitsSerializer(serializers.Serializer[Any]):
    current = LimitVersionSerializer(allow_null=True, help_text="in force; null where nothing was ever set")
    pending = LimitVersionSerializer(allow_null=True, help_text="waits for a second person's approval")


def _answer(current: LimitSet | None, pending: LimitSet | None) -> Response:
    shown = {"current": version_shown(current), "pending": version_shown(pending)}
    return tagged(Response(ScopeLimitsSerializer(shown).data), limits_tag(current, pending))


class LimitCatalogue(ApiView):
    actions: ClassVar[Actions] = {"get": Action.SEE_LANGUAGE}
    pagination_class = None  # some thirty, always wanted together

    @extend_schema(
        operation_id="getLimitCatalogue",
        summary="The limits that there are",
        responses=LimitSpecSerializer(many=True),
        filters=False,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Every limit that may be set: what it means, its unit, and which of two values is the tighter one."""
        return Response(LimitSpecSerializer(CATALOGUE, many=True).data)


class PlatformLimits(ApiView):
    tags_of = "the platform's limits"
    actions: ClassVar[Actions] = {"get": Action.LIMIT_PLATFORM, "put": Action.LIMIT_PLATFORM}
    problems: ClassVar[Problems] = _OF_STAFF

    @extend_schema(
        operation_id="getPlatformLimits",
        summary="The platform's limits",
        responses=ScopeLimitsSerializer,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """The ceilings that hold in every portfolio. For staff."""
        return self._current()

    @extend_schema(
        operation_id="setPlatformLimits",
        summary="Set the platform's limits",
        request=LimitValuesSerializer,
        responses=ScopeLimitsSerializer,
        examples=[LIMITS_EXAMPLE],
        tags=TAGS,
    )
    def put(self, request: Request) -> Response:
        """Make a new version, as a whole: what is left out is no longer set by the platform. For staff.

        A limit that no scope sets means no trade: send all that are in force, with the one that is to change.
        As soon as any portfolio needs four eyes nothing changes yet: the version is shown as `pending`, in place of
        one that waited before, until other staff approve it.
        """
        values = all_limits(self.body(LimitValuesSerializer))
        with unchanged(request, lock=lock_platform, current=lambda: scope_tag("platform", None)):
            set_limits(scope=LimitSet.Scope.PLATFORM, values=values, actor=self.actor)
        return self._current()

    def _current(self) -> Response:
        key = ("platform", None)
        return _answer(current_limit_sets([key]).get(key), pending_limits([key]).get(key))


class AccountLimits(ApiView):
    tags_of = "the account's limits"
    actions: ClassVar[Actions] = {"get": Action.VIEW, "put": Action.SET_LIMITS}

    @extend_schema(
        operation_id="getAccountLimits",
        summary="Limits of the broker account",
        responses=LimitsSerializer,
        tags=TAGS,
    )
    def get(self, request: Request, portfolio_id: UUID) -> Response:
        """The same as the portfolio's limits: what each scope sets, the account among them, and what holds."""
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        return limits_answer(portfolio_id, of="account")

    @extend_schema(
        operation_id="setAccountLimits",
        summary="Set the broker account's limits",
        request=LimitValuesSerializer,
        responses=LimitsSerializer,
        examples=[LIMITS_EXAMPLE],
        tags=TAGS,
    )
    def put(self, request: Request, portfolio_id: UUID) -> Response:
        """Make a new version for the account that serves this portfolio, as a whole. For risk officers and owners.

        Where the portfolio needs four eyes, nothing changes yet: the version is shown as `account_pending`, in place
        of one that waited before, until another risk officer or owner approves it.
        """
        visible_portfolio(self.actor, portfolio_id, action=self.intent)
        account_id = account_of(portfolio_id)
        if account_id is None:
            raise NotFound("This portfolio has no broker account.")
        values = all_limits(self.body(LimitValuesSerializer))
        with limits_unchanged(request, LimitSet.Scope.ACCOUNT, account_id, portfolio_id):
            set_limits(
                scope=LimitSet.Scope.ACCOUNT, scope_id=account_id, values=values, actor=self.actor,
                portfolio_id=portfolio_id,
            )  # fmt: skip
        return limits_answer(portfolio_id, of="account")


class InstrumentLimits(ApiView):
    tags_of = "the instrument's limits"
    actions: ClassVar[Actions] = {"get": Action.LIMIT_PLATFORM, "put": Action.LIMIT_PLATFORM}
    problems: ClassVar[Problems] = _OF_STAFF

    @extend_schema(
        operation_id="getInstrumentLimits",
        summary="An instrument's limits",
        responses=ScopeLimitsSerializer,
        tags=TAGS,
    )
    def get(self, request: Request, symbol: str) -> Response:
        """What this instrument's orders are limited to, in every portfolio. For staff."""
        return self._current(self._instrument_id(symbol))

    @extend_schema(
        operation_id="setInstrumentLimits",
        summary="Set an instrument's limits",
        request=LimitValuesSerializer,
        responses=ScopeLimitsSerializer,
        examples=[LIMITS_EXAMPLE],
        tags=TAGS,
    )
    def put(self, request: Request, symbol: str) -> Response:
        """Make a new version, as a whole; it holds for this instrument's orders in every portfolio. For staff.

        As soon as any portfolio needs four eyes nothing changes yet: the version is shown as `pending`, in place of
        one that waited before, until other staff approve it.
        """
        instrument_id = self._instrument_id(symbol)
        values = all_limits(self.body(LimitValuesSerializer))
        with unchanged(
            request, lock=lock_platform, current=lambda: limits_tag(*self._versions(instrument_id))
        ):
            set_limits(
                scope=LimitSet.Scope.INSTRUMENT, instrument_id=instrument_id, values=values, actor=self.actor
            )
        return self._current(instrument_id)

    def _current(self, instrument_id: int) -> Response:
        return _answer(*self._versions(instrument_id))

    @staticmethod
    def _versions(instrument_id: int) -> tuple[LimitSet | None, LimitSet | None]:
        """In force, and waiting."""
        pending = pending_limit_sets().filter(instrument_id=instrument_id).select_related("created_by")
        return current_instrument_limits(instrument_id), pending.first()

    def _instrument_id(self, symbol: str) -> int:
        found = Instrument.objects.filter(symbol=symbol).values_list("id", flat=True).first()
        if found is None:
            raise NotFound(f"There is no instrument {symbol[:40]!r}.")
        return found
