"""Portfolios over REST: money, positions at today's prices, ledger, limits."""

from base64 import b64encode
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest

from foundation.core.canonical import canonical_json
from journal.models import Entry
from market.services.corporate_actions import NewCorporateAction, record
from portfolios.models import EquityPoint, LedgerTransfer
from portfolios.services.corporate_actions import book_due_actions
from tests.integration.api.conftest import World
from trading.services.protections import set_protection

pytestmark = pytest.mark.integration


def test_who_creates_a_portfolio_owns_it(world: World) -> None:
    charlie = world.as_("charlie")
    made = charlie.post("/api/portfolios", {"name": "Growth"}, format="json").json()
    assert (made["role"], made["cash"], made["base_currency"]) == ("owner", "0.00000000", "USD")
    details = charlie.get(f"/api/portfolios/{made['id']}").json()
    assert (details["account"]["broker"], details["account"]["is_live"]) == ("paper", False)
    assert details["valuation"]["equity"] == "0.00000000"


def test_me_names_my_portfolios_with_my_role(world: World) -> None:
    me = world.as_("bob").get("/api/me").json()
    assert (me["username"], me["is_staff"]) == ("bob", False)
    assert {(row["name"], row["role"]) for row in me["portfolios"]} == {
        (world.desk.portfolio.name, "risk_officer"),
        ("Idle", "risk_officer"),
    }


def test_a_deposit_raises_cash_and_is_in_the_ledger(world: World) -> None:
    alice, path = world.as_("alice"), f"/api/portfolios/{world.idle.id}"
    body = {"amount": "250.50", "memo": "Savings"}
    assert alice.post(f"{path}/deposits", body, format="json").json()["cash"] == "250.50000000"
    (row,) = alice.get(f"{path}/ledger").json()["results"]
    assert (row["kind"], row["debit_account"], row["credit_account"]) == ("deposit", "cash", "capital")
    assert (row["amount"], row["memo"]) == ("250.50000000", "Savings")


def test_more_cash_than_the_books_hold_is_refused_with_a_reason(world: World) -> None:
    alice, path = world.as_("alice"), f"/api/portfolios/{world.idle.id}"
    assert alice.post(f"{path}/deposits", {"amount": "999999999999.99"}, format="json").status_code == 201
    answer = alice.post(f"{path}/deposits", {"amount": "0.01"}, format="json")
    assert (answer.status_code, "10^12" in answer.json()["detail"]) == (409, True)
    assert alice.get(path).json()["portfolio"]["cash"] == "999999999999.99000000"


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "NaN", "1e13", None, "ten", True])
def test_no_nonsense_is_deposited(world: World, amount: object) -> None:
    answer = world.as_("alice").post(
        f"/api/portfolios/{world.idle.id}/deposits", {"amount": amount}, format="json"
    )
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "amount")


def test_reserved_cash_cannot_be_withdrawn(world: World) -> None:
    alice, path = world.as_("alice"), f"/api/portfolios/{world.desk.portfolio.id}"
    portfolio = alice.get(path).json()["portfolio"]
    assert Decimal(portfolio["reserved_cash"]) > 0
    free = Decimal(portfolio["available_cash"]).quantize(Decimal("0.01"))
    written = LedgerTransfer.objects.count(), Entry.objects.count(), EquityPoint.objects.count()
    answer = alice.post(f"{path}/withdrawals", {"amount": str(free + 1)}, format="json")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "conflict")
    (error,) = problem["errors"]
    assert error["path"] == "amount"
    for amount in (portfolio["available_cash"], portfolio["cash"], portfolio["reserved_cash"]):
        assert amount in error["message"]
    assert alice.get(path).json()["portfolio"] == portfolio
    assert (LedgerTransfer.objects.count(), Entry.objects.count(), EquityPoint.objects.count()) == written
    assert alice.post(f"{path}/withdrawals", {"amount": str(free)}, format="json").status_code == 201


