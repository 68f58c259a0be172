"""What is the newest of a symbol: trades beside quotes that grow old, and volumes of one day."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from market.feed.providers.alpaca import Newest
from market.feed.providers.alpaca.newest import QUOTE_STANDS

BEGIN = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)  # 11:00 in New York


def text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def quote(at: datetime, *, bid: str = "10", ask: str = "11") -> dict[str, object]:
    return {"T": "q", "S": "IBM", "bp": Decimal(bid), "ap": Decimal(ask), "t": text(at)}


def trade(at: datetime, *, price: str = "10.5", size: int = 7) -> dict[str, object]:
    return {"T": "t", "S": "IBM", "p": Decimal(price), "s": Decimal(size), "c": ["@"], "t": text(at)}


@pytest.fixture
def newest() -> Newest:
    return Newest(["IBM"], utcnow=lambda: BEGIN + timedelta(days=5))


def test_a_trade_soon_after_a_quote_is_as_good_as_a_quote(newest: Newest) -> None:
    newest.take([quote(BEGIN)])
    newest.drain()
    newest.take([trade(BEGIN + QUOTE_STANDS)])
    (said,) = newest.drain().quotes
    assert (said.last, said.at) == (Decimal("10.5"), BEGIN + QUOTE_STANDS)


def test_a_trade_long_after_a_quote_does_not_make_the_old_bid_and_ask_look_fresh(newest: Newest) -> None:
    newest.take([quote(BEGIN)])
    newest.drain()
    late = BEGIN + QUOTE_STANDS + timedelta(seconds=1)
    newest.take([trade(late, price="20")])
    assert newest.drain().quotes == ()
    newest.take([quote(late + timedelta(seconds=1), bid="19", ask="21")])
    (said,) = newest.drain().quotes
    assert (said.bid, said.ask, said.last) == (Decimal(19), Decimal(21), Decimal(20)), (
        "the trade is not forgotten"
    )


def test_a_trade_stamped_in_the_future_keeps_no_quote_out(newest: Newest) -> None:
    newest.take([trade(BEGIN + timedelta(minutes=4)), quote(BEGIN)])
    newest.drain()
    newest.take([quote(BEGIN + timedelta(seconds=1), bid="12", ask="13")])
    assert newest.drain().quotes[0].bid == 12


def day_bar(at: datetime, volume: int) -> dict[str, object]:
    price = Decimal(10)
    return {
        "T": "d",
        "S": "IBM",
        "o": price,
        "h": price,
        "l": price,
        "c": price,
        "v": Decimal(volume),
        "t": text(at),
    }


def test_after_a_days_bar_its_trades_are_added_and_older_ones_are_not(newest: Newest) -> None:
    midnight = BEGIN.replace(hour=4)
    newest.take(
        [quote(BEGIN), trade(BEGIN - timedelta(days=1), size=3), day_bar(midnight, 1_000), trade(BEGIN)]
    )
    assert newest.drain().quotes[0].volume == 1_007
    late = trade(BEGIN - timedelta(days=1), size=50) | {"c": ["Z"]}  # told late: it sets no price
    newest.take([late, quote(BEGIN + timedelta(seconds=1))])
    assert newest.drain().quotes[0].volume == 1_007


@pytest.mark.parametrize(
    ("later", "volume"),
    [
        (timedelta(hours=12), 14),  # 23:00 in New York: the same day there, another in UTC
        (timedelta(hours=14), 7),
    ],
)
def test_volume_is_that_of_the_exchanges_day(newest: Newest, later: timedelta, volume: int) -> None:
    newest.take([quote(BEGIN), trade(BEGIN), quote(BEGIN + later), trade(BEGIN + later)])
    assert newest.drain().quotes[0].volume == volume


def status(code: str) -> dict[str, object]:
    return {"T": "s", "S": "IBM", "sc": code, "t": text(BEGIN)}


def test_after_a_halt_nothing_is_told_until_it_is_quoted_again(newest: Newest) -> None:
    """A trade does not bring back the bid and the ask of before the halt, or of within it."""
    newest.take([quote(BEGIN), status("H"), quote(BEGIN), status("T"), trade(BEGIN + timedelta(seconds=1))])
    assert newest.drain().quotes == ()
    newest.take([quote(BEGIN + timedelta(seconds=2), bid="8", ask="9")])
    (said,) = newest.drain().quotes
    assert (said.bid, said.ask) == (8, 9)


def test_a_resumption_of_what_was_not_halted_changes_no_quote(newest: Newest) -> None:
    newest.take([quote(BEGIN), status("T")])
    assert [said.bid for said in newest.drain().quotes] == [10]


def test_what_was_traded_last_is_known_from_before_it_began() -> None:
    """The middle of a wide quote is nobody's trade; a stop of 47.50 would sell at it."""
    again = Newest(["IBM"], utcnow=lambda: BEGIN, last={"IBM": Decimal(50)})
    again.take([quote(BEGIN, bid="40", ask="52")])
    assert again.drain().quotes[0].last == 50
    again.take([trade(BEGIN + timedelta(seconds=1), price="46")])
    assert again.drain().quotes[0].last == 46


@pytest.mark.parametrize(("bid", "ask"), [("0", "11"), ("10", "0"), ("0", "0")])
def test_a_side_of_zero_is_nobodys_quote_and_takes_the_one_before_back(
    newest: Newest, bid: str, ask: str
) -> None:
    """That nobody quotes is nothing odd; and a trade does not make fresh what was taken back."""
    newest.take([quote(BEGIN), quote(BEGIN + timedelta(seconds=1), bid=bid, ask=ask)])
    newest.take([trade(BEGIN + timedelta(seconds=2))])
    said = newest.drain()
    assert (said.quotes, said.odd) == ((), ())
    newest.take([quote(BEGIN, bid="8", ask="9")])
    assert [said.bid for said in newest.drain().odd] == [8], "it is older than that nobody quotes"
    newest.take([quote(BEGIN + timedelta(seconds=3), bid="12", ask="13")])
    (again,) = newest.drain().quotes
    assert (again.bid, again.ask, again.last) == (12, 13, Decimal("10.5"))


@pytest.mark.parametrize(("bid", "ask"), [("0", "-1"), ("0", "1e20"), ("-0.5", "0"), ("0", "NaN")])
def test_beside_a_zero_what_cannot_be_is_odd_all_the_same(newest: Newest, bid: str, ask: str) -> None:
    newest.take([quote(BEGIN), quote(BEGIN + timedelta(seconds=1), bid=bid, ask=ask)])
    said = newest.drain()
    assert len(said.odd) == 1
    assert [good.bid for good in said.quotes] == [10]
