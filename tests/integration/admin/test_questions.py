"""What would it do now, why did it not: pages that the rules', sessions' and portfolios' pages lead to."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from portfolios.models import Member
from portfolios.services.portfolios import create_portfolio
from rules.models import TradingRule
from rules.services.rules import create_rule, deactivate_rule
from tests.harness.roles_table import MEMBERS, by_action
from tests.harness.trading import STOP_LOSS, Desk, Market
from tests.integration.admin.conftest import make_user
from trading.models import AutoTrade, Decision

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(dora: Any) -> Any:
    """Bought AAA on the first tick, by advice that is gone; CCC is advised now."""
    market = Market()
    market.tick()
    desk = Desk.open(market)
    market.advise("AAA")
    desk.step()
    market.advise("AAA", "HOLD", 0.5)
    market.advise("CCC")
    market.tick()
    rules = TradingRule.objects.filter(portfolio=desk.portfolio)
    return SimpleNamespace(
        desk=desk, market=market, portfolio=desk.portfolio,
        entry=rules.get(name="AI Strong Buy Entry"), exit=rules.get(name="Stop Loss Protection"),
    )  # fmt: skip


def preview(rule: TradingRule) -> str:
    return reverse("admin:trading_rule_preview", args=[rule.pk])


def why(desk: Any) -> str:
    return reverse("admin:trading_why", args=[desk.portfolio.pk])


class TestPreview:
    def test_it_tells_what_the_next_evaluation_would_do(self, admin_page: Client, desk: Any) -> None:
        before = Decision.objects.count(), AutoTrade.objects.count()
        text = admin_page.get(preview(desk.entry)).content.decode()
        assert "true for 1 symbol." in text and "The next evaluation of this market really does it." in text
        assert "<h2>CCC: " in text and "traded" in text and "✓ passed" in text
        assert (Decision.objects.count(), AutoTrade.objects.count()) == before
        desk.desk.evaluate()
        made = AutoTrade.objects.get(instrument__symbol="CCC")
        assert f"buy {made.quantity.normalize():f} CCC" in text

    def test_only_what_is_asked_for_is_explained(self, admin_page: Client, desk: Any) -> None:
        text = admin_page.get(preview(desk.entry), {"symbols": "AAA, BBB"}).content.decode()
        assert "<h2>AAA: " in text and "<h2>BBB: " in text and "<h2>CCC: " not in text
        assert "✗ not true" in text

    def test_what_stands_in_its_way_is_told(self, admin_page: Client, desk: Any, dora: Any) -> None:
        deactivate_rule(rule_id=desk.entry.pk, actor=dora)
        text = admin_page.get(preview(desk.entry)).content.decode()
        assert "The rule is not active." in text and "really does it" not in text

    @pytest.mark.parametrize(
        ("query", "told"),
        [
            ({"symbols": "CCCC"}, "symbols[0]: "),
            ({"version": "9"}, "The rule has no version 9."),
            ({"version": "x"}, "Enter a whole number."),
        ],
    )
    def test_what_is_refused_is_told(self, admin_page: Client, desk: Any, query: Any, told: str) -> None:
        page = admin_page.get(preview(desk.entry), query)
        assert page.status_code == 200 and told in page.content.decode()

    def test_without_a_market_there_is_no_answer(self, admin_page: Client, rule: TradingRule) -> None:
        page = admin_page.get(preview(rule))
        assert page.status_code == 200 and "There is no market data yet." in page.content.decode()


class TestWhy:
    def test_a_rule_that_was_true_leads_to_its_decision(self, admin_page: Client, desk: Any) -> None:
        decision = Decision.objects.get(rule=desk.entry, instrument__symbol="AAA", outcome="traded")
        text = admin_page.get(
            why(desk), {"rule": desk.entry.pk, "symbol": "AAA", "slot": decision.slot}
        ).content.decode()
        assert "<h2>AAA: " in text and "✓ true" in text and "whose session was active" in text
        assert reverse("admin:trading_decision_change", args=[decision.pk]) in text

    def test_a_rule_that_was_not_true_says_which_condition_was_not(
        self, admin_page: Client, desk: Any
    ) -> None:
        desk.desk.evaluate()
        asked = {"rule": desk.exit.pk, "symbol": "AAA", "at": desk.market.as_of.isoformat()}
        text = admin_page.get(why(desk), asked).content.decode()
        assert "<code>not_true</code>" in text and "position_pnl_percentage" in text
        assert "What was known then" in text and "ai recommendation" in text

    def test_nothing_is_asked_before_there_is_a_moment(self, admin_page: Client, desk: Any) -> None:
        text = admin_page.get(why(desk), {"rule": desk.exit.pk}).content.decode()
        assert "What was known then" not in text and "This field is required" not in text
        assert f'<option value="{desk.exit.pk}" selected' in text

    @pytest.mark.parametrize(
        ("query", "told"),
        [
            ({"slot": "1", "at": "2004-01-02 15:00"}, "Give either a time or a slot"),
            ({"at": "1999-01-02 15:00"}, "is not kept"),
            ({"slot": "1", "symbol": "AAAA"}, "symbol: "),
            ({"slot": "1", "rule": ""}, "This field is required."),
        ],
    )
    def test_what_is_refused_is_told(self, admin_page: Client, desk: Any, query: Any, told: str) -> None:
        page = admin_page.get(why(desk), {"rule": desk.entry.pk, "symbol": "AAA"} | query)
        assert page.status_code == 200 and told in page.content.decode()

    def test_another_portfolios_rule_is_none_of_its(self, admin_page: Client, desk: Any, dora: Any) -> None:
        other = create_portfolio(name="Other", owner=dora)
        rule = create_rule(portfolio_id=other.pk, rule=STOP_LOSS, actor=dora)
        asked = {"rule": rule.pk, "symbol": "AAA", "slot": 1}
        assert "Select a valid choice" in admin_page.get(why(desk), asked).content.decode()


def test_they_are_open_to_whom_the_table_lets_look(desk: Any) -> None:
    cells = by_action()["view"].cells
    for column in (*MEMBERS, "staff"):
        user = make_user(f"staff-{column}", is_staff=True)
        user.user_permissions.set(Permission.objects.all())
        if column in MEMBERS:
            Member.objects.create(portfolio=desk.portfolio, user=user, role=column)
        client = Client()
        client.force_login(user)
        expected = 200 if cells[column] == "yes" else 403
        assert [client.get(page).status_code for page in (preview(desk.entry), why(desk))] == [
            expected
        ] * 2, column


def test_a_member_needs_the_permission_of_the_page_too(desk: Any) -> None:
    user = make_user("staff-viewer", is_staff=True)
    Member.objects.create(portfolio=desk.portfolio, user=user, role="viewer")
    client = Client()
    client.force_login(user)
    assert [client.get(page).status_code for page in (preview(desk.entry), why(desk))] == [403, 403]


def test_the_buttons_lead_there(admin_page: Client, desk: Any) -> None:
    buttons = {
        reverse("admin:rules_tradingrule_preview", args=[desk.entry.pk]): preview(desk.entry),
        reverse("admin:rules_tradingrule_why", args=[desk.entry.pk]): f"{why(desk)}?rule={desk.entry.pk}",
        reverse("admin:trading_sessions_tradingsession_why", args=[desk.desk.session.pk]): why(desk),
        reverse("admin:portfolios_portfolio_why", args=[desk.portfolio.pk]): why(desk),
    }
    for button, page in buttons.items():
        answer = admin_page.get(button)
        assert (answer.status_code, answer["Location"]) == (302, page)
    shown = admin_page.get(reverse("admin:rules_tradingrule_change", args=[desk.entry.pk])).content.decode()
    assert "What would it do now?" in shown and "Why (not)?" in shown


def test_what_never_was_is_not_found(admin_page: Client) -> None:
    stranger = create_portfolio(name="Gone", owner=make_user("gone"))
    assert admin_page.get(reverse("admin:trading_why", args=[stranger.pk])).status_code == 200
    for name in ("trading_why", "trading_rule_preview"):
        assert admin_page.get(
            reverse(f"admin:{name}", args=["00000000-0000-4000-8000-000000000000"])
        ).status_code == 404  # fmt: skip
