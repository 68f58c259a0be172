"""Who sees what, and which limits are in force."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from foundation.arrays import array_text
from foundation.asking import Steps, asking
from foundation.errors import NotFound
from foundation.loading import rows_of, where
from journal.core.events import PLATFORM_STREAM
from market.splits import UNQUOTED_AT_MOST, begins_before
from portfolios.approval import NOT_REJECTED, WAITING
from portfolios.core.access import Action, Role, acting_role, may, roles_of
from portfolios.core.limits import LIMIT_NAMES, EffectiveLimits, LimitRow, tightest
from portfolios.core.permissions import RESTRICTED, Permission, Permissions, permissions_of
from portfolios.models import (
    BrokerAccount,
    InstrumentPermission,
    InstrumentPermissionProposal,
    LimitSet,
    Member,
    Portfolio,
)
from portfolios.standing import (
    AnyUser,
    asked_role,
    is_superuser,
    refusal,
    require,
    standing_anywhere,
    standing_of,
)

NO_PORTFOLIO = "There is no such portfolio, or it is not yours to see."


def portfolios_where(user: AnyUser, action: Action) -> QuerySet[Portfolio]:
    """Those in which he may do this by his role; a superuser acts as owner where he is no member."""
    if not user.is_active:
        return Portfolio.objects.none()
    roles = roles_of(action)
    mine = Q(memberships__user__id=user.pk, memberships__role__in=roles)
    if not is_superuser(user) or Role.OWNER not in roles:
        return Portfolio.objects.filter(mine)
    elsewhere = Member.objects.filter(user_id=user.pk).exclude(role__in=roles)
    return Portfolio.objects.exclude(pk__in=elsewhere.values("portfolio_id"))


def visible_portfolios(user: AnyUser) -> QuerySet[Portfolio]:
    """Those the user is a member of; a superuser sees all."""
    return portfolios_where(user, Action.VIEW)


def visible_streams_of(users: Collection[AnyUser]) -> dict[Any, set[uuid.UUID]]:
    """The journal streams that each of the users may read, by their keys: their portfolios', and the platform's for
    staff. In two queries at most: every open WebSocket is asked about again and again."""
    return _streams_of(users, Action.FOLLOW, Action.FOLLOW_PLATFORM)


def actionable_streams(user: AnyUser) -> list[uuid.UUID]:
    """The streams whose alerts he may acknowledge: where he may stop trading, and the platform's for staff."""
    return list(_streams_of([user], Action.ACKNOWLEDGE, Action.ACKNOWLEDGE_PLATFORM)[user.pk])


def _streams_of(users: Collection[AnyUser], action: Action, of_platform: Action) -> dict[Any, set[uuid.UUID]]:
    """As `portfolios_where` has it, for many."""
    roles = roles_of(action)
    active = [user for user in users if user.is_active]
    role_in: dict[Any, dict[uuid.UUID, str]] = {user.pk: {} for user in users}
    rows = Member.objects.filter(user_id__in=[user.pk for user in active])
    for key, portfolio_id, role in rows.values_list("user_id", "portfolio_id", "role"):
        role_in[key][portfolio_id] = role
    owning = [user.pk for user in active if is_superuser(user) and Role.OWNER in roles]
    everything = set(Portfolio.objects.values_list("id", flat=True)) if owning else set()
    streams = {key: {each for each, role in mine.items() if role in roles} for key, mine in role_in.items()}
    for key in owning:  # where he is no member
        streams[key] |= everything - role_in[key].keys()
    for user in active:
        if may(of_platform, standing_anywhere(user)):
            streams[user.pk].add(PLATFORM_STREAM)
    return streams


def role_of(user: AnyUser, portfolio_id: uuid.UUID) -> str | None:
    """His role in it; a superuser without membership acts as owner; None: it must not exist for him."""
    user_id = user.pk
    if user_id is None:
        return None
    mine = Member.objects.filter(portfolio_id=portfolio_id, user_id=user_id)
    return acting_role(mine.values_list("role", flat=True).first(), is_superuser=is_superuser(user))


def visible_portfolio(
    user: AnyUser,
    portfolio_id: uuid.UUID,
    *,
    action: str = Action.VIEW,
    is_author: bool | None = None,
) -> Portfolio:
    """The portfolio, if it exists for the user (else NotFound) and he may do this there (else Forbidden). One query.

    is_author: as in `standing.require`.
    """
    rows = Portfolio.objects.annotate(role_of_asker=asked_role(user, "pk"))
    portfolio = rows.filter(pk=portfolio_id).first()
    if portfolio is None:
        raise NotFound(NO_PORTFOLIO)
    require(user, portfolio.role_of_asker, action=action, otherwise=NO_PORTFOLIO, is_author=is_author)
    return portfolio


