"""A rule with a schedule is silent outside its window, and can tell why."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from market.services import snapshots
from rules.core.facts import PortfolioFacts
from rules.services.rule_engine import RuleContext, evaluate_rule
from tests.harness.people import person
from tests.harness.trading import STRONG_BUY_ENTRY, Desk, Market
from tests.integration.trading.steps import decisions_of, step_later
from trading.services.facts import market_view

pytestmark = pytest.mark.integration
SYMBOL = "AAA"


def scheduled(**schedule: Any) -> dict[str, Any]:
    """The market's exchange is in UTC; its clock shows 14:31, a Monday, at the first tick."""
    return {**STRONG_BUY_ENTRY, "schedule": schedule}


def opened(market: Market, rule: dict[str, Any]) -> Desk:
    market.tick()
    market.advise(SYMBOL)
    return Desk.open(market, rules=(rule,))


def told_now(desk: Desk) -> str:
    snapshot = snapshots.current()
    assert snapshot is not None
    facts = market_view(snapshot).facts(())
    portfolio = PortfolioFacts(values={"portfolio_cash_percentage": 100.0}, positions={}, universe=None)
    return evaluate_rule(desk.portfolio.trading_rules.get(), RuleContext(facts, portfolio, SYMBOL)).sentence


def test_outside_its_hours_it_is_silent_and_says_why(market: Market) -> None:
    desk = opened(market, scheduled(**{"from": "15:00", "to": "16:00"}))
    desk.step()
    assert desk.trades() == [] and desk.decisions() == []
    assert told_now(desk) == "Not true for AAA: time of day is 14:32, not between 15:00 and 16:00."
    step_later(desk, minutes=28)
    assert [trade.status for trade in desk.trades()] == ["filled"]
    assert (
        "time of day is 15:00, between 15:00 and 16:00"
        in decisions_of(desk, STRONG_BUY_ENTRY["name"])[0].detail
    )


@pytest.mark.parametrize(
    ("schedule", "bought"),
    [
        ({"weekdays": ["MONDAY"]}, True),
        ({"weekdays": ["TUESDAY", "SUNDAY"]}, False),
        ({"from": "14:32"}, True),
        ({"from": "14:33"}, False),
        ({"to": "14:32"}, True),
        ({"to": "14:31"}, False),
        ({"from": "22:00", "to": "15:00"}, True),  # over midnight
        ({"from": "22:00", "to": "06:00"}, False),
        ({"minutes_after_open": 872}, True),  # the test's market opens at midnight
        ({"minutes_after_open": 873}, False),
        ({"minutes_before_close": 60}, True),
        ({"minutes_before_close": 600}, False),
        ({"weekdays": ["MONDAY"], "from": "15:00"}, False),  # all of it must hold
    ],
    ids=str,
)
def test_each_key_decides_on_the_exchanges_clock(
    market: Market, schedule: dict[str, Any], bought: bool
) -> None:
    desk = opened(market, scheduled(**schedule))
    desk.step()
    assert market.as_of.strftime("%A %H:%M") == "Monday 14:32"
    assert (desk.held(SYMBOL) > 0) is bought
    assert (desk.decisions() != []) is bought


def test_a_rule_for_the_portfolio_keeps_the_hours_of_its_universe(market: Market) -> None:
    block = {
        "name": "Morning guard", "rule_type": "risk", "actions": [{"type": "block_entries"}],
        "conditions": [{"field": "portfolio_cash_percentage", "operator": "greater_than", "value": 0}],
        "schedule": {"to": "14:59"},
    }  # fmt: skip
    market.tick()
    market.advise(SYMBOL)
    desk = Desk.open(market, rules=(STRONG_BUY_ENTRY, block))
    desk.step()
    assert desk.held(SYMBOL) == 0
    step_later(desk, minutes=28)
    assert desk.held(SYMBOL) == 50


def test_a_rest_counts_on_outside_the_hours(market: Market) -> None:
    rule = {**scheduled(**{"from": "14:00", "to": "15:00"}), "cooldown": {"minutes": 1440}}
    desk = opened(market, rule)
    desk.step()
    first = market.as_of
    step_later(desk, minutes=23 * 60 + 50)
    assert len(desk.trades()) == 1, "in its hours, but not a day later yet"
    step_later(desk, minutes=10)
    assert market.as_of == first + timedelta(days=1)
    assert len(desk.trades()) == 2


def test_the_admin_and_the_api_show_the_schedule_that_held(market: Market, client: Client) -> None:
    desk = opened(market, scheduled(**{"from": "14:32"}))
    desk.step()
    (decision,) = desk.decisions()
    headers = person(desk.owner.username).headers
    why = client.get(f"/api/auto-trading/decisions/{decision.pk}/details", headers=headers).json()
    (hours,) = why["explanation"]["schedule"]["all"]
    assert (hours["field"], hours["fact"], hours["threshold"], hours["outcome"]) == (
        "time_of_day", "14:32", "14:32", True
    )  # fmt: skip
    client.force_login(get_user_model().objects.create_superuser("dora"))
    page = client.get(reverse("admin:trading_decision_change", args=[decision.pk])).content.decode()
    assert "<code>time_of_day</code> greater or equal" in page
