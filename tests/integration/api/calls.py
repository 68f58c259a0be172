"""One good request for each route and method, by Alice on what is hers."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from axes.models import AccessAttempt
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.response import Response

from foundation.clock import database_now
from foundation.tokens import create_service_account, issue_token
from journal.models import Alert
from market.models import CalendarDay
from market.services.corporate_actions import NewCorporateAction, record
from market.services.pull_settings import PullContent, set_pull
from market.services.sources import SourceContent, create_source
from portfolios.models import BrokerAccount
from portfolios.selectors import account_of
from portfolios.services.limits import set_limits
from portfolios.services.permissions import set_instrument_permissions
from portfolios.services.portfolios import set_four_eyes
from rules.services.rules import update_rule
from sessions.services.plans import PlanContent, create_plan
from sessions.services.sessions import pause_trading_session, report_failure
from tests.harness.trading import STOP_LOSS, STRONG_BUY_ENTRY
from tests.integration.api.conftest import World
from trading.models import AutoTrade
from trading.services.breaks import record_break
from trading.services.protections import set_protection

MODULES = ("foundation.", "journal.", "market.", "portfolios.", "rules.", "sessions.", "trading.")
PASSWORD = "correct horse battery staple"
METHODS = ("get", "post", "put", "patch", "delete")  # OPTIONS is none of them: 405 everywhere


PAPER_MARKET = {
    "fee_bps": "0", "fee_per_unit": "0.005", "fee_minimum": "1", "slippage_bps": "1.5", "price_impact_bps": "1000",
    "volume_limit_percentage": "10", "latency_ms": 250, "touch_fill_percentage": "50", "seed": 7,
}  # fmt: skip


def ids_of(world: World) -> dict[str, Any]:
    """What stands in the braces of a call's path; None: a test has not made it."""
    return {
        "portfolio": world.desk.portfolio.id,
        "session": world.desk.session.id,
        "rule": world.rule.id,
        "trade": world.filled.id,
        "pending": world.pending.id,
        "decision": world.filled.decision_id,
        "halt": world.halt.id,
        "version": world.waiting,
        "limits": world.waiting_limits,
        "lists": world.waiting_lists,
        "symbol": "AAA",
        "entry": world.filled_entry,
        "action": world.action,
        "break": world.waiting_break,
        "source": "test",
        "desk": "desk",
        "plan": world.plan,
        "alert": world.alert,
        "member": "victor",
        "token": world.token,
        "service": world.service,
        "service_token": world.service_token,
    }


@dataclass(frozen=True)
class Call:
    """`of_hers`: it speaks of something of Alice's, which must not exist for Charlie. `by`: one who may do it.
    `author`: who has proposed what it is about. `beside`: what is answered for a reason that is not in the table of
    roles, by the asker's name, or `*`: all whom it lets in."""

    method: str
    path: str
    body: Callable[[World], Any] = lambda world: None
    status: int = 200
    of_hers: bool = True
    before: Callable[[World], Any] = lambda world: None
    by: str = "alice"
    author: str | None = None
    beside: Mapping[str, int] = field(default_factory=dict)

    def send(self, world: World, who: str | None, **headers: str) -> Response:
        self.before(world)
        send = getattr(world.as_(who), self.method)
        return send(
            "/api/" + self.path.format(**ids_of(world)), self.body(world), format="json", headers=headers
        )

    @property
    def route(self) -> str:
        """Method and path with the kinds of id left out, as the router knows it."""
        kinds = {"{version}": "<int:version>"}
        if not self.path.startswith("portfolios/"):
            kinds["{symbol}"] = "<path:symbol>"
        parts = (
            kinds.get(part, "<uuid>") if part.startswith("{") else part
            for part in self.path.split("?")[0].split("/")
        )
        return f"{self.method} {'/'.join(parts)}"


def _rule(world: World) -> dict[str, Any]:
    return {**STRONG_BUY_ENTRY, "portfolio_id": str(world.desk.portfolio.id)}


def _asked_again(world: World) -> dict[str, Any]:
    return {"at": world.market.as_of.isoformat(), "symbol": "AAA", "rule": STOP_LOSS}