def require_where(user: AnyUser, action: str, portfolio_id: uuid.UUID | None) -> None:
    """For who sees the portfolio anyway, as the admin's people do: Forbidden, whatever is missing. None: everywhere."""
    role = role_of(user, portfolio_id) if portfolio_id is not None else None
    standing = standing_of(user, role) if portfolio_id is not None else standing_anywhere(user)
    if not may(action, standing):
        raise refusal(action, standing)


FOUR_EYES = Q(four_eyes=True) | Q(broker_account__is_live=True)


def needs_four_eyes(portfolio_ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the portfolios whose changes of rules and limits wait for a second person: those with real money,
    and those that asked for it."""
    rows = Portfolio.objects.filter(FOUR_EYES, pk__in=list(portfolio_ids))
    return set(rows.values_list("id", flat=True))


def any_needs_four_eyes() -> bool:
    return Portfolio.objects.filter(FOUR_EYES).exists()


def deciding_portfolios(user: AnyUser) -> QuerySet[Portfolio]:
    """Those in which the user may be the second person."""
    return portfolios_where(user, Action.APPROVE)


def limit_values(row: LimitSet) -> dict[str, Decimal | None]:
    return {name: getattr(row, name) for name in LIMIT_NAMES}


LimitKey = tuple[str, uuid.UUID | None]


@asking
def current_limit_sets(scopes: Iterable[LimitKey]) -> Steps[dict[LimitKey, LimitSet]]:
    """The version in force of each scope given, in one query; scopes without limits are absent.

    In force is the highest version that needs no approval or has it.
    """
    wanted = set(scopes)
    ids = {scope_id for _, scope_id in wanted if scope_id is not None}
    rows = yield from _limit_sets(
        "scope, scope_id", "scope = 'platform' OR scope_id = ANY(%s::uuid[])", [array_text(ids)]
    )
    found: dict[LimitKey, LimitSet] = {(row.scope, row.scope_id): row for row in rows}
    return {key: row for key, row in found.items() if key in wanted}


@asking
def instrument_limits() -> Steps[dict[int, LimitRow]]:
    """What is in force for single instruments, by their id; few have limits of their own."""
    rows = yield from _limit_sets("instrument_id", "scope = 'instrument'")
    return {row.instrument_id: limit_row(row) for row in rows if row.instrument_id is not None}


def _limit_sets(each: str, condition: str, params: Sequence[Any] = ()) -> Steps[list[LimitSet]]:
    """For `each` the highest version among those that may be in force (`MAY_BE_IN_FORCE`)."""
    newest = f"""
        SELECT DISTINCT ON ({each}) id FROM portfolios_limitset
        WHERE (NOT needs_approval OR approved) AND ({condition}) ORDER BY {each}, version DESC
    """  # noqa: S608 - the texts above
    (found,) = yield [where(LimitSet, f"t.id IN ({newest})", params)]
    return rows_of(LimitSet, found)


def pending_limit_sets() -> QuerySet[LimitSet]:
    """What waits for a second person: of each scope the newest version. A newer one replaces an older one that
    waits, unless it was rejected itself."""
    of_its_scope = (
        Q(scope=LimitSet.Scope.PLATFORM)
        | Q(scope_id=OuterRef("scope_id"))
        | Q(instrument_id=OuterRef("instrument_id"))
    )
    newer = LimitSet.objects.filter(
        NOT_REJECTED, of_its_scope, scope=OuterRef("scope"), version__gt=OuterRef("version")
    )
    return LimitSet.objects.filter(WAITING, ~Exists(newer))


def pending_limits(scopes: Collection[LimitKey]) -> dict[LimitKey, LimitSet]:
    """What waits for a second person on each of these scopes, with who proposed it; scopes without are absent."""
    ids = {scope_id for _, scope_id in scopes if scope_id is not None}
    rows = pending_limit_sets().filter(Q(scope_id__in=ids) | Q(scope=LimitSet.Scope.PLATFORM))
    found = {(row.scope, row.scope_id): row for row in rows.select_related("created_by")}
    return {key: found[key] for key in scopes if key in found}


def limit_row(row: LimitSet) -> LimitRow:
    return (row.scope, row.version, limit_values(row))


@asking
def limit_rows(owners: Mapping[uuid.UUID, uuid.UUID | None]) -> Steps[dict[uuid.UUID, list[LimitRow]]]:
    """For each portfolio (and its running session, or None) what is in force on each of its scopes, the widest
    first: platform, account, portfolio, session. Two queries."""
    of_accounts = "SELECT portfolio_id, id FROM portfolios_brokeraccount WHERE portfolio_id = ANY(%s::uuid[])"
    (rows,) = yield [(of_accounts, [array_text(owners)])]
    accounts: dict[uuid.UUID, uuid.UUID] = dict(rows)
    keys: dict[uuid.UUID, list[LimitKey]] = {
        portfolio_id: [
            ("platform", None),
            ("account", accounts.get(portfolio_id)),
            ("portfolio", portfolio_id),
            ("session", session_id),
        ]
        for portfolio_id, session_id in owners.items()
    }
    in_force = yield from current_limit_sets.steps(key for mine in keys.values() for key in mine)
    found = {key: limit_row(row) for key, row in in_force.items()}
    return {portfolio_id: [found[key] for key in mine if key in found] for portfolio_id, mine in keys.items()}


@asking
def effective_limits(
    owners: Mapping[uuid.UUID, uuid.UUID | None],
) -> Steps[dict[uuid.UUID, EffectiveLimits]]:
    """For each portfolio (and its running session, or None) the limits that hold: the tightest of platform,
    account, portfolio and session. An instrument's are added for each order. Two queries."""
    platform: EffectiveLimits | None = (
        None  # most portfolios have no limits of their own, and share one answer
    )
    effective = {}
    for portfolio_id, rows in (yield from limit_rows.steps(owners)).items():
        if any(scope != LimitSet.Scope.PLATFORM for scope, _, _ in rows):
            effective[portfolio_id] = tightest(rows)
        else:
            platform = effective[portfolio_id] = platform or tightest(rows)
    return effective


@asking
def instrument_permissions(portfolio_ids: Collection[uuid.UUID]) -> Steps[dict[uuid.UUID, Permissions]]:
    """What each portfolio may buy, by its own lists and the platform's, in one query."""
    lists = (
        "SELECT portfolio_id, instrument_id, kind, reason FROM portfolios_instrumentpermission"
        " WHERE portfolio_id IS NULL OR portfolio_id = ANY(%s::uuid[])"
    )
    (rows,) = yield [(lists, [array_text(portfolio_ids)])]
    of_all: list[Permission] = []
    own: dict[uuid.UUID, list[Permission]] = {}
    for portfolio_id, instrument_id, kind, reason in rows:
        row = Permission(instrument_id, kind, reason, of_platform=portfolio_id is None)
        (of_all if portfolio_id is None else own.setdefault(portfolio_id, [])).append(row)
    shared = permissions_of(of_all)  # most portfolios have no lists of their own
    return {key: permissions_of([*of_all, *own[key]]) if key in own else shared for key in portfolio_ids}


@asking
def unsettled_splits(
    portfolio_ids: Iterable[uuid.UUID] | None = None,
) -> Steps[frozenset[tuple[uuid.UUID, int]]]:
    """(portfolio, instrument) that a split is due for by market time, and not booked: the market's prices count in
    new units, and what is held in old ones; so it is again while a booking of it is reversed. None: of all portfolios.
    It looks at open splits only, and at withdrawn ones, of which it is the other way round: what is booked and not
    reversed counts in new units.
    From the last close before the ex time on a price may be of either units (`market.splits`).

    A price from before the ex time counts in old units when the booking is done, until the instrument is quoted again.

    Where nobody has asked yet what a holder is entitled to (it has not begun, or a fill was on its way), the ledger
    says it, so that there is no moment between two steps of the booking in which the split seems settled.
    """
    ((answer,),) = yield [(_ANY_UNSETTLED, ())]
    if not answer[0]:  # nearly always: nobody's holdings need to be looked at
        return frozenset()
    asked = {"all": portfolio_ids is None, "ids": array_text(portfolio_ids or ())}
    (rows,) = yield [(_UNSETTLED, asked)]
    return frozenset((portfolio_id, instrument_id) for portfolio_id, instrument_id in rows)


_ANY_UNSETTLED = """
    SELECT EXISTS (
        SELECT FROM market_corporateaction AS action
        LEFT JOIN portfolios_corporateactionsettlement AS settled ON settled.action_id = action.id
        WHERE action.kind = 'split' AND (settled.finished_at IS NULL OR action.withdrawn_at IS NOT NULL))
"""
_UNSETTLED = f"""
    SELECT held.portfolio_id, held.instrument_id
    FROM market_corporateaction AS action
    JOIN (SELECT as_of FROM market_snapshots ORDER BY version DESC LIMIT 1) AS newest
        ON {begins_before("newest.as_of")}
    JOIN portfolios_position AS held ON held.instrument_id = action.instrument_id AND held.quantity > 0
    LEFT JOIN portfolios_corporateactionsettlement AS settled ON settled.action_id = action.id
    LEFT JOIN market_quote AS quoted ON quoted.instrument_id = action.instrument_id
    CROSS JOIN LATERAL (
        SELECT bool_or(b.booked_at IS NULL) AS waits,
               bool_or(b.entry_id IS NOT NULL AND b.reversed_at IS NULL) AS in_force,
               array_agg(b.quantity) FILTER (WHERE b.entry_id IS NULL) AS unmoved
        FROM portfolios_corporateactionbooking AS b
        WHERE b.action_id = action.id AND b.portfolio_id = held.portfolio_id
    ) AS booking
    WHERE action.kind = 'split' AND (settled.finished_at IS NULL OR action.withdrawn_at IS NOT NULL)
        AND CASE WHEN action.withdrawn_at IS NOT NULL THEN booking.in_force
                 WHEN booking.waits THEN true
                 WHEN booking.in_force THEN coalesce(quoted.market_time < action.ex_at, false)
                     AND newest.as_of < action.ex_at + interval '{UNQUOTED_AT_MOST}'
                 WHEN action.ex_at > newest.as_of THEN true ELSE (
            SELECT sum(units) > 0 AND coalesce(sum(units) <> ALL (booking.unmoved), true)
            FROM ledger_transfers AS l,
                LATERAL (SELECT CASE WHEN debit_account = 'holdings' THEN amount ELSE -amount END) AS u (units)
            WHERE l.instrument_id = held.instrument_id AND l.portfolio_id = held.portfolio_id
                AND l.market_at < action.ex_at AND 'holdings' IN (l.debit_account, l.credit_account)
        ) END
        AND (%(all)s::boolean OR held.portfolio_id = ANY(%(ids)s::uuid[]))
"""  # noqa: S608 - the texts here


def held_before(
    *, instrument_id: int, moment: datetime, portfolio_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, Decimal]:
    """Units that each portfolio held just before a market time, by the ledger; those without any are absent.

    What was reversed since counts as if it had never been.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT portfolio_id, sum(CASE WHEN debit_account = 'holdings' THEN amount ELSE -amount END)
            FROM ledger_transfers
            WHERE instrument_id = %s AND market_at < %s AND portfolio_id = ANY(%s)
                AND 'holdings' IN (debit_account, credit_account)
            GROUP BY portfolio_id
            """,
            [instrument_id, moment, list(portfolio_ids)],
        )
        return {portfolio_id: units for portfolio_id, units in cursor.fetchall() if units > 0}


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


