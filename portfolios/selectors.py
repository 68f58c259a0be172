"""Who sees what, and which limits are in force."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet

from foundation.errors import Forbidden, NotFound
from journal.core.events import PLATFORM_STREAM
from portfolios.core.limits import LIMIT_NAMES, EffectiveLimits, LimitRow, tightest
from portfolios.core.permissions import RESTRICTED, Permission, Permissions, permissions_of
from portfolios.models import BrokerAccount, InstrumentPermission, LimitSet, Member, Portfolio, Role

AnyUser = AbstractBaseUser | AnonymousUser
# What a role may do includes what the roles before it may do, but that a risk officer does not trade.
MAY_TRADE = frozenset({Role.TRADER, Role.OWNER})
MAY_SET_LIMITS = frozenset({Role.RISK_OFFICER, Role.OWNER})
MAY_STOP = frozenset({Role.TRADER, Role.RISK_OFFICER, Role.OWNER})
MAY_OWN = frozenset({Role.OWNER})


def visible_portfolios(user: AnyUser) -> QuerySet[Portfolio]:
    """Those the user is a member of; a superuser sees all."""
    if not user.is_active:
        return Portfolio.objects.none()
    if getattr(user, "is_superuser", False):
        return Portfolio.objects.all()
    return Portfolio.objects.filter(memberships__user__id=user.pk)


def visible_streams(user: AnyUser) -> list[uuid.UUID]:
    """The journal streams that the user may read: his portfolios', and the platform's for staff."""
    streams = list(visible_portfolios(user).values_list("id", flat=True))
    if user.is_active and getattr(user, "is_staff", False):
        streams.append(PLATFORM_STREAM)
    return streams


def actionable_streams(user: AnyUser) -> list[uuid.UUID]:
    """The streams whose alerts he may acknowledge: where he may stop trading, and the platform's for staff."""
    if not user.is_active:
        return []
    superuser = getattr(user, "is_superuser", False)
    portfolios = Portfolio.objects.all()
    if not superuser:
        portfolios = portfolios.filter(memberships__user__id=user.pk, memberships__role__in=MAY_STOP)
    streams = list(portfolios.values_list("id", flat=True))
    if superuser or getattr(user, "is_staff", False):
        streams.append(PLATFORM_STREAM)
    return streams


def role_of(user: AnyUser, portfolio_id: uuid.UUID) -> str | None:
    """His role in it; a superuser without membership acts as owner; None: it must not exist for him."""
    user_id = user.pk
    if user_id is None:
        return None
    mine = Member.objects.filter(portfolio_id=portfolio_id, user_id=user_id)
    role = mine.values_list("role", flat=True).first()
    if role is None and getattr(user, "is_superuser", False):
        return Role.OWNER
    return role


def visible_portfolio(
    user: AnyUser, portfolio_id: uuid.UUID, *, roles: Iterable[str] | None = None
) -> Portfolio:
    """The portfolio, if the user may see it (else NotFound) and has one of the roles (else Forbidden)."""
    portfolio = visible_portfolios(user).filter(pk=portfolio_id).first()
    if portfolio is None:
        raise NotFound("There is no such portfolio, or it is not yours to see.")
    require_role(user, portfolio_id, roles=roles)
    return portfolio


def require_role(user: AnyUser, portfolio_id: uuid.UUID, *, roles: Iterable[str] | None) -> None:
    """Raise Forbidden unless the user has one of the roles in this portfolio; None asks for nothing."""
    if roles is None:
        return
    role = role_of(user, portfolio_id)
    if role not in set(roles):
        wanted = " or ".join(sorted(str(name) for name in roles))
        raise Forbidden(f"This needs the role {wanted}; yours is {role}.", code="role_required")


def limit_values(row: LimitSet) -> dict[str, Decimal | None]:
    return {name: getattr(row, name) for name in LIMIT_NAMES}


LimitKey = tuple[str, uuid.UUID | None]


