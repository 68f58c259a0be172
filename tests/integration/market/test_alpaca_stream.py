"""The live stream against a source that misbehaves: what is newest comes through, and the connection comes back."""

import json
import math
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from foundation.fetching import FetchFailed
from market.core.adjustment import DayBar
from market.core.calendar import ExchangeCalendar, TradingDay
from market.feed.providers.alpaca import (
    AlpacaHistory,
    AlpacaProvider,
    DataKeys,
    DataStream,
    ListedSymbol,
    Newest,
    StreamRefused,
)
from market.feed.providers.alpaca import stream as stream_module
from market.feed.providers.alpaca.history import HistoryUnreadable

pytestmark = pytest.mark.integration

KEYS = DataKeys("PKDATA", "the-secret-of-the-data")
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
OPEN = ExchangeCalendar(
    timezone="UTC", days=[TradingDay(TODAY.date(), TODAY, TODAY + timedelta(days=1, minutes=10))]
)
CLOSED = ExchangeCalendar(timezone="UTC", days=[])


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(stream_module, "WAIT_FIRST", 0.05)


@pytest.fixture
def connect(market_data):
    made = []

    def connect(*symbols, calendar=OPEN, keys=KEYS, coalesce=0.05, idle=30.0, begin=True, halted=()):
        newest = Newest(symbols, utcnow=lambda: datetime.now(UTC), halted=halted)
        provider = AlpacaProvider(
            instruments=[ListedSymbol(symbol, "X") for symbol in symbols],
            calendars={"X": calendar},
            stream=DataStream(
                url=f"{market_data.stream_url}/v2/iex", keys=keys, symbols=symbols, take=newest.take,
                expects=lambda: True,
            ),
            newest=newest,
            history=AlpacaHistory(base_url=market_data.base_url, feed="iex", keys=keys),
            coalesce_seconds=coalesce,
            idle_tick_seconds=idle,
            utcnow=lambda: datetime.now(UTC),
        )  # fmt: skip
        made.append(provider)
        provider.resume(after=None)
        if begin:
            wait_for(lambda: market_data.state()["listeners"] == len(made))
        return provider

    yield connect
    for provider in made:
        provider.close()