def of_portfolio(portfolio_id: uuid.UUID | None) -> Q:
    """Of a portfolio, or (None) of the platform, in tables whose `portfolio` may be empty."""
    return Q(portfolio=None) if portfolio_id is None else Q(portfolio_id=portfolio_id)


def permission_lists(portfolio_id: uuid.UUID | None) -> dict[str, Any]:
    """The lists of a portfolio, or (None) of the platform: `permitted` symbols, `restricted` symbol -> reason."""
    mine = of_portfolio(portfolio_id)
    rows = list(
        InstrumentPermission.objects.filter(mine)
        .order_by("instrument__symbol")
        .values_list("instrument__symbol", "kind", "reason")
    )
    return {
        "permitted": [symbol for symbol, kind, _ in rows if kind != RESTRICTED],
        "restricted": {symbol: reason for symbol, kind, reason in rows if kind == RESTRICTED},
    }


def pending_permissions() -> QuerySet[InstrumentPermissionProposal]:
    """Lists that wait for a second person: of each portfolio, and of the platform, the newest. A newer change of the
    lists replaces one that waits, unless it was rejected itself."""
    platform = uuid.UUID(int=0)  # stands for no portfolio, of which SQL does not say that two are the same
    rows = InstrumentPermissionProposal.objects.alias(scope=Coalesce("portfolio_id", Value(platform)))
    newer = rows.filter(NOT_REJECTED, scope=OuterRef("scope"), version__gt=OuterRef("version"))
    return rows.filter(WAITING, ~Exists(newer))
