"""Corporate actions and reversals over REST."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from market.models import CorporateAction
from portfolios.models import LedgerTransfer
from portfolios.services.corporate_actions import book_due_actions
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration


def fact(world: World, **other: Any) -> dict[str, Any]:
    """A dividend whose ex time is a minute after what is held was bought."""
    ex_at = (world.filled.executed_at + timedelta(seconds=1)).isoformat()
    return {
        "external_id": "one", "symbol": "AAA", "kind": "dividend", "ex_at": ex_at, "amount": "0.25",
    } | other  # fmt: skip


def post(world: World, body: dict[str, Any], who: str = "steffi") -> Any:
    return world.as_(who).post("/api/corporate-actions", body, format="json")


def test_staff_record_once_what_is_booked_for_everybody(world: World) -> None:
    first, again = post(world, fact(world)), post(world, fact(world))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (first.json()["amount"], first.json()["booked"], first.json()["waiting"]) == ("0.25000000", 0, 0)
    assert book_due_actions() == 1
    (row,) = world.as_("steffi").get("/api/corporate-actions").json()["results"]
    assert (row["symbol"], row["booked"], row["waiting"]) == ("AAA", 1, 0)
    (paid,) = world.as_("alice").get(
        f"/api/portfolios/{world.desk.portfolio.id}/ledger?kind=dividend"
    ).json()["results"]  # fmt: skip
    assert (paid["credit_account"], paid["amount"]) == ("income", "12.50000000")


def test_other_content_under_the_same_id_is_a_conflict(world: World) -> None:
    post(world, fact(world))
    answer = post(world, fact(world, amount="0.26"))
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (409, "amount")


@pytest.mark.parametrize(
    ("other", "path"),
    [
        ({"symbol": "NONE"}, "symbol"),
        ({"kind": "merger"}, "kind"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"ex_at": "yesterday"}, "ex_at"),
        ({"new_units": 0}, "new_units"),
        ({"ratio": "2:1"}, "ratio"),
        ({"kind": "split", "amount": None}, "new_units"),
    ],
)
def test_nonsense_is_refused_by_name(world: World, other: dict[str, Any], path: str) -> None:
    answer = post(world, fact(world, **other))
    assert answer.status_code == 400
    assert path in {row["path"] for row in answer.json()["errors"]}
    assert not CorporateAction.objects.exists()


@pytest.mark.parametrize("who", ["alice", "bob", "charlie"])
def test_they_are_for_staff(world: World, who: str) -> None:
    answer = post(world, fact(world), who)
    assert (answer.status_code, answer.json()["code"]) == (403, "staff_required")


def test_the_list_is_filtered_and_costs_the_same_however_long_it_is(world: World) -> None:
    steffi, path = world.as_("steffi"), "/api/corporate-actions"
    post(world, fact(world))

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert steffi.get(path).status_code == 200
        return len(captured)

    queries()
    few = queries()
    for number in range(3):
        post(world, fact(world, external_id=f"more-{number}", symbol="BBB"))
    assert queries() == few
    assert len(steffi.get(path, {"symbol": "BBB"}).json()["results"]) == 3
    assert len(steffi.get(path, {"external_id": "one", "kind": "dividend"}).json()["results"]) == 1


def test_an_owner_takes_a_fill_back_once(world: World) -> None:
    alice = world.as_("alice")
    path = f"/api/portfolios/{world.desk.portfolio.id}/ledger/{world.filled_entry}/reversal"
    answer = alice.post(path, {"reason": "Busted by the exchange"}, format="json")
    assert answer.status_code == 201
    rows = answer.json()["transfers"]
    assert {row["kind"] for row in rows} == {"reversal"} and len(rows) == 3
    originals = LedgerTransfer.objects.filter(entry_id=world.filled_entry).values_list("id", flat=True)
    assert [row["reverses"] for row in rows] == sorted(originals)
    details = alice.get(f"/api/auto-trading/trades/{world.filled.id}/details").json()
    assert details["executions"][0]["reversed_at"] is not None
    again = alice.post(path, {"reason": "Again"}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "already_reversed")


def test_with_a_key_the_same_reversal_is_answered_again(world: World) -> None:
    alice = world.as_("alice")
    path = f"/api/portfolios/{world.desk.portfolio.id}/ledger/{world.filled_entry}/reversal"
    first, second = (
        alice.post(path, {"reason": "Busted"}, format="json", headers={"Idempotency-Key": "k"})
        for _ in range(2)
    )
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()


def test_a_reversal_says_why_and_names_what_is_there(world: World) -> None:
    alice, base = world.as_("alice"), f"/api/portfolios/{world.desk.portfolio.id}/ledger"
    answer = alice.post(f"{base}/{world.filled_entry}/reversal", {"reason": " "}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "reason")
    missing = alice.post(f"{base}/{world.halt.id}/reversal", {"reason": "x"}, format="json")
    assert missing.status_code == 404


def test_money_that_is_not_free_is_not_taken_back(world: World) -> None:
    made = LedgerTransfer.objects.get(portfolio=world.desk.portfolio, kind="deposit")
    path = f"/api/portfolios/{world.desk.portfolio.id}/ledger/{made.entry_id}/reversal"
    answer = world.as_("alice").post(path, {"reason": "Mistake"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "cash_not_free")