def current_limit_sets(scopes: Iterable[LimitKey]) -> dict[LimitKey, LimitSet]:
    """The version in force of each scope given, in one query; scopes without limits are absent."""
    wanted = set(scopes)
    ids = {scope_id for _, scope_id in wanted if scope_id is not None}
    rows = (
        LimitSet.objects.filter(Q(scope_id__in=ids) | Q(scope=LimitSet.Scope.PLATFORM))
        .order_by("scope", "scope_id", "-version")
        .distinct("scope", "scope_id")
    )
    found: dict[LimitKey, LimitSet] = {(row.scope, row.scope_id): row for row in rows}
    return {key: row for key, row in found.items() if key in wanted}


def instrument_limits() -> dict[int, LimitRow]:
    """What is in force for single instruments, by their id; few have limits of their own."""
    rows = (
        LimitSet.objects.filter(scope=LimitSet.Scope.INSTRUMENT)
        .order_by("instrument_id", "-version")
        .distinct("instrument_id")
    )
    return {row.instrument_id: limit_row(row) for row in rows if row.instrument_id is not None}


def limit_row(row: LimitSet) -> LimitRow:
    return (row.scope, row.version, limit_values(row))


def effective_limits(owners: Mapping[uuid.UUID, uuid.UUID | None]) -> dict[uuid.UUID, EffectiveLimits]:
    """For each portfolio (and its running session, or None) the limits that hold: the tightest of platform,
    account, portfolio and session. An instrument's are added for each order. Two queries."""
    accounts = dict(BrokerAccount.objects.filter(portfolio_id__in=owners).values_list("portfolio_id", "id"))
    keys: dict[uuid.UUID, list[LimitKey]] = {
        portfolio_id: [
            ("platform", None),
            ("account", accounts.get(portfolio_id)),
            ("portfolio", portfolio_id),
            ("session", session_id),
        ]
        for portfolio_id, session_id in owners.items()
    }
    found = current_limit_sets(key for mine in keys.values() for key in mine)
    return {
        portfolio_id: tightest(limit_row(found[key]) for key in mine if key in found)
        for portfolio_id, mine in keys.items()
    }


def instrument_permissions(portfolio_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Permissions]:
    """What each portfolio may buy, by its own lists and the platform's, in one query."""
    rows = InstrumentPermission.objects.filter(
        Q(portfolio_id__in=portfolio_ids) | Q(portfolio=None)
    ).values_list("portfolio_id", "instrument_id", "kind", "reason")
    of_all: list[Permission] = []
    own: dict[uuid.UUID, list[Permission]] = {}
    for portfolio_id, instrument_id, kind, reason in rows:
        row = Permission(instrument_id, kind, reason, of_platform=portfolio_id is None)
        (of_all if portfolio_id is None else own.setdefault(portfolio_id, [])).append(row)
    return {key: permissions_of([*of_all, *own.get(key, ())]) for key in portfolio_ids}


def account_of(portfolio_id: uuid.UUID) -> uuid.UUID | None:
    """The id of the broker account that serves the portfolio."""
    mine = BrokerAccount.objects.filter(portfolio_id=portfolio_id)
    return mine.values_list("id", flat=True).first()


def current_instrument_limits(instrument_id: int) -> LimitSet | None:
    """The version that `instrument_limits` says is in force; None where the instrument has none of its own."""
    row = instrument_limits().get(instrument_id)
    if row is None:
        return None
    _, version, _ = row
    return LimitSet.objects.get(scope=LimitSet.Scope.INSTRUMENT, instrument_id=instrument_id, version=version)


def permission_lists(portfolio_id: uuid.UUID | None) -> dict[str, Any]:
    """The lists of a portfolio, or (None) of the platform: `permitted` symbols, `restricted` symbol -> reason."""
    mine = Q(portfolio=None) if portfolio_id is None else Q(portfolio_id=portfolio_id)
    rows = list(
        InstrumentPermission.objects.filter(mine)
        .order_by("instrument__symbol")
        .values_list("instrument__symbol", "kind", "reason")
    )
    return {
        "permitted": [symbol for symbol, kind, _ in rows if kind != RESTRICTED],
        "restricted": {symbol: reason for symbol, kind, reason in rows if kind == RESTRICTED},
    }
