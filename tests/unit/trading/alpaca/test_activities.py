"""Alpaca's activities that are no trades, in our words: each type is what it is, and nothing is guessed."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.harness.alpaca_wire import AlpacaWire, Request
from trading.brokers.alpaca import asking
from trading.brokers.alpaca.activities import TYPES, activity_of
from trading.brokers.alpaca.broker import AlpacaBroker
from trading.brokers.protocol import ActivityKind, AskFailed, BadReport, CashActivity, UnreadableActivity

D = Decimal
SINCE = datetime(2026, 9, 29, 1, 0, tzinfo=UTC)


def document(**changes: Any) -> dict[str, Any]:
    """As a live account told it in 2026."""
    values = {
        "id": "20260930040000000::5f596936", "activity_type": "FEE", "activity_sub_type": "REG", "date": "2026-09-29",
        "net_amount": "-0.19", "currency": "USD", "status": "executed", "created_at": "2026-09-30T04:00:00.123456Z",
        "description": "REG fee for proceed of $8123.40",
    }  # fmt: skip
    return {name: value for name, value in (values | changes).items() if value is not ...}


def told(**changes: Any) -> CashActivity:
    activity = activity_of(document(**changes))
    assert isinstance(activity, CashActivity), activity
    return activity


def test_a_fee_of_the_day() -> None:
    assert told() == CashActivity(
        "20260930040000000::5f596936", ActivityKind.FEE, D("-0.19"), "USD", date(2026, 9, 29),
        "FEE REG REG fee for proceed of $8123.40",
    )  # fmt: skip


def test_only_what_the_pages_promise_is_needed() -> None:
    """The sample there has neither status nor currency nor description, and an older one a time in its date."""
    dividend = told(
        activity_type="DIV", net_amount="1.02", symbol="T", qty="2", per_share_amount="0.51", status=...,
        currency=..., description=..., activity_sub_type=..., date="2019-08-01T00:00:00Z",
    )  # fmt: skip
    assert (dividend.kind, dividend.amount, dividend.symbol) == (ActivityKind.DIVIDEND, D("1.02"), "T")
    assert (dividend.currency, dividend.day, dividend.detail) == ("", date(2019, 8, 1), "DIV T")


@pytest.mark.parametrize("name", sorted(TYPES))
def test_each_type_is_read(name: str) -> None:
    amount = "5" if name == "CSD" else "-5"
    assert told(activity_type=name, net_amount=amount).kind == TYPES[name][0]


def test_a_cancelled_one_says_so() -> None:
    assert told(status="canceled").is_cancelled and not told(status="correct").is_cancelled


@pytest.mark.parametrize(
    "changes",
    [
        {"activity_type": "JNLS", "net_amount": "0"},
        {"activity_type": "SSP", "net_amount": ...},
        {"activity_type": "NC", "net_amount": None},
        {"activity_type": "FILL"},  # told by another list
        {"net_amount": "0.00"},
    ],
    ids=str,
)
def test_what_moves_no_cash_is_nothing(changes: dict[str, Any]) -> None:
    assert activity_of(document(**changes)) is None


@pytest.mark.parametrize(
    ("changes", "reason", "amount"),
    [
        ({"activity_type": "CIL"}, "CIL of -0.19: Alpaca's activities of this type", D("-0.19")),
        ({"activity_type": None}, " of -0.19: activity_type is no text", D("-0.19")),
        ({"net_amount": "NaN"}, "FEE of NaN: net_amount is no number", None),
        ({"net_amount": None}, "FEE of : net_amount is no number", None),
        ({"net_amount": "1e12"}, "net_amount is no number below", None),
        ({"net_amount": "Infinity"}, "net_amount is no number", None),
        ({"net_amount": True}, "net_amount is no number", None),
        ({"status": "pending"}, "its status pending is not known", D("-0.19")),
        ({"date": "yesterday"}, "date is no day", D("-0.19")),
        ({"date": ...}, "date is no text", D("-0.19")),
        ({"currency": 840}, "currency is none", D("-0.19")),
        ({"activity_type": "CSD"}, "its sign and its type cannot be", D("-0.19")),
        ({"activity_type": "CSW", "net_amount": "5"}, "its sign and its type cannot be", D(5)),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_told_as_that(
    changes: dict[str, Any], reason: str, amount: Decimal | None
) -> None:
    report = activity_of(document(**changes))
    assert isinstance(report, UnreadableActivity) and reason in str(report)
    assert (report.key, report.amount) == ("20260930040000000::5f596936", amount)
    assert report.payload["id"] == report.key


class Pages:
    """Serves activities: begins after `page_token`."""

    def __init__(self, wire: AlpacaWire, rows: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows, self.wire = rows, wire
        wire.on_request = self.prepare
        monkeypatch.setattr(asking, "ACTIVITIES_IN_PAGE", 3)

    def prepare(self, request: Request) -> None:
        token, rows = request.query.get("page_token"), self.rows
        if token:
            rows = rows[[row["id"] for row in rows].index(token) + 1 :]
        self.wire.routes[request.path] = (200, rows[: int(request.query["page_size"])])


def test_all_pages_are_read_of_all_that_is_no_trade(
    wire: AlpacaWire, broker: AlpacaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    Pages(wire, [document(id=f"2026::{number}", net_amount=f"-{number}") for number in range(8)], monkeypatch)
    activities = broker.cash_activities_since(SINCE)
    assert [one.amount for one in activities if isinstance(one, CashActivity)] == [-n for n in range(1, 8)]
    asked = [request.query for request in wire.requests]
    assert [query.get("page_token") for query in asked] == [None, "2026::2", "2026::5"]
    assert {(query["category"], query["direction"], query["after"]) for query in asked} == {
        ("non_trade_activity", "asc", "2026-09-27T01:00:00Z")
    }


def test_a_list_that_does_not_end_is_no_answer(
    wire: AlpacaWire, broker: AlpacaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ACTIVITIES_IN_PAGE", 1)
    wire.routes["/v2/account/activities"] = (200, [document()])
    with pytest.raises(AskFailed, match="does not end"):
        broker.cash_activities_since(SINCE)


@pytest.mark.parametrize(
    "answer", [{}, [7], [document(id=None)], [document(id="")], [document(id="a\x00b")]], ids=str
)
def test_what_has_no_id_is_a_bad_report(wire: AlpacaWire, broker: AlpacaBroker, answer: Any) -> None:
    wire.routes["/v2/account/activities"] = (200, answer)
    with pytest.raises(BadReport):
        broker.cash_activities_since(SINCE)


def test_the_keys_are_struck_out_of_what_is_told(wire: AlpacaWire, broker: AlpacaBroker) -> None:
    secret = "s3cret/of+alpaca000000000000000000000001"
    wire.routes["/v2/account/activities"] = (200, [document(description=f"look: {secret}")])
    (one,) = broker.cash_activities_since(SINCE)
    assert isinstance(one, CashActivity) and one.detail.endswith("look: [struck out]")
