"""A list costs the same number of queries however many rows it has."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from drf_spectacular.generators import SchemaGenerator

from foundation.clock import database_now
from foundation.tokens import create_service_account, issue_token
from journal.core.events import AlertSpec, Event
from journal.services.journal import append
from market.models import (
    Bar,
    CalendarDay,
    Instrument,
    MarketGap,
    QuarantinedQuote,
    QuarantineTotal,
    Quote,
    RecommendationSource,
)
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.selectors import account_of
from portfolios.services.limits import set_limits
from portfolios.services.portfolios import create_portfolio, deposit, set_member
from rules.services.rules import update_rule
from sessions.models import TradingSession
from sessions.services.plans import PlanContent, create_plan
from tests.harness.event_payloads import OF_TESTS
from tests.harness.trading import STOP_LOSS, STRONG_BUY_ENTRY
from tests.integration.api.calls import _service_token, ids_of
from tests.integration.api.conftest import World
from trading.models import Reconciliation
from trading.services import emergency_stop
from trading.services.breaks import explain_break, record_break
from trading.services.protections import set_protection

pytestmark = pytest.mark.integration


def more_rules(world: World) -> None:
    for number in range(3):
        world.desk.add_rule(**{**STOP_LOSS, "rule_type": "exit", "type": "exit", "name": f"Rule {number}"})


def more_sessions(world: World) -> None:
    for _ in range(3):
        TradingSession.objects.create(
            portfolio=world.desk.portfolio,
            slice=world.desk.session.slice,
            started_by=world.users["alice"],
            status="stopped",
            end_time=database_now(),
        )


def more_trades(world: World) -> None:
    """They bring decisions, positions and ledger transfers with them."""
    for symbol in ("AAA", "BBB", "CCC"):
        world.market.advise(symbol)
    world.desk.step()
    world.desk.step()


def more_protections(world: World) -> None:
    more_trades(world)
    for symbol in ("AAA", "BBB", "CCC"):
        set_protection(
            portfolio_id=world.desk.portfolio.id, symbol=symbol, stop_loss_percentage=Decimal(5), actor=None
        )


def more_stops(world: World) -> None:
    for _ in range(3):
        emergency_stop.arm(
            scope="portfolio", scope_id=str(world.idle.id), reason="Drill", actor=world.users["alice"]
        )


def more_breaks(world: World) -> None:
    account_id = account_of(world.desk.portfolio.id)
    assert account_id is not None
    for number in range(3):
        found = record_break(
            account_id=account_id,
            kind="foreign_order",
            key=f"o-{number}",
            ours={},
            theirs={},
            detail="not ours",
        )
        assert found is not None
        if number:
            explain_break(break_id=found.id, explanation="A drill", actor=world.users["bob"])


def more_reconciliations(world: World) -> None:
    account_id = account_of(world.desk.portfolio.id)
    for _ in range(3):
        Reconciliation.objects.create(account_id=account_id, trigger="periodic", finished_at=database_now())


def more_portfolios(world: World) -> None:
    for number in range(3):
        made = create_portfolio(name=f"Growth {number}", owner=world.users["alice"])
        deposit(portfolio_id=made.id, amount=Decimal(10), actor=None)


def more_market(world: World) -> None:
    now = database_now()
    for number, instrument in enumerate(world.market.instruments):
        Quote.objects.create(
            instrument=instrument, bid=1, ask=1, last=1, volume=1, market_time=now, received_at=now
        )
        at = now - timedelta(days=number)
        Bar.objects.create(
            instrument=world.market.instruments[0], at=at, open=1, high=1, low=1, close=1, volume=1
        )
        MarketGap.objects.create(instrument=instrument, first_day=at.date(), last_day=at.date())
        QuarantinedQuote.objects.create(symbol="AAA", reason="zero", received_at=now, payload={})
        RecommendationSource.objects.create(name=f"source-{number}")
        world.market.advise(instrument.symbol)


def more_limits(world: World) -> None:
    for value in (4000, 3000, 2000):
        set_limits(
            scope="portfolio", scope_id=world.desk.portfolio.id, values={"max_order_value": Decimal(value)},
            actor=world.users["alice"],
        )  # fmt: skip


def more_members(world: World) -> None:
    for number in range(3):
        user = get_user_model().objects.create_user(f"member-{number}")
        set_member(portfolio=world.desk.portfolio, user=user, role="viewer", actor=world.users["alice"])


def more_tokens(world: World) -> None:
    for number in range(3):
        issue_token(user=world.users["alice"], name=f"script {number}", days=1, actor=world.users["alice"])


def more_programs(world: World) -> None:
    for number in range(3):
        made = create_service_account(name=f"svc-{number}", description="Advice", actor=world.users["steffi"])
        issue_token(user=made.user, name="production", days=1, actor=world.users["steffi"])


def more_failures(world: World) -> None:
    for number in range(3):
        AccessAttempt.objects.create(
            username=f"name-{number}",
            ip_address="10.0.0.1",
            failures_since_start=1,
            attempt_time=database_now(),
        )


def more_days(world: World) -> None:
    for number in range(3):
        at = database_now() - timedelta(days=number)
        CalendarDay.objects.create(
            exchange_id="XTST", day=at.date(), opens_at=at, closes_at=at + timedelta(hours=7)
        )


def more_equity(world: World) -> None:
    for _ in range(3):
        deposit(portfolio_id=world.desk.portfolio.id, amount=Decimal(10), actor=None)


def more_events(world: World) -> None:
    """With an alert of each."""
    for number in range(3):
        event = Event(
            stream=world.desk.portfolio.id, kind=f"{OF_TESTS}alerted", at=database_now(), payload={},
            alert=AlertSpec("warning", f"Alert {number}"),
        )  # fmt: skip
        append([event])


def more_versions(world: World) -> None:
    for number in range(3):
        content = {**STRONG_BUY_ENTRY, "name": f"Version {number}"}
        update_rule(rule_id=world.rule.id, rule=content, actor=world.users["alice"])


def more_plans(world: World) -> None:
    for number in range(3):
        content = PlanContent(name=f"Plan {number}", exchange="XTST", config={})
        create_plan(portfolio_id=world.desk.portfolio.id, content=content, actor=world.users["alice"])


def more_instruments(world: World) -> None:
    for number in range(3):
        Instrument.objects.create(symbol=f"NEW{number}", exchange_id="XTST", tick_size=1, lot_size=1)


def more_quarantine(world: World) -> None:
    for reason in ("zero", "jump", "crossed"):
        QuarantineTotal.objects.create(reason=reason, total=7, minute=database_now(), in_minute=1)


def more_actions(world: World) -> None:
    for number in range(3):
        action = NewCorporateAction(
            external_id=f"{number}",
            symbol="AAA",
            kind="dividend",
            ex_at=world.market.as_of,
            amount=Decimal("0.25"),
        )
        record(action, actor=world.users["steffi"])


def more_service_tokens(world: World) -> None:
    user = get_user_model().objects.get(username="svc-model")
    for number in range(3):
        issue_token(user=user, name=f"script {number}", days=1, actor=world.users["steffi"])


GROWING = [
    ("auto-trading/rules/{portfolio}", more_rules),
    ("auto-trading/sessions/{portfolio}", more_sessions),
    ("auto-trading/trades/{portfolio}", more_trades),
    ("auto-trading/decisions/{portfolio}", more_trades),
    ("portfolios/{portfolio}/positions", more_trades),
    ("portfolios/{portfolio}/ledger", more_trades),
    ("portfolios/{portfolio}/protections", more_protections),
    ("portfolios/{portfolio}/executions", more_trades),
    ("portfolios/{portfolio}/limits/history", more_limits),
    ("portfolios/{portfolio}/members", more_members),
    ("auto-trading/sessions/{session}/equity", more_equity),
    ("auth/tokens", more_tokens),
    ("service-accounts", more_programs),
    ("failed-logins", more_failures),
    ("market/calendar", more_days),
    ("portfolios", more_portfolios),
    ("emergency-stop", more_stops),
    ("portfolios/{portfolio}/breaks", more_breaks),
    ("portfolios/{portfolio}/reconciliations", more_reconciliations),
    ("market/quotes", more_market),
    ("market/gaps", more_market),
    ("market/quarantine", more_market),
    ("market/bars?symbol=AAA", more_market),
    ("recommendations", more_market),
    ("recommendation-sources", more_market),
    ("journal?portfolio={portfolio}", more_events),
    ("alerts", more_events),
    ("auto-trading/rules/{rule}/versions", more_versions),
    ("auto-trading/session-plans", more_plans),
    ("market/instruments", more_instruments),
    ("market/quarantine/totals", more_quarantine),
    ("corporate-actions", more_actions),
    ("service-accounts/{service}/tokens", more_service_tokens),
]
OF_STAFF = ("service-accounts", "failed-logins", "corporate-actions")


def test_every_list_is_here() -> None:
    """What has pages has a cursor."""
    listed = {
        re.sub(r"{\w+}", "*", path.removeprefix("/api/"))
        for path, methods in SchemaGenerator().get_schema(request=None, public=True)["paths"].items()
        if any(row["name"] == "cursor" for row in methods.get("get", {}).get("parameters", ()))
    }
    assert {re.sub(r"{\w+}", "*", path.partition("?")[0]) for path, _ in GROWING} == listed


@pytest.mark.parametrize(("path", "grow"), GROWING)
def test_queries_do_not_grow_with_the_rows(world: World, path: str, grow: Callable[[World], None]) -> None:
    if "{service}" in path:
        _service_token(world)
    address = "/api/" + path.format(**ids_of(world))
    client = world.as_("steffi" if path.startswith(OF_STAFF) else "alice")

    def measure() -> tuple[int, int]:
        client.get(address)  # the current snapshot is in the process's cache from here on
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(address)
        return len(answer.json()["results"]), len(queries)

    rows_before, queries_before = measure()
    grow(world)
    rows_after, queries_after = measure()
    assert rows_after >= rows_before + 2
    assert queries_after == queries_before
