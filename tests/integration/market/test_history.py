"""The past comes in once, whole, and only as far as it is past."""

import json
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from foundation.errors import Conflict, InvalidInput
from journal.models import Entry
from market.core.adjustment import DayBar
from market.models import Bar, Instrument
from market.selectors import market_revision
from market.services import history, snapshots
from market.services.feed_state import load_state
from market.services.history import ImportResult, import_all, import_bars
from market.services.instruments import add_instrument

from .conftest import OPEN, market_at, moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("instruments")]
HEADER = "symbol,date,open,high,low,close,volume\n"


def bar_of(day, symbol="AAPL", **changes):
    parts = {"open": 100, "high": 101, "low": 99, "close": 100, "volume": 1000} | changes
    numbers = {name: Decimal(value) for name, value in parts.items()}
    return DayBar(symbol=symbol, day=date(2004, 1, day), **numbers)


@pytest.fixture(autouse=True)
def friday():
    """The market is at noon of the ninth."""
    snapshots.publish(snapshot=market_at(moment(9, OPEN)))


def load(*bars):
    return import_bars(bars, actor=None, source="test")


def refusals(result):
    return [(row.place, row.name, row.message) for row in result.refused]


def test_a_bar_is_known_from_its_sessions_close_on():
    assert load(bar_of(5), bar_of(5, "IBM")) == ImportResult(2, 0, ())
    bar = Bar.objects.get(instrument__symbol="IBM")
    assert (bar.at, bar.open, bar.high, bar.low, bar.close) == (moment(5), 100, 101, 99, 100)


def test_repeating_it_changes_nothing():
    load(bar_of(5), bar_of(6))
    revision = market_revision()
    assert load(bar_of(5), bar_of(6), bar_of(6)) == ImportResult(0, 3, ())
    assert market_revision() == revision
    assert load(bar_of(7), bar_of(7)) == ImportResult(1, 1, ())
    assert Bar.objects.count() == 3


def test_a_running_feed_and_the_journal_notice(django_user_model):
    state = load_state()
    steffi = django_user_model.objects.create_user("steffi")
    import_bars([bar_of(5), bar_of(6, "IBM")], actor=steffi, source="test")
    assert state.is_outdated()
    payload = json.loads(Entry.objects.get(kind="market.bars_imported").payload)
    assert (payload["actor"], payload["source"], payload["bars"]) == ("steffi", "test", 2)
    assert (payload["first_day"], payload["symbols"]) == ("2004-01-05", ["AAPL", "IBM"])


@pytest.mark.parametrize(
    ("bar", "name", "message"),
    [
        (bar_of(5, "ZZZ"), "symbol", "'ZZZ' is not known here"),
        (bar_of(5, "A\x00"), "symbol", r"'A\x00' is not known here"),
        (bar_of(10), "day", "2004-01-10 is no known trading day of XNYS (see load_calendar)"),
        (bar_of(5, close=102), "high", "open and close must lie between low and high"),
        (bar_of(5, low=0), "low", "low is 0"),
        (bar_of(5, volume=-1), "volume", "volume is -1"),
        (bar_of(5, open="NaN"), "open", "open is NaN"),
    ],
    ids=["symbol", "nul", "weekend", "incoherent", "zero", "negative", "nan"],
)
def test_what_cannot_be_true_is_refused_with_its_place_and_the_rest_is_stored(bar, name, message):
    result = load(bar_of(6), bar)
    assert (result.stored, refusals(result)) == (1, [(1, name, message)])


def test_the_future_does_not_come_in():
    result = load(bar_of(8), bar_of(9))
    assert result.stored == 1
    assert refusals(result)[0][:2] == (1, "day")
    assert "what comes later enters by the feed" in result.refused[0].message


def test_a_stored_bar_is_never_rewritten():
    load(bar_of(5))
    (refused,) = load(bar_of(5, close="100.5")).refused
    assert (refused.name, refused.is_conflict) == ("day", True)
    assert Bar.objects.get().close == 100
    (refused,) = load(bar_of(6), bar_of(6, close="100.5")).refused  # nor by a second one of the same import
    assert refused.place == 1


def test_the_feeds_own_bar_of_the_day_counts_whenever_it_completed(instruments):
    late = moment(5) + timedelta(minutes=3)
    Bar.objects.create(instrument=instruments[0], at=late, open=1, high=1, low=1, close=1, volume=1)
    (refused,) = load(bar_of(5)).refused
    assert refused.is_conflict
    assert Bar.objects.count() == 1


def test_numbers_are_rounded_to_the_tables_places_before_they_are_compared():
    precise = bar_of(5, close="100.123456789")
    assert [load(precise).stored, load(precise).same] == [1, 1]


def test_all_or_nothing_where_it_is_asked_for(django_user_model):
    steffi = django_user_model.objects.create_user("steffi")
    with pytest.raises(InvalidInput) as refused:
        import_all([bar_of(5), bar_of(6, low=0), bar_of(10)], actor=steffi, source="api")
    assert [error["path"] for error in refused.value.errors] == ["bars[1].low", "bars[2].day"]
    assert not Bar.objects.exists()
    import_all([bar_of(5)], actor=steffi, source="api")
    with pytest.raises(Conflict, match=r"bars\[1\]\.day: has a bar with other numbers"):
        import_all([bar_of(6), bar_of(5, close="100.5")], actor=steffi, source="api")
    assert Bar.objects.count() == 1


