"""Who may do what: the one table of roles and actions.

REST, the WebSocket and the admin all read it, and so do the services that decide for themselves. It holds what people
may do by what they are; what must be true besides (another person than the proposer, no open break) is the services'
affair. `docs/roles.md` tells it to people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Of a member in one portfolio."""

    VIEWER = "viewer"
    TRADER = "trader"
    RISK_OFFICER = "risk_officer"
    OWNER = "owner"


class Action(StrEnum):
    # in one portfolio
    VIEW = "view"
    FOLLOW = "follow"
    ACKNOWLEDGE = "acknowledge"
    WRITE_RULE = "write_rule"
    SWITCH_RULE = "switch_rule"
    RUN_SESSION = "run_session"
    TRADE = "trade"
    CANCEL_TRADE = "cancel_trade"
    SETTLE_TRADE = "settle_trade"
    PROTECT = "protect"
    STOP = "stop"
    RELEASE_STOP = "release_stop"
    RELEASE_BREAKER = "release_breaker"
    RELEASE_ACCOUNT = "release_account"
    RECONCILE = "reconcile"
    EXPLAIN_BREAK = "explain_break"
    SET_LIMITS = "set_limits"
    SET_PERMISSIONS = "set_permissions"
    APPROVE = "approve"
    REJECT = "reject"
    SET_FOUR_EYES = "set_four_eyes"
    END_FOUR_EYES = "end_four_eyes"
    MANAGE_MEMBERS = "manage_members"
    APPOINT_SECOND_PERSON = "appoint_second_person"
    MOVE_CASH = "move_cash"
    REVERSE = "reverse"
    SET_PAPER_MARKET = "set_paper_market"
    CONNECT_BROKER = "connect_broker"
    CONNECT_REAL_MONEY = "connect_real_money"
    # what concerns every portfolio
    FOLLOW_PLATFORM = "follow_platform"
    ACKNOWLEDGE_PLATFORM = "acknowledge_platform"
    STOP_PLATFORM = "stop_platform"
    RELEASE_PLATFORM = "release_platform"
    APPROVE_PLATFORM = "approve_platform"
    LIMIT_PLATFORM = "limit_platform"
    PERMIT_PLATFORM = "permit_platform"
    CORPORATE_ACTIONS = "corporate_actions"
    KEEP_MARKET = "keep_market"
    KEEP_SOURCES = "keep_sources"
    SEE_METRICS = "see_metrics"
    SEE_PROCESSES = "see_processes"
    REQUIRE_VERSION = "require_version"
    KEEP_ACCOUNTS = "keep_accounts"
    # what is nobody's in particular
    LOG_IN = "log_in"
    SELF = "self"
    SEE_MARKET = "see_market"
    SEE_LANGUAGE = "see_language"
    CREATE_PORTFOLIO = "create_portfolio"
    PUSH_ADVICE = "push_advice"