def _start(world: World) -> dict[str, Any]:
    config = {"universe": {"symbols": ["AAA"]}, "limits": {"max_order_value": "5000"}}
    return {"portfolio_id": str(world.idle.id), "session_name": "Autumn", "config": config}


def _stop_portfolio(world: World) -> dict[str, Any]:
    return {"scope": "portfolio", "scope_id": str(world.desk.portfolio.id), "reason": "Prices look wrong"}


def _protect(world: World) -> None:
    set_protection(
        portfolio_id=world.desk.portfolio.id, symbol="AAA", stop_loss_percentage=Decimal(5),
        actor=world.users["alice"],
    )  # fmt: skip


def _pause(world: World) -> None:
    pause_trading_session(session_id=world.desk.session.id, actor=world.users["alice"])


def _propose_rule(world: World) -> None:
    """By Tara, so that Alice and Bob may approve it."""
    set_four_eyes(portfolio_id=world.desk.portfolio.id, enabled=True, actor=world.users["alice"])
    changed = update_rule(
        rule_id=world.rule.id, rule={**STRONG_BUY_ENTRY, "priority": 3}, actor=world.users["tara"]
    )
    world.waiting = changed.version + 1


def _propose_limits(world: World) -> None:
    """By Rita, another risk officer, so that Alice and Bob may approve them."""
    set_four_eyes(portfolio_id=world.desk.portfolio.id, enabled=True, actor=world.users["alice"])
    row = set_limits(
        scope="portfolio", scope_id=world.desk.portfolio.id, values={"max_order_value": Decimal(7)},
        actor=world.users["rita"],
    )  # fmt: skip
    world.waiting = row.version


def _propose_account_limits(world: World) -> None:
    set_four_eyes(portfolio_id=world.desk.portfolio.id, enabled=True, actor=world.users["alice"])
    row = set_limits(
        scope="account", scope_id=account_of(world.desk.portfolio.id), values={"max_order_value": Decimal(7)},
        actor=world.users["rita"],
    )  # fmt: skip
    world.waiting_limits = row.id


def _propose_lists(world: World) -> None:
    """Of what Rita has restricted, nothing is to be restricted any more."""
    lists = {"portfolio_id": world.desk.portfolio.id, "permitted": [], "actor": world.users["rita"]}
    set_four_eyes(portfolio_id=world.desk.portfolio.id, enabled=True, actor=world.users["alice"])
    set_instrument_permissions(**lists, restricted={"CCC": "Compliance"})
    world.waiting_lists = set_instrument_permissions(**lists, restricted={}).id


def _dividend(world: World) -> dict[str, Any]:
    at = world.market.as_of.isoformat()
    return {"external_id": "one", "symbol": "AAA", "kind": "dividend", "ex_at": at, "amount": "0.25"}


def _record_dividend(world: World) -> None:
    facts = {**_dividend(world), "ex_at": world.market.as_of, "amount": Decimal("0.25")}
    action, _ = record(NewCorporateAction(**facts), actor=world.users["steffi"])
    world.action = action.id


def _trading_day(world: World) -> None:
    """The day before the market's present one, at the exchange of its instruments."""
    opens_at = world.market.as_of - timedelta(days=1, hours=6)
    CalendarDay.objects.create(
        exchange_id="XTST",
        day=opens_at.date(),
        opens_at=opens_at,
        closes_at=opens_at + timedelta(hours=5),
    )


def _bar(world: World) -> dict[str, Any]:
    day = (world.market.as_of - timedelta(days=1, hours=6)).date().isoformat()
    prices = {"open": "100", "high": "101", "low": "99", "close": "100.5", "volume": "1000"}
    return {"bars": [{"symbol": "AAA", "day": day, **prices}]}


def _order(world: World) -> dict[str, Any]:
    """Neither held nor ordered yet."""
    portfolio_id = str(world.desk.portfolio.id)
    return {"portfolio_id": portfolio_id, "symbol": "CCC", "trade_type": "buy", "quantity": "10"}


def _quarantine(world: World) -> None:
    AutoTrade.objects.filter(pk=world.pending.pk).update(status="quarantined")


def _fresh(world: World) -> None:
    """The world may have been made a while ago, and an order needs a price that is not old."""
    world.market.tick()


def _connect(world: World) -> None:
    BrokerAccount.objects.filter(portfolio=world.desk.portfolio).update(broker="alpaca")