def test_there_are_bounds(django_user_model):
    steffi = django_user_model.objects.create_user("steffi")
    for bars in ([], [bar_of(5)] * (history.ROWS_MAX + 1)):
        with pytest.raises(InvalidInput, match="must have 1 to 5000 bars"):
            import_all(bars, actor=steffi, source="api")


class TestBeforeTheFirstSnapshot:
    @pytest.fixture(autouse=True)
    def friday(self):
        """There is none yet."""

    def test_what_the_replay_will_play_does_not_come_in(self, settings):
        settings.REPLAY_START = "2004-01-07"
        result = load(bar_of(6), bar_of(7))
        assert (result.stored, [row.place for row in result.refused]) == (1, [1])

    def test_without_a_replay_all_that_is_past_comes_in(self, settings):
        settings.MARKET_FEED = "none"
        assert load(bar_of(6), bar_of(7), bar_of(16)).stored == 3


class TestCommand:
    def run(self, tmp_path, text, *arguments):
        path = tmp_path / "bars.csv"
        path.write_text(text)
        call_command("import_history", str(path), *arguments)

    def test_it_imports_a_file_and_may_be_repeated(self, tmp_path, capsys):
        text = HEADER + "AAPL,2004-01-05,100,101,99,100,7\nIBM,2004-01-05,100,101,99,100,7\n"
        self.run(tmp_path, text)
        assert "2 bars stored, 0 were there already, 0 refused." in capsys.readouterr().out
        self.run(tmp_path, text)
        assert "0 bars stored, 2 were there already, 0 refused." in capsys.readouterr().out

    def test_it_adds_symbols_of_a_named_exchange(self, tmp_path):
        self.run(tmp_path, HEADER + "NEW,2004-01-05,100,101,99,100,7\n", "--exchange", "XNYS")
        assert Bar.objects.get().instrument == Instrument.objects.get(symbol="NEW", exchange="XNYS")

    def test_columns_are_named_on_the_command_line(self, tmp_path):
        text = "when,open,high,low,last,adj\n2004-01-05,100,101,99,100,50\n"
        self.run(tmp_path, text, "--symbol", "IBM", "--map", "day=when", "close=last", "adjusted_close=adj")
        assert Bar.objects.get(instrument__symbol="IBM").high == Decimal("50.5")

    def test_what_is_refused_is_shown_and_ends_it_with_an_error(self, tmp_path, capsys):
        text = HEADER + "AAPL,2004-01-05,100,101,99,100,7\nZZZ,2004-01-05,100,101,99,100,7\n"
        with pytest.raises(CommandError, match="1 bars were refused"):
            self.run(tmp_path, text)
        captured = capsys.readouterr()
        assert "ZZZ 2004-01-05: symbol: 'ZZZ' is not known here" in captured.err
        assert "1 bars stored" in captured.out

    @pytest.mark.parametrize(
        ("text", "arguments", "message"),
        [
            (HEADER + "AAPL,2004-01-05,x,101,99,100,7\n", [], "line 2: open is no number: 'x'. 0 bars were"),
            (HEADER + "NEW,2004-01-05,1,1,1,1,7\n", ["--exchange", "XXX"], "exchange: 'XXX' is not known"),
        ],
    )
    def test_what_cannot_be_read_is_told(self, tmp_path, text, arguments, message):
        with pytest.raises(CommandError, match=message):
            self.run(tmp_path, text, *arguments)


class TestInstruments:
    def test_it_is_added_once(self):
        first = add_instrument(symbol="BTC", exchange="XNYS", actor=None, lot_size=Decimal("0.0001"))
        again = add_instrument(symbol="BTC", exchange="XNYS", actor=None, lot_size=Decimal("0.0001"))
        assert (first[1], again[1], again[0].pk) == (True, False, first[0].pk)
        assert (again[0].name, again[0].tick_size, again[0].is_active) == ("BTC", Decimal("0.01"), True)
        assert Entry.objects.filter(kind="market.instrument_added").count() == 1

    def test_another_fact_about_a_known_symbol_is_a_conflict(self):
        with pytest.raises(Conflict, match="AAPL is known already with another currency, lot_size"):
            add_instrument(
                symbol="AAPL", exchange="XNYS", actor=None, currency="EUR", lot_size=Decimal("0.1")
            )

    @pytest.mark.parametrize(
        ("changes", "path"),
        [
            ({"symbol": ""}, "symbol"),
            ({"symbol": "A B"}, "symbol"),
            ({"symbol": "A\x00"}, "symbol"),
            ({"symbol": "A" * 21}, "symbol"),
            ({"exchange": "XXX"}, "exchange"),
            ({"currency": "usd"}, "currency"),
            ({"tick_size": Decimal(0)}, "tick_size"),
            ({"lot_size": Decimal("NaN")}, "lot_size"),
            ({"lot_size": Decimal("0.000000001")}, "lot_size"),
        ],
    )
    def test_bad_input_is_named(self, changes, path):
        with pytest.raises(InvalidInput) as refused:
            add_instrument(**({"symbol": "NEW", "exchange": "XNYS", "actor": None} | changes))
        assert [error["path"] for error in refused.value.errors] == [path]


def test_a_feed_carries_a_new_instrument(django_user_model):
    state = load_state()
    add_instrument(symbol="NEW", exchange="XNYS", actor=get_user_model().objects.create_user("steffi"))
    assert state.is_outdated()
    assert "NEW" in load_state().features.symbols