@dataclass(frozen=True, slots=True)
class Who:
    """Any one of these is enough.

    `staff`: also where they are no members. `author`: whoever proposed what it is about, as long as he sees it.
    `anybody`: who is logged in. `strangers`: who is not, too.
    """

    roles: frozenset[Role] = frozenset()
    staff: bool = False
    superusers: bool = False
    author: bool = False
    anybody: bool = False
    strangers: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody is: his role in the portfolio in question (None: none), and whether he is staff everywhere."""

    role: str | None = None
    is_staff: bool = False
    is_superuser: bool = False


_V, _T, _R, _O = Role.VIEWER, Role.TRADER, Role.RISK_OFFICER, Role.OWNER
_EVERY_MEMBER = Who(frozenset({_V, _T, _R, _O}))
_TRADERS = Who(frozenset({_T, _O}))
_GUARDS = Who(frozenset({_R, _O}))
_WHO_MAY_STOP = Who(frozenset({_T, _R, _O}))
_OWNERS = Who(frozenset({_O}))
_OFFICERS_AND_STAFF = Who(frozenset({_R}), staff=True)
_OWNERS_AND_STAFF = Who(frozenset({_O}), staff=True)
_STAFF = Who(staff=True)
_ANYBODY = Who(anybody=True)

RULES: Mapping[Action, Who] = {
    Action.VIEW: _EVERY_MEMBER,
    Action.FOLLOW: _EVERY_MEMBER,
    Action.ACKNOWLEDGE: _WHO_MAY_STOP,
    Action.WRITE_RULE: _TRADERS,
    Action.SWITCH_RULE: _TRADERS,
    Action.RUN_SESSION: _TRADERS,
    Action.TRADE: _TRADERS,
    Action.CANCEL_TRADE: _TRADERS,
    Action.SETTLE_TRADE: _OFFICERS_AND_STAFF,
    Action.PROTECT: _WHO_MAY_STOP,
    Action.STOP: _WHO_MAY_STOP,
    Action.RELEASE_STOP: _WHO_MAY_STOP,
    Action.RELEASE_BREAKER: Who(frozenset({_R})),
    Action.RELEASE_ACCOUNT: _OFFICERS_AND_STAFF,
    Action.RECONCILE: _WHO_MAY_STOP,
    Action.EXPLAIN_BREAK: _OFFICERS_AND_STAFF,
    Action.SET_LIMITS: _GUARDS,
    Action.SET_PERMISSIONS: _GUARDS,
    Action.APPROVE: _GUARDS,
    Action.REJECT: Who(frozenset({_R, _O}), author=True),
    Action.SET_FOUR_EYES: _OWNERS,
    Action.END_FOUR_EYES: Who(superusers=True),
    Action.MANAGE_MEMBERS: _OWNERS,
    Action.APPOINT_SECOND_PERSON: Who(superusers=True),  # where four eyes are needed
    Action.MOVE_CASH: _OWNERS,
    Action.REVERSE: _OWNERS,
    Action.SET_PAPER_MARKET: _OWNERS,
    Action.CONNECT_BROKER: _OWNERS_AND_STAFF,
    Action.CONNECT_REAL_MONEY: _STAFF,
    Action.FOLLOW_PLATFORM: _STAFF,
    Action.ACKNOWLEDGE_PLATFORM: _STAFF,
    Action.STOP_PLATFORM: _STAFF,
    Action.RELEASE_PLATFORM: _STAFF,
    Action.APPROVE_PLATFORM: _STAFF,
    Action.LIMIT_PLATFORM: _STAFF,
    Action.PERMIT_PLATFORM: _STAFF,
    Action.CORPORATE_ACTIONS: _STAFF,
    Action.KEEP_MARKET: _STAFF,
    Action.KEEP_SOURCES: _STAFF,
    Action.SEE_METRICS: _STAFF,
    Action.SEE_PROCESSES: _STAFF,
    Action.REQUIRE_VERSION: _STAFF,
    Action.KEEP_ACCOUNTS: _STAFF,
    Action.LOG_IN: Who(strangers=True, anybody=True),
    Action.SELF: _ANYBODY,
    Action.SEE_MARKET: _ANYBODY,
    Action.SEE_LANGUAGE: _ANYBODY,
    Action.CREATE_PORTFOLIO: _ANYBODY,
    Action.PUSH_ADVICE: _ANYBODY,  # of his own source, which the market's service sees to
}


def acting_role(role: str | None, *, is_superuser: bool) -> str | None:
    """The role that somebody acts by: a superuser who is no member acts as owner."""
    return Role.OWNER if role is None and is_superuser else role


def is_of_portfolio(action: str) -> bool:
    """Whether it is asked in one portfolio; of the others everything is known as soon as it is known who asks."""
    return bool(RULES[Action(action)].roles)


def roles_of(action: str) -> frozenset[Role]:
    return RULES[Action(action)].roles


def may_see(action: str, standing: Standing) -> bool:
    """Whether the portfolio exists for him, if that is what he wants to do there."""
    return standing.role is not None or (standing.is_staff and RULES[Action(action)].staff)


def may(action: str, standing: Standing, *, is_author: bool = False) -> bool:
    """`is_author`: he proposed what it is about himself."""
    who = RULES[Action(action)]
    return (
        who.anybody
        or standing.role in who.roles
        or (who.staff and standing.is_staff)
        or (who.superusers and standing.is_superuser)
        or (who.author and is_author and standing.role is not None)
    )


def wanted(action: str) -> str:
    """In words: `the role owner or trader`, `the role risk_officer, or staff`, `staff`."""
    who = RULES[Action(action)]
    roles = " or ".join(sorted(who.roles))
    words = [f"the role {roles}"] if roles else []
    if who.staff:
        words.append("staff")
    if who.superusers:
        words.append("a superuser")
    return ", or ".join(words)