def test_positions_are_valued_at_the_current_snapshot(world: World) -> None:
    world.market.tick(AAA=110.0)
    victor, path = world.as_("victor"), f"/api/portfolios/{world.desk.portfolio.id}"
    (position,) = victor.get(f"{path}/positions").json()["results"]
    assert (position["symbol"], position["quantity"], position["price"]) == (
        "AAA",
        "50.00000000",
        "110.00000000",
    )
    assert (position["market_value"], position["unrealised_pnl"]) == ("5500.00000000", "494.00000000")
    details = victor.get(path).json()
    cash = Decimal(details["portfolio"]["cash"])
    assert Decimal(details["valuation"]["equity"]) == cash + 5500


def test_an_unknown_price_gives_no_value_instead_of_a_wrong_one(world: World) -> None:
    world.market.tick(AAA=float("nan"))
    victor, path = world.as_("victor"), f"/api/portfolios/{world.desk.portfolio.id}"
    (position,) = victor.get(f"{path}/positions").json()["results"]
    assert (position["price"], position["market_value"], position["unrealised_pnl"]) == (None, None, None)
    valuation = victor.get(path).json()["valuation"]
    assert (valuation["market_value"], valuation["equity"]) == (None, None)


def test_while_a_split_waits_nothing_of_it_has_a_value(world: World) -> None:
    """Half a new unit is left, and nobody knows yet what is paid for it: the new price meets 50 old units."""
    portfolio_id = world.desk.portfolio.id
    set_protection(portfolio_id=portfolio_id, symbol="AAA", stop_loss_percentage=Decimal(5), actor=None)
    item = NewCorporateAction(
        external_id="split", symbol="AAA", kind="split", ex_at=world.market.as_of + timedelta(minutes=1), new_units=1,
        old_units=100,
    )  # fmt: skip
    record(item, actor=None)
    world.market.tick(AAA=10_000.0)
    book_due_actions()
    assert world.desk.held("AAA") == 50
    victor, path = world.as_("victor"), f"/api/portfolios/{portfolio_id}"
    shown = {row["symbol"]: row for row in victor.get(f"{path}/positions").json()["results"]}
    assert [shown["AAA"][name] for name in ("price", "market_value", "unrealised_pnl")] == [None] * 3
    valuation = victor.get(path).json()["valuation"]
    assert [valuation[name] for name in ("market_value", "unrealised_pnl", "equity")] == [None] * 3
    risk = victor.get(f"{path}/risk").json()
    exposures = {row["symbol"]: row["exposure"] for row in risk["holdings"]}
    assert (risk["unknown_prices"], exposures["AAA"], risk["equity"]) == (["AAA"], None, None)
    (protection,) = victor.get(f"{path}/protections").json()["results"]
    assert (protection["price"], protection["thresholds"][0]["distance_percentage"]) == (None, None)


def test_sold_positions_are_shown_on_request(world: World) -> None:
    world.market.advise("AAA", "HOLD", 0.5)
    world.desk.step(AAA=90.0)
    assert world.desk.held("AAA") == 0
    victor, path = world.as_("victor"), f"/api/portfolios/{world.desk.portfolio.id}/positions"
    assert [row["symbol"] for row in victor.get(path).json()["results"]] == ["BBB"]
    for closed in ("", "false"):
        shown = victor.get(path, {"closed": closed}).json()["results"]
        assert [row["symbol"] for row in shown] == ["BBB"]
    rows = victor.get(f"{path}?closed=true").json()["results"]
    assert {row["symbol"]: row["market_value"] for row in rows}["AAA"] == "0.00000000"