def wait_for(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


def next_tick(provider):
    return wait_for(lambda: provider.poll(monotonic_now=time.monotonic()))


def text(at):
    return at.isoformat(timespec="microseconds").replace("+00:00", "123Z")


def quote(symbol, bid, ask, at=None):
    return {"T": "q", "S": symbol, "bp": bid, "ap": ask, "t": text(at or datetime.now(UTC))}


def trade(symbol, price, at=None, *, size=10, conditions=("@",)):
    return {
        "T": "t", "S": symbol, "p": price, "s": size, "c": list(conditions), "t": text(at or datetime.now(UTC)),
    }  # fmt: skip


def test_it_subscribes_to_all_symbols_and_says_quotes_with_their_own_times(connect, market_data):
    provider = connect("AAPL", "IBM")
    assert market_data.state()["subscribed"]["quotes"] == ["AAPL", "IBM"]
    at = datetime.now(UTC).replace(microsecond=123456)
    market_data.say(quote("AAPL", 187.41, 187.43, at))
    tick = next_tick(provider)
    (said,) = tick.quotes
    assert (said.symbol, said.bid, said.ask, said.last) == (
        "AAPL", Decimal("187.41"), Decimal("187.43"), Decimal("187.42"),
    )  # fmt: skip
    assert said.at == tick.at == at


def test_a_trade_sets_the_last_price_and_the_volume(connect, market_data):
    provider = connect("AAPL")
    market_data.say(quote("AAPL", 10, 11), trade("AAPL", 10.75, size=300), trade("AAPL", 10.5, size=7))
    (said,) = next_tick(provider).quotes
    assert (said.last, said.volume) == (Decimal("10.5"), 307)
    market_data.say(trade("AAPL", 10.9, conditions=["W"]))  # an average price: it counts, but is none of now
    market_data.say(quote("AAPL", 10, 11))
    (said,) = next_tick(provider).quotes
    assert (said.last, said.volume) == (Decimal("10.5"), 317)


def test_a_last_price_that_was_left_far_behind_says_nothing(connect, market_data):
    provider = connect("AAPL")
    market_data.say(quote("AAPL", 10, 11), trade("AAPL", 1000))
    (said,) = next_tick(provider).quotes
    assert said.last == Decimal("10.5")


def test_of_many_quotes_between_two_ticks_the_newest_is_said(connect, market_data):
    provider = connect("AAPL", "IBM", coalesce=1.0)
    market_data.say(quote("AAPL", 1, 2))
    next_tick(provider)
    for number in range(50):
        market_data.say(quote("AAPL", 100 + number, 101 + number), quote("IBM", 5, 6))
    tick = next_tick(provider)
    assert {said.symbol: said.bid for said in tick.quotes} == {"AAPL": 149, "IBM": 5}


@pytest.mark.parametrize(
    "wrong",
    [
        quote("AAPL", 12, 11),  # crossed
        quote("AAPL", -1, 11),
        quote("AAPL", "ten", 11),
        {"T": "q", "S": "AAPL", "bp": 10, "ap": 11, "t": "yesterday"},
        {"T": "q", "S": "AAPL", "t": "2026-01-02T15:00:00Z"},
        quote("AAPL", 20, 21, datetime(2020, 1, 2, tzinfo=UTC)),  # out of order
        quote("AAPL", 20, 21, datetime(2100, 1, 2, tzinfo=UTC)),  # of the future
        quote("ZZZZ", 20, 21),  # nobody asked for it
    ],
)
def test_what_is_odd_is_handed_over_and_takes_no_good_quotes_place(connect, market_data, wrong):
    provider = connect("AAPL")
    market_data.say(quote("AAPL", 10, 11), wrong)
    odd, good = next_tick(provider).quotes
    assert good.symbol == "AAPL" and (good.bid, good.ask) == (10, 11)
    assert (odd.bid, odd.ask) != (10, 11) or odd.at != good.at


def test_frames_that_are_nothing_are_passed_over(connect, market_data):
    provider = connect("AAPL")
    for garbage in ('[{"T":"q"', "null", "{}", "[1, [2], null]", '"x"', "[" * 50_000, '[{"S": 1}]'):
        market_data.do("raw", text=garbage)
    both = quote("AAPL", math.nan, 1), quote("AAPL", 10, 11)
    market_data.do("raw", text=json.dumps(both))
    odd, good = next_tick(provider).quotes
    assert odd.bid.is_nan() and good.bid == 10
    assert market_data.state()["connections"] == 1


def test_halts_and_resumptions_are_said_as_they_come(connect, market_data):
    provider = connect("AAPL", "IBM")
    market_data.say(
        {"T": "s", "S": "AAPL", "sc": "H", "t": text(datetime.now(UTC))},
        {"T": "s", "S": "IBM", "sc": "2", "t": text(datetime.now(UTC))},
    )
    assert next_tick(provider).halted == {"AAPL", "IBM"}
    market_data.say({"T": "s", "S": "AAPL", "sc": "Q"}, {"T": "s", "S": "IBM", "sc": "3"})
    assert next_tick(provider).halted == {"AAPL"}
    market_data.say(quote("IBM", 10, 11))
    assert next_tick(provider).halted is None


def test_who_was_halted_when_it_began_stays_so_until_he_trades_again(connect, market_data):
    provider = connect("AAPL", "IBM", "MSFT", halted=("AAPL", "IBM"))
    market_data.say({"T": "s", "S": "MSFT", "sc": "H"})
    assert next_tick(provider).halted == {"AAPL", "IBM", "MSFT"}
    late = {
        "T": "t",
        "S": "AAPL",
        "p": 10,
        "s": 1,
        "c": ["@"],
        "t": text(datetime.now(UTC) - timedelta(minutes=1)),
    }
    market_data.say(late, quote("AAPL", 10, 11))
    assert next_tick(provider).halted is None, "it was said of before"
    market_data.say(late | {"t": text(datetime.now(UTC))})
    assert next_tick(provider).halted == {"IBM", "MSFT"}


def test_the_bar_of_a_day_completes_after_its_close_with_the_last_numbers_said(connect, market_data):
    closes = datetime.now(UTC) - timedelta(minutes=5)
    closed = ExchangeCalendar(
        timezone="UTC", days=[TradingDay(closes.date(), closes - timedelta(hours=6), closes)]
    )
    provider = connect("AAPL", calendar=closed)
    begins = text(datetime.combine(closes.date(), datetime.min.time(), tzinfo=UTC))
    day = {"T": "d", "S": "AAPL", "o": 10, "h": 12, "l": 9, "c": 11, "v": 100, "t": begins}
    market_data.say(day, day | {"h": 12.5, "v": 140})
    (bar,) = wait_for(lambda: (next_tick(provider)).bars)
    assert (bar.high, bar.volume, bar.at) == (Decimal("12.5"), 140, closes)
    market_data.say(day | {"v": 150}, quote("AAPL", 10, 11))
    assert next_tick(provider).bars == ()  # once


def test_outside_of_hours_time_goes_on_as_long_as_the_stream_is_alive(connect, market_data):
    provider = connect("AAPL", calendar=CLOSED, idle=0.2)
    first, second = next_tick(provider), next_tick(provider)
    assert first.quotes == second.quotes == ()
    assert timedelta(seconds=0.15) < second.at - first.at < timedelta(seconds=10)
    market_data.do("refuse", seconds=3.0)
    wait_for(lambda: not provider._stream.is_alive)
    time.sleep(0.5)
    assert provider.poll(monotonic_now=time.monotonic()) is None
    assert next_tick(provider).at > second.at  # when it is back


def test_while_somebody_trades_silence_stays_silence(connect):
    provider = connect("AAPL", idle=0.1)
    time.sleep(0.5)
    assert provider.poll(monotonic_now=time.monotonic()) is None


def test_a_cut_connection_comes_back_and_market_time_does_not_go_back(connect, market_data):
    provider = connect("AAPL")
    market_data.say(quote("AAPL", 10, 11))
    before = next_tick(provider)
    market_data.do("cut")
    wait_for(lambda: market_data.state()["connections"] == 2 and market_data.state()["listeners"] == 1)
    market_data.say(quote("AAPL", 12, 13, before.at - timedelta(seconds=5)), quote("AAPL", 14, 15))
    assert [said.bid for said in next_tick(provider).quotes] == [12, 14]  # the odd one first


def test_a_connection_that_has_died_without_a_word_is_noticed_by_its_pings(connect, market_data, monkeypatch):
    monkeypatch.setattr(stream_module, "PING_SECONDS", 0.3)
    provider = connect("AAPL")
    market_data.do("mute", seconds=4.0)
    wait_for(lambda: not provider._stream.is_alive, seconds=3.5)
    wait_for(lambda: provider._stream.is_alive)


def test_a_connection_that_says_nothing_while_there_is_trading_is_made_anew(
    connect, market_data, monkeypatch
):
    monkeypatch.setattr(stream_module, "SILENCE_SECONDS", 0.5)
    connect("AAPL")
    wait_for(lambda: market_data.state()["connections"] >= 3)


@pytest.mark.parametrize("code", [406, 407, 500])
def test_an_error_that_may_pass_is_waited_for(connect, market_data, code):
    market_data.do("error", code=code, count=2)
    provider = connect("AAPL")
    assert market_data.state()["logins"] == 3
    market_data.say(quote("AAPL", 10, 11))
    assert next_tick(provider).quotes


@pytest.mark.parametrize("code", [400, 402, 405, 409])
def test_a_refusal_ends_it_loudly_with_the_cure(connect, market_data, code):
    market_data.do("error", code=code, count=1)
    provider = connect("AAPL", begin=False)
    with pytest.raises(StreamRefused, match=f"code {code}"):
        wait_for(lambda: provider.poll(monotonic_now=time.monotonic()))


def test_a_symbol_that_the_other_side_does_not_understand_ends_it_with_the_cure(connect, market_data):
    provider = connect("AAPL", "^VIX", begin=False)
    with pytest.raises(StreamRefused, match="deactivate"):
        wait_for(lambda: provider.poll(monotonic_now=time.monotonic()))


def test_the_keys_are_nowhere_but_in_the_frame_that_logs_in(connect, market_data, caplog, capfd):
    caplog.set_level("DEBUG")
    market_data.do("keys", key=KEYS.key_id, secret="another")
    provider = connect("AAPL", begin=False)
    with pytest.raises(StreamRefused) as refusal:
        wait_for(lambda: provider.poll(monotonic_now=time.monotonic()))
    with pytest.raises(FetchFailed) as failure:
        list(provider.history(symbol="AAPL", first=date(2024, 1, 2), last=date(2024, 1, 2)))
    written = capfd.readouterr()
    shown = [caplog.text, str(refusal.value), repr(failure.value), repr(KEYS), written.out, written.err]
    assert not [part for part in shown if KEYS.secret in part or KEYS.key_id in part]


def bar(day, close):
    return {
        "t": f"2024-01-{day:02}T05:00:00Z",
        "o": close,
        "h": close,
        "l": close,
        "c": close,
        "v": 7,
        "n": 1,
    }


def test_history_comes_page_by_page(connect, market_data):
    market_data.do("bars", bars={"AAPL": [bar(day, day + 0.25) for day in range(2, 10)]}, page=2)
    provider = connect("AAPL")
    bars = list(provider.history(symbol="AAPL", first=date(2024, 1, 3), last=date(2024, 1, 8)))
    assert [one.day.day for one in bars] == [3, 4, 5, 6, 7, 8]
    five = Decimal("5.25")
    assert bars[2] == DayBar("AAPL", date(2024, 1, 5), five, five, five, five, Decimal(7))
    assert market_data.state()["pages"] == 3
    assert list(provider.history(symbol="IBM", first=date(2024, 1, 3), last=date(2024, 1, 8))) == []


@pytest.mark.parametrize("manner", ["hang", "dribble"])
def test_a_history_that_takes_too_long_is_given_up(market_data, manner):
    market_data.do("bars", bars={"AAPL": [bar(2, 1)]})
    market_data.do("answers", manner=manner, seconds=20.0)
    history = AlpacaHistory(base_url=market_data.base_url, feed="iex", keys=KEYS, deadline_seconds=0.5)
    begin = time.monotonic()
    with pytest.raises(FetchFailed):
        history.history(symbol="AAPL", first=date(2024, 1, 2), last=date(2024, 1, 2))
    assert time.monotonic() - begin < 5


def test_a_history_that_is_no_history_is_refused(market_data):
    history = AlpacaHistory(base_url=market_data.base_url, feed="iex", keys=KEYS)
    market_data.do("answers", manner="garbage")
    with pytest.raises(HistoryUnreadable):
        history.history(symbol="AAPL", first=date(2024, 1, 2), last=date(2024, 1, 2))
    market_data.do("answers", manner="plain")
    market_data.do("bars", bars={"AAPL": [bar(2, 1) | {"c": "one"}]})
    with pytest.raises(HistoryUnreadable, match="no number"):
        history.history(symbol="AAPL", first=date(2024, 1, 2), last=date(2024, 1, 2))