def _disagree(world: World) -> None:
    account_id = account_of(world.desk.portfolio.id)
    assert account_id is not None
    found = record_break(
        account_id=account_id, kind="position", key="AAA", ours={"quantity": 1}, theirs={"quantity": 2},
        detail="AAA: the broker holds 2, our books 1",
    )  # fmt: skip
    assert found is not None
    world.waiting_break = found.id


def _source(world: World) -> None:
    create_source(name="desk", content=SourceContent(), actor=world.users["steffi"])


def _pull(world: World) -> dict[str, Any]:
    return {"url": "https://advice.example/today.json", "token": "known-to-nobody-else"}


def _pulled(world: World) -> None:
    _source(world)
    set_pull(name="desk", content=PullContent(**_pull(world)), actor=world.users["steffi"])


def _on_the_idle_one(world: World) -> None:
    """An account is connected and disconnected only where nothing is held and no session runs."""
    world.desk.portfolio = world.idle


def _plan(world: World) -> dict[str, Any]:
    return {"name": "Every day", "exchange": "XTST", "config": {"universe": {"symbols": ["AAA"]}}}


def _new_plan(world: World) -> dict[str, Any]:
    return {"portfolio_id": str(world.desk.portfolio.id), **_plan(world)}


def _make_plan(world: World) -> None:
    content = PlanContent(**_plan(world))
    made = create_plan(portfolio_id=world.desk.portfolio.id, content=content, actor=world.users["alice"])
    world.plan = made.id


def _alpaca(world: World) -> dict[str, Any]:
    return {"broker": "alpaca", "key_id": "PK00000000000000", "secret": "known-to-nobody-else"}


def _alert(world: World) -> None:
    """Something of her portfolio that nobody has acknowledged yet."""
    report_failure(session_id=world.desk.session.id, reason="its evaluation failed")
    world.alert = Alert.objects.get(stream_id=world.desk.portfolio.id, kind="session.failing").id


@functools.cache
def _password() -> str:
    """Hashing one takes half a second."""
    return make_password(PASSWORD)


def _credentials(world: World) -> dict[str, Any]:
    world.users["alice"].password = _password()
    world.users["alice"].save()
    return {"username": "alice", "password": PASSWORD}


def _passwords(world: World) -> None:
    """The same for everybody."""
    get_user_model().objects.update(password=_password())


def _own_token(world: World) -> dict[str, Any]:
    return {"name": "report", "expires_in_days": 30, "password": PASSWORD}


def _token(world: World) -> None:
    made = issue_token(user=world.users["alice"], name="report", days=30, actor=world.users["alice"])
    world.token = made.id


def _service(world: World) -> None:
    made = create_service_account(name="svc-model", description="Advice", actor=world.users["steffi"])
    world.service = made.id


def _service_token(world: World) -> None:
    _service(world)
    user = get_user_model().objects.get(username="svc-model")
    world.service_token = issue_token(user=user, name="production", days=30, actor=world.users["steffi"]).id


def _locked_out(world: World) -> None:
    AccessAttempt.objects.create(
        username="alice", ip_address="10.0.0.1", failures_since_start=10, attempt_time=database_now()
    )


def _lists(world: World) -> dict[str, Any]:
    return {"permitted": ["AAA", "BBB"], "restricted": {"CCC": "Compliance"}}


def _limit(world: World) -> dict[str, Any]:
    return {"max_order_value": "5000"}


_ADVICE = {"external_id": "one", "symbol": "AAA", "recommendation": "BUY", "confidence": 0.7}