def test_the_ledger_adds_up_to_the_cash(world: World) -> None:
    victor, path = world.as_("victor"), f"/api/portfolios/{world.desk.portfolio.id}"
    rows = victor.get(f"{path}/ledger").json()["results"]
    debited = sum(Decimal(row["amount"]) for row in rows if row["debit_account"] == "cash")
    credited = sum(Decimal(row["amount"]) for row in rows if row["credit_account"] == "cash")
    assert debited - credited == Decimal(victor.get(path).json()["portfolio"]["cash"])
    of_trade = victor.get(f"{path}/ledger?trade={world.filled.id}&kind=fee").json()["results"]
    assert [row["amount"] for row in of_trade] == [f"{world.filled.fees:.8f}"]


def test_limits_are_replaced_as_a_whole_and_the_tightest_holds(world: World) -> None:
    bob, path = world.as_("bob"), f"/api/portfolios/{world.desk.portfolio.id}/limits"
    assert bob.get(path).json()["portfolio"] is None
    bob.put(path, {"max_order_value": "5000", "max_daily_trades": "3"}, format="json")
    limits = bob.put(path, {"max_order_value": "900000"}, format="json").json()
    assert (limits["portfolio"]["version"], limits["portfolio"]["created_by"]) == (2, "bob")
    assert limits["portfolio"]["values"]["max_daily_trades"] is None
    platform = limits["platform"]["values"]
    assert limits["effective"]["max_order_value"] == platform["max_order_value"] != "900000.00000000"
    assert limits["versions"] == f"platform:{limits['platform']['version']} portfolio:2"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"max_order_valu": "1"}, "max_order_valu"),
        ({"max_order_value": "-1"}, "max_order_value"),
        ({"max_order_value": "999999999999.999999999"}, "max_order_value"),
        ({"max_order_value": "1e-999999999"}, "max_order_value"),
    ],
)
def test_a_limit_that_is_none_is_refused(world: World, body: dict, path: str) -> None:
    answer = world.as_("bob").put(f"/api/portfolios/{world.desk.portfolio.id}/limits", body, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, path)


@pytest.mark.parametrize(
    "text", ['"\\u0000"', '"\\ud800"', '{"a\\u0000": 1}', "NaN", '{"a": 1, "a": 2}', "[" * 100]
)
def test_json_that_cannot_be_kept_is_refused(world: World, text: str) -> None:
    answer = world.as_("alice").post("/api/portfolios", text, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")


@pytest.mark.parametrize("position", ["abc", "\x00", "9" * 40])
@pytest.mark.parametrize("name", ["ledger", "positions"])
def test_a_cursor_that_was_not_made_here_is_no_crash(world: World, name: str, position: str) -> None:
    cursor = b64encode(urlencode({"p": position}).encode()).decode()
    address = f"/api/portfolios/{world.desk.portfolio.id}/{name}"
    answer = world.as_("alice").get(address, {"cursor": cursor})
    assert answer.status_code in {200, 404}


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("from", "0001-01-01T00:00:00+23:59"),
        ("to", "9999-12-31T23:59:59-23:59"),
        ("from", "9" * 30),
        ("to", "yesterday"),
    ],
)
@pytest.mark.parametrize(
    "path",
    ["portfolios/{}/ledger", "auto-trading/trades/{}", "auto-trading/decisions/{}", "recommendations"],
)
def test_a_moment_that_is_none_is_named(world: World, path: str, name: str, moment: str) -> None:
    address = "/api/" + path.format(world.desk.portfolio.id)
    answer = world.as_("alice").get(address, {name: moment})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, name)


@pytest.mark.parametrize(
    ("start", "end"),
    [("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"), ("0001-01-01T00:00:00-23:59", "9999-12-31")],
)
def test_the_ends_of_time_are_moments(world: World, start: str, end: str) -> None:
    address = f"/api/portfolios/{world.desk.portfolio.id}/ledger"
    answer = world.as_("alice").get(address, {"from": start, "to": end})
    assert answer.status_code == 200
    assert answer.json() == world.as_("alice").get(address).json()


def test_every_problem_is_one_json_document(world: World) -> None:
    answer = world.as_("alice").put(f"/api/portfolios/{world.idle.id}", {}, format="json")
    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")
    assert canonical_json(answer.json())
