"""The market over REST: instruments, quotes, bars, the snapshot, and advice in and out."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from foundation.clock import database_now
from journal.models import Entry
from market.models import (
    Bar,
    CalendarDay,
    MarketGap,
    QuarantinedQuote,
    QuarantineTotal,
    Quote,
    Recommendation,
)
from tests.integration.api.conftest import World

pytestmark = pytest.mark.integration

ITEM = {"external_id": "one", "symbol": "AAA", "recommendation": "STRONG_BUY", "confidence": 0.87}


def push(world: World, *items: dict, who: str = "alice"):
    body = {"source": "test", "recommendations": list(items)}
    return world.as_(who).post("/api/recommendations", body, format="json")


def test_the_snapshot_shows_numbers_and_null_for_the_unknown(world: World) -> None:
    shown = world.as_("charlie").get("/api/market/snapshot?symbols=BBB,ZZZ").json()
    (symbol,) = shown["symbols"]
    assert (symbol["symbol"], symbol["price"], symbol["bid"]) == ("BBB", "100.00000000", "99.90000000")
    assert (symbol["facts"]["price"], symbol["facts"]["rsi"]) == (100.0, None)
    assert symbol["recommendations"][0]["recommendation"] == "STRONG_BUY"
    assert shown["as_of"].endswith("Z") and symbol["market_time"].endswith("Z")


def test_bars_come_newest_first_up_to_the_limit(world: World) -> None:
    instrument = world.market.instruments[0]
    for day in range(5):
        at = world.market.as_of - timedelta(days=day)
        price = Decimal(100 + day)
        Bar.objects.create(
            instrument=instrument, at=at, open=price, high=price, low=price, close=price, volume=10
        )
    answer = world.as_("charlie").get("/api/market/bars?symbol=AAA&limit=2").json()
    assert [bar["close"] for bar in answer["results"]] == ["100.00000000", "101.00000000"]
    following = world.as_("charlie").get(answer["next"]).json()
    assert [bar["close"] for bar in following["results"]] == ["102.00000000", "103.00000000"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("symbol=ZZZ", 404), ("", 400), ("symbol=%00", 400), ("symbol=AAA&interval=1m", 400)],
)
def test_bars_of_nothing_are_not_an_empty_list(world: World, query: str, status: int) -> None:
    assert world.as_("charlie").get(f"/api/market/bars?{query}").status_code == status


def test_quotes_carry_both_clocks(world: World) -> None:
    Quote.objects.create(
        instrument=world.market.instruments[0],
        bid="99.9",
        ask="100.1",
        last="100",
        volume=1,
        market_time=world.market.as_of,
        received_at=database_now(),
    )
    (quote,) = world.as_("charlie").get("/api/market/quotes?symbol=AAA").json()["results"]
    assert (quote["last"], quote["market_time"] < quote["received_at"]) == ("100.00000000", True)


def test_the_quarantine_says_what_was_wrong_and_is_filtered(world: World) -> None:
    now = database_now()
    for symbol, reason in (("AAA", "zero"), ("BBB", "jump"), ("AAA", "crossed")):
        QuarantinedQuote.objects.create(
            symbol=symbol, reason=reason, detail="bid is 0", received_at=now, payload={"bid": "0"}
        )

    def shown(query: str) -> list[tuple[str, str]]:
        rows = world.as_("charlie").get(f"/api/market/quarantine{query}").json()["results"]
        return [(row["symbol"], row["reason"]) for row in rows]

    assert shown("") == [("AAA", "crossed"), ("BBB", "jump"), ("AAA", "zero")]
    assert shown("?symbol=AAA&reason=zero") == [("AAA", "zero")]
    assert world.as_("charlie").get("/api/market/quarantine?reason=odd").status_code == 400


def test_the_totals_count_what_came_up(world: World) -> None:
    QuarantineTotal.objects.create(reason="zero", total=7, minute=database_now(), in_minute=1)
    shown = world.as_("bob").get("/api/market/quarantine/totals").json()["results"]
    assert shown == [{"reason": "zero", "total": 7}]


def test_gaps_are_listed_and_filtered_by_whether_they_are_open(world: World) -> None:
    aaa, bbb, _ = world.market.instruments
    for instrument, filled_at in ((aaa, None), (bbb, database_now())):
        MarketGap.objects.create(
            instrument=instrument, first_day="2010-02-01", last_day="2010-02-03", filled_at=filled_at
        )

    def shown(query: str) -> list[str]:
        rows = world.as_("charlie").get(f"/api/market/gaps{query}").json()["results"]
        return [row["symbol"] for row in rows]

    assert shown("") == ["BBB", "AAA"]
    assert (shown("?open=true"), shown("?open=false"), shown("?symbol=CCC")) == (["AAA"], ["BBB"], [])


def a_trading_day(world: World) -> str:
    opens_at = world.market.as_of - timedelta(days=1, hours=6)
    CalendarDay.objects.create(
        exchange_id="XTST",
        day=opens_at.date(),
        opens_at=opens_at,
        closes_at=opens_at + timedelta(hours=5),
    )
    return opens_at.date().isoformat()


def import_bars(world: World, *changes: dict, who: str = "steffi", **headers: str):
    day = world.market.as_of - timedelta(days=1, hours=6)
    bar = {"symbol": "AAA", "day": day.date().isoformat(), "open": "100", "high": "101", "low": "99",
           "close": "100.5", "volume": "1000"}  # fmt: skip
    body = {"bars": [bar | change for change in changes]}
    return world.as_(who).post("/api/market/bars", body, format="json", headers=headers)


def test_staff_import_bars_once_and_all_or_nothing(world: World) -> None:
    a_trading_day(world)
    assert import_bars(world, {}, {"symbol": "BBB"}).json() == {"stored": 2, "same": 0}
    assert import_bars(world, {}, {"symbol": "BBB"}).json() == {"stored": 0, "same": 2}
    bad = import_bars(world, {"symbol": "CCC"}, {"symbol": "ZZZ"}, {"symbol": "CCC", "high": "100"})
    assert (bad.status_code, [error["path"] for error in bad.json()["errors"]]) == (
        400,
        ["bars[1].symbol", "bars[2].high"],
    )
    assert Bar.objects.filter(instrument__symbol="CCC").count() == 0
    other = import_bars(world, {"close": "100.6"})
    assert (other.status_code, other.json()["errors"][0]["path"]) == (409, "bars[0].day")


def test_a_bar_that_is_no_bar_is_named_with_its_place(world: World) -> None:
    answer = import_bars(world, {}, {"close": "much", "opne": "1"})
    assert {error["path"] for error in answer.json()["errors"]} == {"bars[1].close", "bars[1].opne"}


def test_the_same_key_imports_once(world: World) -> None:
    a_trading_day(world)
    first = import_bars(world, {}, **{"Idempotency-Key": "one"})
    again = import_bars(world, {}, **{"Idempotency-Key": "one"})
    assert (first.json(), again.json()) == ({"stored": 1, "same": 0}, {"stored": 1, "same": 0})


def test_only_staff_bring_in_bars_and_instruments(world: World) -> None:
    assert import_bars(world, {}, who="alice").json()["code"] == "staff_required"
    body = {"symbol": "DDD", "exchange": "XTST"}
    refused = world.as_("alice").post("/api/market/instruments", body, format="json")
    assert (refused.status_code, refused.json()["code"]) == (403, "staff_required")


def test_an_instrument_is_added_once(world: World) -> None:
    def add(**body: str):
        return world.as_("steffi").post("/api/market/instruments", body, format="json")

    first = add(symbol="BTC", exchange="XTST", lot_size="0.0001")
    assert (first.status_code, first.json()["lot_size"], first.json()["is_active"]) == (
        201,
        "0.00010000",
        True,
    )
    assert add(symbol="BTC", exchange="XTST", lot_size="0.0001").status_code == 200
    assert add(symbol="BTC", exchange="XTST").json()["errors"][0]["path"] == "lot_size"
    assert add(symbol="ETH", exchange="MOON").json()["errors"][0]["path"] == "exchange"


def test_pushed_advice_is_stored_once(world: World) -> None:
    first, second = push(world, ITEM), push(world, ITEM)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["created"] == second.json()["existing"] != []
    listed = (
        world.as_("bob").get("/api/recommendations?symbol=AAA&recommendation=STRONG_BUY").json()["results"]
    )
    assert listed[0]["external_id"] == "one" and listed[0]["source"] == "test"


def test_faulty_advice_is_refused_as_a_whole_with_paths(world: World) -> None:
    before = Recommendation.objects.count()
    answer = push(world, ITEM, {**ITEM, "external_id": "two", "symbol": "aaa", "confidence": 87})
    assert {error["path"] for error in answer.json()["errors"]} == {
        "recommendations[1].symbol",
        "recommendations[1].confidence",
    }
    assert Recommendation.objects.count() == before


def test_a_missing_key_is_named_with_its_place(world: World) -> None:
    answer = push(world, {"external_id": "one", "symbol": "AAA", "confidence": 0.5, "tarket_price": "1"})
    paths = {error["path"] for error in answer.json()["errors"]}
    assert paths == {"recommendations[0].recommendation", "recommendations[0].tarket_price"}


def test_another_content_under_a_known_id_is_a_conflict(world: World) -> None:
    push(world, ITEM)
    answer = push(world, {**ITEM, "confidence": 0.5})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (409, "recommendations[0].external_id")


def test_sources_are_listed_by_name(world: World) -> None:
    names = [row["name"] for row in world.as_("bob").get("/api/recommendation-sources").json()["results"]]
    assert "test" in names and names == sorted(names)


def test_staff_sets_tags_and_everybody_finds_by_them(world: World) -> None:
    path = "/api/market/instruments/AAA/tags"
    assert world.as_("alice").put(path, {"tags": ["chips"]}, format="json").status_code == 403
    for _ in range(2):
        answer = world.as_("steffi").put(path, {"tags": ["large-cap", "chips", "chips"]}, format="json")
        assert (answer.status_code, answer.json()["tags"]) == (200, ["chips", "large-cap"])
    (entry,) = Entry.objects.filter(kind="instrument.tagged")  # the second time nothing changed
    told = json.loads(entry.payload)
    assert (told["actor"], told["tags"], told["tags_before"]) == ("steffi", ["chips", "large-cap"], [])
    found = world.as_("victor").get("/api/market/instruments?tag=chips").json()["results"]
    assert [row["symbol"] for row in found] == ["AAA"]


@pytest.mark.parametrize("tag", ["Chips", "", "a b", "-chips", "x" * 33, "a\nb"])
def test_a_bad_tag_is_refused_with_its_place(world: World, tag: str) -> None:
    answer = world.as_("steffi").put(
        "/api/market/instruments/AAA/tags", {"tags": ["good", tag]}, format="json"
    )
    assert (answer.status_code, [row["path"] for row in answer.json()["errors"]]) == (400, ["tags[1]"])


def test_tags_of_nothing_are_not_found(world: World) -> None:
    answer = world.as_("steffi").put("/api/market/instruments/ZZZ/tags", {"tags": []}, format="json")
    assert answer.status_code == 404


def test_the_calendar_tells_the_session_that_runs_and_the_next_ones(world: World) -> None:
    first = world.market.as_of.replace(hour=14, minute=30, second=0, microsecond=0) + timedelta(days=40)
    for days in (2, 0, 1):
        opens_at = first + timedelta(days=days)
        CalendarDay.objects.create(
            exchange_id="XTST",
            day=opens_at.date(),
            opens_at=opens_at,
            closes_at=opens_at + timedelta(hours=6),
        )

    def days(**query: str) -> list[str]:
        rows = (
            world.as_("victor").get("/api/market/calendar", {"exchange": "XTST", **query}).json()["results"]
        )
        return [row["opens_at"] for row in rows]

    told = [f"{first + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in range(3)]
    within = first + timedelta(hours=3)
    assert days(**{"from": within.isoformat()}) == told
    assert days(**{"from": (first + timedelta(hours=6)).isoformat()}) == told[1:]
    assert days(**{"from": within.isoformat(), "to": told[1]}) == told[:1]
    assert days(**{"from": within.isoformat(), "ordering": "-opens_at"}) == told[::-1]