SPECIFIED = [
    Call("post", "auto-trading/rules", _rule, 201),
    Call("get", "auto-trading/rules/{portfolio}"),
    Call("put", "auto-trading/rules/{rule}", lambda world: STOP_LOSS),
    Call("delete", "auto-trading/rules/{rule}", status=204),
    Call("post", "auto-trading/rules/{rule}/activate"),
    Call("post", "auto-trading/rules/{rule}/deactivate"),
    Call("post", "auto-trading/sessions/start", _start, 201),
    Call("post", "auto-trading/sessions/{session}/stop", lambda world: {"reason": "End of the day"}),
    Call("get", "auto-trading/sessions/{portfolio}"),
    Call("get", "auto-trading/sessions/{session}/status"),
    Call("get", "auto-trading/trades/{portfolio}"),
    Call("get", "auto-trading/trades/{trade}/details"),
    Call("post", "auto-trading/trades/{pending}/cancel"),
]
OF_STAFF = [
    Call("get", "platform/limits", of_hers=False, by="steffi"),
    Call("put", "platform/limits", _limit, of_hers=False, by="steffi"),
    Call("get", "platform/permissions", of_hers=False, by="steffi"),
    Call("put", "platform/permissions", _lists, of_hers=False, by="steffi"),
    Call("get", "instruments/{symbol}/limits", of_hers=False, by="steffi"),
    Call("put", "instruments/{symbol}/limits", _limit, of_hers=False, by="steffi"),
    Call("post", "market/bars", _bar, 201, of_hers=False, before=_trading_day, by="steffi"),
    Call(
        "post",
        "market/instruments",
        lambda world: {"symbol": "DDD", "exchange": "XTST"},
        201,
        of_hers=False,
        by="steffi",
    ),
    Call(
        "put",
        "market/instruments/{symbol}/tags",
        lambda world: {"tags": ["chips"]},
        of_hers=False,
        by="steffi",
    ),
    Call("get", "corporate-actions", of_hers=False, by="steffi"),
    Call("post", "corporate-actions", _dividend, 201, of_hers=False, by="steffi"),
    Call(
        "post",
        "corporate-actions/{action}/withdraw",
        lambda world: {"reason": "A typo"},
        of_hers=False,
        before=_record_dividend,
        by="steffi",
    ),
    Call("post", "recommendation-sources", lambda world: {"name": "desk"}, 201, of_hers=False, by="steffi"),
    Call("get", "platform/code-version", of_hers=False, by="steffi"),
    Call("put", "platform/code-version", lambda world: {"version": None}, of_hers=False, by="steffi"),
    Call(
        "put",
        "recommendation-sources/{source}",
        lambda world: {"pusher": "alice"},
        of_hers=False,
        by="steffi",
    ),
    Call("put", "recommendation-sources/{desk}/pull", _pull, of_hers=False, before=_source, by="steffi"),
    Call("get", "recommendation-sources/{desk}/pull", of_hers=False, before=_pulled, by="steffi"),
    Call(
        "delete", "recommendation-sources/{desk}/pull", status=204, of_hers=False, before=_pulled, by="steffi"
    ),
]
BESIDE = [
    Call("post", "auth/login", _credentials, of_hers=False),
    Call("post", "auth/logout", status=204, of_hers=False),
    Call(
        "post",
        "auth/password",
        lambda world: {"password": PASSWORD, "new_password": PASSWORD + " that is new"},
        204,
        of_hers=False,
        before=_passwords,
    ),
    Call("get", "auth/tokens", of_hers=False),
    Call("post", "auth/tokens", _own_token, 201, of_hers=False, before=_passwords),
    Call(
        "delete",
        "auth/tokens/{token}",
        status=204,
        before=_token,
        beside=dict.fromkeys(("bob", "victor", "tara", "steffi", "susan", "charlie"), 404),
    ),
    Call("post", "auth/tokens/revoke-others", status=204, of_hers=False),
    Call("get", "platform/processes", of_hers=False, by="steffi"),
    Call("get", "portfolios/{portfolio}/executions"),
    Call("get", "portfolios/{portfolio}/limits/history"),
    Call("get", "auto-trading/sessions/{session}/limits"),
    Call("put", "auto-trading/sessions/{session}/limits", _limit, by="bob"),
    Call("get", "service-accounts", of_hers=False, by="steffi"),
    Call(
        "post",
        "service-accounts",
        lambda world: {"name": "svc-model", "description": "Advice"},
        201,
        of_hers=False,
        by="steffi",
    ),
    Call(
        "post",
        "service-accounts/{service}/tokens",
        lambda world: {"name": "production", "expires_in_days": 365},
        201,
        of_hers=False,
        by="steffi",
        before=_service,
    ),
    Call(
        "get",
        "service-accounts/{service}/tokens",
        of_hers=False,
        by="steffi",
        before=_service_token,
    ),
    Call(
        "delete",
        "service-accounts/{service}/tokens/{service_token}",
        status=204,
        of_hers=False,
        by="steffi",
        before=_service_token,
    ),
    Call("get", "failed-logins", of_hers=False, by="steffi", before=_locked_out),
    Call(
        "post",
        "failed-logins/forget",
        lambda world: {"username": "alice"},
        of_hers=False,
        by="steffi",
        before=_locked_out,
    ),
    Call("post", "service-accounts/{service}/deactivate", of_hers=False, by="steffi", before=_service),
    Call("get", "journal?portfolio={portfolio}"),
    Call("get", "alerts?portfolio={portfolio}"),
    Call("post", "alerts/{alert}/acknowledge", before=_alert),
    Call("post", "stream/tickets", status=201, of_hers=False),
    Call("get", "auto-trading/rules/{rule}/details"),
    Call("get", "auto-trading/rules/{rule}/versions"),
    Call("post", "auto-trading/rules/{rule}/versions/{version}/approve", before=_propose_rule),
    Call("post", "auto-trading/rules/{rule}/versions/{version}/reject", before=_propose_rule, author="tara"),
    Call("get", "approvals", of_hers=False),
    Call("post", "auto-trading/rules/validate", _rule, of_hers=False),
    Call("post", "auto-trading/rules/{rule}/preview", lambda world: {"symbols": ["AAA"]}),
    Call("get", "auto-trading/rules/schema", of_hers=False),
    Call("get", "rule-fields", of_hers=False),
    Call("get", "auto-trading/sessions/{session}/performance"),
    Call("get", "auto-trading/sessions/{session}/equity?step=day"),
    Call("post", "auto-trading/sessions/{session}/pause", lambda world: {"reason": "News are due"}),
    Call("post", "auto-trading/sessions/{session}/resume", before=_pause),
    Call("get", "auto-trading/session-plans", of_hers=False),
    Call("post", "auto-trading/session-plans", _new_plan, 201),
    Call("get", "auto-trading/session-plans/{plan}", before=_make_plan),
    Call("put", "auto-trading/session-plans/{plan}", _plan, before=_make_plan),
    Call("delete", "auto-trading/session-plans/{plan}", status=204, before=_make_plan),
    Call("post", "auto-trading/session-plans/{plan}/enable", before=_make_plan),
    Call("post", "auto-trading/session-plans/{plan}/disable", before=_make_plan),
    Call("post", "auto-trading/trades", _order, 201, before=_fresh),
    Call("post", "auto-trading/trades/validate", _order, before=_fresh),
    Call(
        "post",
        "auto-trading/trades/{pending}/settle",
        lambda world: {"state": "expired", "explanation": "Not in its list of orders; by telephone"},
        before=_quarantine,
        by="bob",
    ),
    Call("get", "auto-trading/decisions/{portfolio}"),
    Call("get", "auto-trading/decisions/{decision}/details"),
    Call("get", "auto-trading/decisions/{portfolio}/replay?rule={rule}&symbol=AAA&slot=2"),
    Call("post", "auto-trading/decisions/{portfolio}/replay", _asked_again),
    Call("get", "emergency-stop", of_hers=False),
    Call("post", "emergency-stop", _stop_portfolio, 201),
    Call(
        "post", "emergency-stop/{halt}/release", beside={"bob": 409, "steffi": 403}
    ),  # he armed it; staff see all
    Call("get", "me", of_hers=False),
    Call("get", "portfolios", of_hers=False),
    Call("post", "portfolios", lambda world: {"name": "Growth"}, 201, of_hers=False),
    Call("get", "portfolios/{portfolio}"),
    Call("get", "portfolios/{portfolio}/members"),
    Call("put", "portfolios/{portfolio}/members/{member}", lambda world: {"role": "trader"}),
    Call("delete", "portfolios/{portfolio}/members/{member}", status=204),
    Call("post", "portfolios/{portfolio}/deposits", lambda world: {"amount": "250.00"}, 201),
    Call("post", "portfolios/{portfolio}/withdrawals", lambda world: {"amount": "250.00"}, 201),
    Call("get", "portfolios/{portfolio}/positions"),
    Call("get", "portfolios/{portfolio}/ledger"),
    Call("get", "portfolios/{portfolio}/protections", before=_protect),
    Call("put", "portfolios/{portfolio}/protections/{symbol}", lambda world: {"stop_loss_percentage": "5"}),
    Call("delete", "portfolios/{portfolio}/protections/{symbol}", status=204, before=_protect),
    Call("post", "portfolios/{portfolio}/ledger/{entry}/reversal", lambda world: {"reason": "Busted"}, 201),
    Call("get", "portfolios/{portfolio}/limits"),
    Call("get", "portfolios/{portfolio}/risk"),
    Call("get", "portfolios/{portfolio}/broker"),
    Call("post", "portfolios/{portfolio}/broker/connect", _alpaca, before=_on_the_idle_one),
    Call("post", "portfolios/{portfolio}/broker/disconnect", before=_on_the_idle_one),
    Call("put", "portfolios/{portfolio}/limits", _limit),
    Call("get", "portfolios/{portfolio}/breaks", before=_disagree),
    Call(
        "post",
        "portfolios/{portfolio}/breaks/{break}/explain",
        lambda world: {"explanation": "A transfer, booked today"},
        before=_disagree,
        by="bob",
    ),
    Call("get", "portfolios/{portfolio}/reconciliations"),
    Call("post", "portfolios/{portfolio}/reconcile", status=202, before=_connect),
    Call("post", "portfolios/{portfolio}/limits/{version}/approve", before=_propose_limits),
    Call("post", "portfolios/{portfolio}/limits/{version}/reject", before=_propose_limits),
    Call("post", "portfolios/{portfolio}/four-eyes", lambda world: {"enabled": True}),
    Call("get", "portfolios/{portfolio}/account-limits"),
    Call("put", "portfolios/{portfolio}/account-limits", _limit),
    Call("get", "portfolios/{portfolio}/paper-market"),
    Call("put", "portfolios/{portfolio}/paper-market", lambda world: PAPER_MARKET),
    Call("get", "portfolios/{portfolio}/permissions"),
    Call("put", "portfolios/{portfolio}/permissions", _lists),
    Call("get", "limits", of_hers=False),
    Call("post", "limits/{limits}/approve", before=_propose_account_limits),
    Call("post", "limits/{limits}/reject", before=_propose_account_limits),
    Call("post", "permissions/{lists}/approve", before=_propose_lists),
    Call("post", "permissions/{lists}/reject", before=_propose_lists),
    *OF_STAFF,
    Call("get", "market/instruments", of_hers=False),
    Call("get", "market/calendar?exchange=XTST", of_hers=False, before=_trading_day),
    Call("get", "market/quotes", of_hers=False),
    Call("get", "market/bars?symbol=AAA", of_hers=False),
    Call("get", "market/snapshot", of_hers=False),
    Call("get", "market/quarantine", of_hers=False),
    Call("get", "market/quarantine/totals", of_hers=False),
    Call("get", "market/gaps", of_hers=False),
    Call("get", "recommendations", of_hers=False),
    Call(
        "post",
        "recommendations",
        lambda world: {"source": "test", "recommendations": [_ADVICE]},
        201,
        of_hers=False,
        beside={"alice": 201, "susan": 201, "*": 403},  # its source's pusher, and superusers
    ),
    Call("get", "recommendation-sources", of_hers=False),
    Call("get", "recommendation-sources/{source}", of_hers=False),
    Call("get", "recommendation-sources/{source}/calibration?from=2004-01-01", of_hers=False),
]
CALLS = SPECIFIED + BESIDE


def served() -> Iterator[str]:
    """Method and path of everything that the rooms below serve under /api/, but what only tells of it."""
    for prefix, pattern in _patterns(get_resolver().url_patterns, ""):
        view = getattr(pattern.callback, "view_class", None)
        if prefix in ("api/schema", "api/docs"):
            continue
        if prefix.startswith("api/") and view is not None and view.__module__.startswith(MODULES):
            for method in METHODS:
                if hasattr(view, method):
                    yield f"{method} {_plain(prefix.removeprefix('api/'))}"


def _patterns(patterns: list[Any], prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns, path)
        else:
            yield path, pattern


def _plain(path: str) -> str:
    return "/".join("<uuid>" if part.startswith(("<uuid:", "<str:")) else part for part in path.split("/"))
