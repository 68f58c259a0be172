"""Orders by hand over REST: the same key once, refusals with code and numbers, nothing half-written."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from foundation.clock import database_now
from foundation.models import IdempotencyKey
from journal.models import Entry
from tests.integration.api.conftest import World
from trading.models import AutoTrade, BrokerMessage, Decision
from trading.services.order_management import move

pytestmark = pytest.mark.integration
PATH = "/api/auto-trading/trades"
KEY = {"Idempotency-Key": "one"}


@pytest.fixture(autouse=True)
def fresh(world: World) -> None:
    world.market.tick()


def send(world: World, who: str = "tara", path: str = PATH, headers: Any = None, **body: Any) -> Any:
    order = {
        "portfolio_id": str(world.desk.portfolio.id), "symbol": "CCC", "trade_type": "buy", "quantity": "10",
    }  # fmt: skip
    return world.as_(who).post(path, order | body, format="json", headers=headers or {})


def decisions(world: World) -> int:
    return Decision.objects.filter(portfolio=world.desk.portfolio, rule=None).count()


def test_a_trader_gets_her_trade(world: World) -> None:
    answer = send(world)
    assert answer.status_code == 201
    trade = answer.json()
    assert (trade["origin"], trade["status"], trade["quantity"]) == ("manual", "pending", "10.00000000")
    assert (trade["symbol"], trade["trade_type"], trade["rule_id"]) == ("CCC", "buy", None)
    assert trade["session_id"] == str(world.desk.session.id)
    story = world.as_("victor").get(f"{PATH}/{trade['id']}/details").json()
    assert story["explanation"] == {"sentence": "tara asked for it by hand."}
    assert [event["kind"] for event in story["events"]] == ["decision.made", "trade.created"]


def test_an_order_of_any_type_shows_its_terms(world: World) -> None:
    terms = {"order_type": "stop_limit", "time_in_force": "gtc", "stop_price": "110", "limit_price": "111.5"}
    answer = send(world, **terms)
    assert answer.status_code == 201, answer.content
    trade = answer.json()
    shown = {name: trade[name] for name in (*terms, "trail_percentage", "expires_at", "cancel_requested_at")}
    assert shown == terms | {
        "stop_price": "110.00000000", "limit_price": "111.50000000", "trail_percentage": None, "expires_at": None,
        "cancel_requested_at": None,
    }  # fmt: skip
    assert send(world, symbol="BBB").json()["expires_at"] is not None, "a day order"


def test_terms_that_do_not_fit_are_told_with_path_and_cure(world: World) -> None:
    answer = send(world, order_type="limit", limit_price="90.005", stop_price="91")
    assert answer.status_code == 400
    faults = {row["path"]: row for row in answer.json()["errors"]}
    assert set(faults) == {"limit_price", "stop_price"}
    assert faults["limit_price"]["suggestion"] == "The nearest below is 90."
    assert faults["stop_price"]["suggestion"] == "Leave it out."
    assert send(world, order_type="limits").json()["errors"][0]["path"] == "order_type"
    assert decisions(world) == 0


def test_a_preview_asks_about_the_same_terms(world: World) -> None:
    body = {"order_type": "limit", "limit_price": "200"}
    answer = send(world, path=f"{PATH}/validate", **body).json()
    assert (answer["approved"], answer["code"]) == (False, "PRICE_COLLAR")
    assert send(world, path=f"{PATH}/validate", order_type="limit", limit_price="90").json()["approved"]


def test_the_story_has_the_words_with_the_broker_and_a_cancel_tells_how_far_it_is(world: World) -> None:
    account = world.desk.portfolio.broker_account
    trade = AutoTrade.objects.get(pk=send(world, order_type="limit", limit_price="90").json()["id"])
    move([trade], "pending", "submitting", "unknown")
    BrokerMessage.objects.create(
        trade=trade,
        kind="submit",
        attempt=1,
        outcome="unknown",
        detail="timed out",
        answered_at=database_now(),
    )
    path = f"{PATH}/{trade.id}"
    (message,) = world.as_("victor").get(f"{path}/details").json()["messages"]
    assert (message["kind"], message["outcome"], message["detail"]) == ("submit", "unknown", "timed out")
    told = world.as_("tara").post(f"{path}/cancel").json()
    assert (told["status"], told["cancel_reason"]) == ("unknown", "by tara") and told["cancel_requested_at"]
    again = world.as_("tara").post(f"{path}/cancel")
    assert (again.status_code, again.json()["status_now"]) == (409, "unknown")
    assert account.broker == "paper"


def test_the_same_key_is_one_trade(world: World) -> None:
    first, second = send(world, headers=KEY), send(world, headers=KEY)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert AutoTrade.objects.filter(origin="manual").count() == 1
    # without a key, or with another, it is the control's business
    assert send(world, headers={"Idempotency-Key": "two"}).json()["code"] == "DUPLICATE_ORDER"


def test_a_refusal_has_code_numbers_and_a_record_that_stays(world: World) -> None:
    answer = send(world, quantity="1001")
    problem = answer.json()
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    assert (problem["code"], problem["detail"]) == (
        "MAX_ORDER_VALUE",
        "MAX_ORDER_VALUE: value=100100 limit=100000",
    )
    (failed,) = [check for check in problem["checks"] if check["code"] == "MAX_ORDER_VALUE"]
    assert (failed["passed"], failed["value"], failed["limit"]) == (False, "100100", "100000")
    decision = Decision.objects.get(pk=problem["decision_id"])
    assert (decision.outcome, decision.code) == ("refused", "MAX_ORDER_VALUE")
    assert Entry.objects.filter(payload__contains=problem["decision_id"]).count() == 1
    assert not AutoTrade.objects.filter(origin="manual").exists()


def test_the_same_key_gives_the_same_refusal_and_one_record(world: World) -> None:
    first, second = (send(world, quantity="1001", headers=KEY) for _ in range(2))
    assert first.status_code == second.status_code == 422
    assert first.json() == second.json()
    assert second["Content-Type"] == "application/problem+json"
    assert second["Idempotent-Replayed"] == "true"
    assert decisions(world) == 1


def test_a_faulty_order_leaves_neither_key_nor_record(world: World) -> None:
    assert send(world, quantity="0.5", headers=KEY).status_code == 400
    assert not IdempotencyKey.objects.exists()
    assert decisions(world) == 0
    assert send(world, headers=KEY).status_code == 201


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"symbol": "CCB"}, "There is no instrument 'CCB'."),
        ({"trade_type": "short"}, "not a valid choice"),
        ({"quantity": "-1"}, "above 0"),
        ({"quantity": "1.5"}, "a multiple of the lot, which is 1"),
        ({"quantity": "NaN"}, "number"),
        ({"quantity": None}, "null"),
        ({"portfolio_id": "mine"}, "UUID"),
        ({"quantty": "1"}, "Did you mean quantity?"),
    ],
)
@pytest.mark.parametrize("address", [PATH, f"{PATH}/validate"])
def test_a_body_that_is_none_is_told_where_and_how_to_mend_it(
    world: World, address: str, body: dict[str, Any], told: str
) -> None:
    answer = send(world, path=address, **body)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, [error["path"]]) == (400, list(body))
    assert told in error["message"]


def test_strangers_and_viewers_are_sent_away_before_anything_is_looked_at(world: World) -> None:
    for who, status in (("charlie", 404), ("victor", 403), ("bob", 403)):
        assert send(world, who, quantity="0.5").status_code == status
    assert decisions(world) == 0


def test_a_preview_says_what_would_be_and_writes_nothing(world: World) -> None:
    entries = Entry.objects.count()
    passes, refused = (
        send(world, path=f"{PATH}/validate", quantity=quantity).json() for quantity in ("10", "1001")
    )
    assert (passes["approved"], passes["code"], passes["detail"]) == (True, None, "")
    assert (refused["approved"], refused["code"]) == (False, "MAX_ORDER_VALUE")
    assert refused["detail"] == "MAX_ORDER_VALUE: value=100100 limit=100000"
    assert [check["code"] for check in passes["checks"]] == [check["code"] for check in refused["checks"]]
    assert (Entry.objects.count(), decisions(world)) == (entries, 0)


@pytest.mark.parametrize("path", [PATH, f"{PATH}/validate"])
def test_it_costs_the_same_however_much_is_held(world: World, path: str) -> None:
    def queries(quantity: int) -> int:
        world.market.tick()
        send(world, path=f"{PATH}/validate")  # the snapshot is in the process's cache from here on
        with CaptureQueriesContext(connection) as captured:
            answer = send(world, path=path, quantity=str(quantity))
        assert answer.status_code < 300, answer.content
        return len(captured)

    few = queries(1)
    for symbol in ("BBB", "CCC"):
        world.market.advise(symbol)
    world.desk.step()
    world.desk.step()
    assert world.desk.portfolio.positions.filter(quantity__gt=0).count() == 3
    assert queries(2) == few
