"""Every list: in each order that it offers, page by page, nothing twice and nothing left out; and its filters."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.urls import resolve

from sessions.services.sessions import report_failure, resume_trading_session
from tests.integration.api.calls import CALLS, Call
from tests.integration.api.conftest import World
from tests.integration.api.test_query_counts import (
    more_market,
    more_rules,
    more_sessions,
    more_stops,
    more_trades,
)

pytestmark = pytest.mark.integration


def view_of(call: Call) -> Any:
    path = call.path.split("?")[0]
    for name in ("portfolio", "rule", "session", "trade"):
        path = path.replace(f"{{{name}}}", "00000000-0000-4000-8000-000000000000")
    return None if "{" in path else resolve(f"/api/{path}").func.view_class  # type: ignore[attr-defined]


def ordered(call: Call) -> dict[str, Any]:
    orderings: dict[str, Any] = getattr(view_of(call), "orderings", {})
    return orderings


ORDERED = [
    (call, name) for call in CALLS if call.method == "get" for name in ordered(call)
]  # fmt: skip


def filled(world: World) -> None:
    report_failure(session_id=world.desk.session.id, reason="a drill")  # which is alerted
    resume_trading_session(session_id=world.desk.session.id, actor=world.users["alice"])
    more_market(world)
    more_rules(world)
    more_sessions(world)
    more_stops(world)
    more_trades(world)


def url(world: World, call: Call) -> str:
    return call.send(world, call.by).wsgi_request.get_full_path()


def with_query(path: str, query: dict[str, Any]) -> str:
    """Beside what the path asks for already."""
    return f"{path}{'&' if '?' in path else '?'}{urlencode(query)}" if query else path


def pages(client: Any, path: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
    answer = client.get(with_query(path, query))
    while True:
        assert answer.status_code == 200, answer.content
        yield answer.json()["results"]
        following = answer.json()["next"]
        if following is None:
            return
        answer = client.get(following)


@pytest.mark.parametrize(("call", "name"), ORDERED, ids=lambda value: getattr(value, "route", value))
def test_in_each_order_every_row_comes_once(world: World, call: Call, name: str) -> None:
    filled(world)
    client, path = world.as_(call.by), url(world, call)
    usual = [row for page in pages(client, path) for row in page]
    short = {"ordering": name, view_of(call).pagination_class.page_size_query_param: 2}
    asked = [row for page in pages(client, path, **short) for row in page]
    assert len(asked) == len(usual) > 0
    assert sorted(map(str, asked)) == sorted(map(str, usual))
    column = name.removeprefix("-")
    if asked and column in asked[0]:
        values = [row[column] for row in asked]
        assert values == sorted(values, reverse=name.startswith("-"))


@pytest.mark.parametrize(
    "call", {call.route: call for call, _ in ORDERED}.values(), ids=lambda call: call.route
)
def test_an_order_that_there_is_not_is_refused_with_those_that_there_are(world: World, call: Call) -> None:
    client, path = world.as_(call.by), url(world, call)
    answer = client.get(with_query(path, {"ordering": "colour"}))
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "ordering")
    assert all(name in answer.json()["detail"] for name in ordered(call))


def test_a_cursor_belongs_to_its_order(world: World) -> None:
    filled(world)
    client, path = world.as_("alice"), f"/api/auto-trading/trades/{world.desk.portfolio.id}"
    following = client.get(path, {"page_size": 1, "ordering": "symbol"}).json()["next"]
    assert client.get(following).status_code == 200
    assert client.get(following.replace("ordering=symbol", "ordering=created_at")).status_code == 404
    assert client.get(path, {"cursor": "symbol.nonsense", "ordering": "symbol"}).status_code == 404


class TestFilters:
    def results(self, world: World, path: str, **query: Any) -> list[dict[str, Any]]:
        answer = world.as_("alice").get(f"/api/{path.format(world.desk.portfolio.id)}", query)
        assert answer.status_code == 200, answer.content
        rows: list[dict[str, Any]] = answer.json()["results"]
        return rows

    def test_the_ledger_by_symbol_side_rule_and_session(self, world: World) -> None:
        path, filled_trade = "portfolios/{}/ledger", world.filled
        by_symbol = self.results(world, path, symbol="AAA")
        assert {row["asset"] for row in by_symbol} == {"AAA", "USD"}
        assert {row["trade_id"] for row in by_symbol} == {str(filled_trade.id)}
        ids = [row["id"] for row in by_symbol]
        assert ids == [
            row["id"] for row in self.results(world, path, symbol="AAA", rule=filled_trade.rule_id)
        ]
        assert self.results(world, path, side="sell") == []
        bought = self.results(world, path, side="buy", session=filled_trade.session_id)
        assert set(ids) <= {row["id"] for row in bought}
        assert self.results(world, path, rule="00000000-0000-4000-8000-000000000000") == []

    def test_the_ledger_by_symbol_together_with_what_an_entrys_other_transfers_have(
        self, world: World
    ) -> None:
        path = "portfolios/{}/ledger"
        entry = self.results(world, path, symbol="AAA")
        cash = [row["id"] for row in entry if row["asset"] == "USD"]
        assert [row["id"] for row in self.results(world, path, symbol="AAA", asset="USD")] == cash != []
        kinds = {row["kind"] for row in entry}
        assert kinds == {"fill", "fee"}  # the fee moves no units of the symbol
        for kind in kinds:
            of_kind = [row["id"] for row in entry if row["kind"] == kind]
            assert [row["id"] for row in self.results(world, path, symbol="AAA", kind=kind)] == of_kind

    def test_orders_that_are_open_and_those_that_are_over(self, world: World) -> None:
        path = "auto-trading/trades/{}"
        assert [row["id"] for row in self.results(world, path, open="true")] == [str(world.pending.id)]
        over = self.results(world, path, open="false")
        assert str(world.filled.id) in {row["id"] for row in over}
        assert {row["status"] for row in over} <= {"filled", "cancelled", "rejected", "expired"}
        assert len(self.results(world, path)) == 1 + len(over)

    def test_a_decision_names_the_trade_that_came_of_it(self, world: World) -> None:
        decided = {row["id"]: row["trade_id"] for row in self.results(world, "auto-trading/decisions/{}")}
        trades = self.results(world, "auto-trading/trades/{}")
        assert {row["decision_id"]: row["id"] for row in trades}.items() <= decided.items()
        story = world.as_("alice").get(f"/api/auto-trading/trades/{world.filled.id}/details").json()
        assert story["decision"]["trade_id"] == str(world.filled.id)

    def test_decisions_by_side_and_time(self, world: World) -> None:
        path = "auto-trading/decisions/{}"
        assert {row["outcome"] for row in self.results(world, path, side="buy")} == {"traded"}
        assert self.results(world, path, side="sell") == []
        assert self.results(world, path, to="2000-01-01T00:00:00Z") == []

    def test_executions(self, world: World) -> None:
        path = "portfolios/{}/executions"
        (row,) = self.results(world, path, symbol="AAA", side="buy")
        assert (row["trade_id"], row["reversed_at"]) == (str(world.filled.id), None)
        assert self.results(world, path, reversed="true") == [] and self.results(
            world, path, reversed="false"
        )

    def test_events_of_a_trade_a_rule_and_within_a_time(self, world: World) -> None:
        portfolio = str(world.desk.portfolio.id)
        of_trade = self.results(world, "journal", portfolio=portfolio, trade=str(world.filled.id))
        assert of_trade and all(row["payload"]["trade_id"] == str(world.filled.id) for row in of_trade)
        assert [row["kind"] for row in of_trade][-1] == "trade.filled"
        assert self.results(world, "journal", portfolio=portfolio, to="1990-01-01T00:00:00Z") == []
        newest = self.results(world, "journal", portfolio=portfolio, ordering="-recorded")
        assert [row["seq"] for row in newest] == sorted((row["seq"] for row in newest), reverse=True)
        answer = world.as_("alice").get("/api/journal", {"trade": str(world.filled.id)})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "trade")

    def test_a_sessions_limits_are_set_and_shown_and_stand_in_no_history_of_the_portfolio(
        self, world: World
    ) -> None:
        bob, path = world.as_("bob"), f"/api/auto-trading/sessions/{world.desk.session.id}/limits"
        assert bob.put(path, {"max_order_value": "3000"}, format="json").status_code == 200
        assert bob.get(path).json()["current"]["values"]["max_order_value"] == "3000.00000000"
        history = self.results(world, "portfolios/{}/limits/history")
        assert {row["scope"] for row in history} <= {"portfolio", "account"}
