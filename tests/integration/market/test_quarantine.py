"""What cannot be true is put aside with its reason, told of once, and never keeps the rest of the market waiting."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError

from foundation.clock import database_now
from journal.models import Alert, Entry
from market import selectors, tasks
from market.core.plausibility import Reason
from market.core.quote_checks import Rejected
from market.core.ticks import BarTick, QuoteTick, Tick
from market.models import Bar, Exchange, Instrument, QuarantinedQuote, Quote, Snapshot
from market.services import ingest, quarantine, snapshots
from market.services.corporate_actions import NewCorporateAction, record
from market.services.feed_state import load_state
from market.services.ingest import apply_tick

from .conftest import OPEN, moment, runner

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def quote(symbol, price="100", **changes):
    price = Decimal(price)
    parts = {"bid": price, "ask": price, "last": price, "volume": Decimal(0)}
    return QuoteTick(symbol, **(parts | changes))


OPENING = moment(5, OPEN)


def apply(state, lease, *quotes, at=OPENING, **more):
    tick = Tick(at=at, quotes=quotes, **more)
    return apply_tick(state=state, tick=tick, lease=lease, lease_seconds=60, provider="test")


def rejected(symbol="AAPL", reason=Reason.ZERO, detail="bid is 0"):
    return Rejected(reason, symbol, moment(5), detail, {"bid": "0"})


def keep(*items, at=None):
    return quarantine.keep(items, known={"AAPL", "IBM"}, provider="test", received_at=at or database_now())


def alerts():
    return list(Alert.objects.filter(kind="market.quarantined").values_list("message", flat=True))


def test_one_bad_quote_among_499_good_ones_is_put_aside_and_the_others_are_published(exchange, lease):
    names = [f"S{number:03}" for number in range(500)]
    Instrument.objects.bulk_create(
        Instrument(symbol=name, name=name, exchange=exchange, tick_size=Decimal("0.01"), lot_size=1)
        for name in names
    )
    bad = quote("S250", bid=Decimal(101))
    others = [quote(name) for name in names if name != "S250"]
    assert apply(load_state(), lease, *others[:100], bad, *others[100:]) == 1
    market = snapshots.current()
    assert market.price("S250") is None
    assert all(market.price(name) == 100 for name in names if name != "S250")
    assert Quote.objects.count() == 499
    row = QuarantinedQuote.objects.get()
    assert (row.symbol, row.reason, row.at) == ("S250", "crossed", moment(5, OPEN))
    assert (row.provider, row.payload["bid"], row.payload["ask"]) == ("test", "101", "100")
    assert selectors.quarantine_totals() == {"crossed": 1}


@pytest.mark.usefixtures("instruments")
class TestInTheFeed:
    def test_the_last_good_price_stays_with_its_time(self, lease):
        state = load_state()
        apply(state, lease, quote("AAPL"), quote("IBM"))
        apply(state, lease, quote("AAPL", "1"), quote("IBM", "101"), at=moment(5))
        market = snapshots.current()
        assert (market.price("AAPL"), market.price("IBM")) == (100, 101)
        assert market.market_time.tolist() == [moment(5, OPEN).timestamp(), moment(5).timestamp()]

    def test_no_number_of_a_provider_reaches_a_constraint_of_the_database(self, lease):
        """Whatever it says; and two quotes of one symbol in a tick are no error either."""
        state = load_state()
        monsters = [
            "0",
            "-1",
            "NaN",
            "sNaN",
            "Infinity",
            "1e30",
            "1e-30",
            "1e999999",
            "999999999999.999999999",
        ]
        for number, text in enumerate(monsters):
            price = Decimal(text)
            bars = (
                BarTick("IBM", price, price, price, price, price),
                BarTick("AAPL", *[Decimal(100)] * 4, price),
            )
            quotes = (
                quote("AAPL"), quote("AAPL"), quote("IBM", volume=price), quote("IBM", last=price),
                QuoteTick("IBM", price, price, price, price), quote("A\x00\ud800"),
            )  # fmt: skip
            at = moment(5, OPEN) + timedelta(seconds=number)
            assert apply(state, lease, *quotes, at=at, bars=bars) == number + 1
        assert QuarantinedQuote.objects.filter(symbol="", payload__symbol="A�?").count() == len(monsters)

    def test_a_provider_that_misbehaves_does_not_end_the_process(self, clock, stop, monkeypatch):
        ticks = [
            Tick(at=moment(5, OPEN), quotes=(quote("AAPL"), quote("IBM", "0"))),
            Tick(at=moment(4), quotes=(quote("AAPL"),)),
            Tick(at=moment(5), quotes=(quote("AAPL", bid=Decimal("NaN")), quote("IBM"))),
        ]

        class Mischief:
            name = "mischief"
            finished = False

            def resume(self, *, after):
                """It goes on as it likes."""

            def close(self):
                """There is nothing to let go of."""

            def poll(self, *, monotonic_now):
                return ticks.pop(0) if ticks else None

            def idle_seconds(self, *, monotonic_now):
                return 1.0

        clock.at(3.0, stop.request)
        runner(clock, stop, build_provider=lambda state: Mischief()).run()
        assert list(Snapshot.objects.order_by("version").values_list("as_of", flat=True)) == [
            moment(5, OPEN),
            moment(5),
        ]
        assert selectors.quarantine_totals() == {"zero": 1, "out_of_order": 1, "not_finite": 1}
        assert set(QuarantinedQuote.objects.values_list("provider", flat=True)) == {"mischief"}

    def test_nothing_is_put_aside_when_the_tick_is_not_published_after_all(self, lease, monkeypatch):
        def broken(state, *, as_of):
            raise IntegrityError("a defect")

        monkeypatch.setattr(ingest, "build_snapshot", broken)
        with pytest.raises(IntegrityError):
            apply(load_state(), lease, quote("AAPL", "0"))
        assert not QuarantinedQuote.objects.exists()
        assert selectors.quarantine_totals() == {}

    def test_a_jump_that_comes_true_is_believed_though_the_feed_reloads_what_it_knows(self, lease):
        state = load_state()
        apply(state, lease, quote("AAPL"))
        state = load_state()
        prices = []
        for number, price in enumerate(["50", "51", "50"], start=1):
            apply(state, lease, quote("AAPL", price), at=moment(5, OPEN) + timedelta(seconds=number))
            prices.append(snapshots.current().price("AAPL"))
        assert prices == [100, 100, 50]

    def test_the_collar_is_a_setting(self, lease, settings):
        settings.FEED_JUMP_PERCENTAGE, settings.FEED_JUMP_CONFIRMATIONS = 5.0, 1
        state = load_state()
        for number, price in enumerate(["100", "106", "106"]):
            apply(state, lease, quote("AAPL", price), at=moment(5, OPEN) + timedelta(seconds=number))
        assert selectors.quarantine_totals() == {"jump": 1}
        assert snapshots.current().price("AAPL") == 106

    def test_a_split_that_is_recorded_while_it_runs_is_known_to_the_feed(self, lease, instruments):
        state = load_state()
        apply(state, lease, quote("AAPL"))
        assert not state.is_outdated()
        split = NewCorporateAction(
            external_id="1", symbol="AAPL", kind="split", ex_at=moment(6, OPEN), new_units=4, old_units=1
        )
        record(split, actor=None)
        assert state.is_outdated()
        apply(load_state(), lease, quote("AAPL", "25"), at=moment(6, OPEN))
        assert snapshots.current().price("AAPL") == 25

    def test_a_bar_that_was_refused_is_not_stored(self, lease):
        good = BarTick("AAPL", *[Decimal(100)] * 4, Decimal(1))
        bad = BarTick("IBM", Decimal(100), Decimal(99), Decimal(90), Decimal(95), Decimal(1))
        apply(load_state(), lease, quote("AAPL"), at=moment(5), bars=(good, bad))
        assert list(Bar.objects.values_list("instrument__symbol", flat=True)) == ["AAPL"]
        assert QuarantinedQuote.objects.get().reason == "incoherent_bar"


@pytest.mark.usefixtures("instruments")
class TestHalts:
    def test_a_halted_symbol_is_not_open_until_it_trades_again(self, lease):
        state = load_state()
        apply(state, lease, quote("AAPL"), quote("IBM"), halted=frozenset({"IBM"}))
        assert snapshots.current().is_open.tolist() == [True, False]
        apply(state, lease, quote("IBM", "101"), at=moment(5, OPEN) + timedelta(minutes=1))
        assert snapshots.current().is_open.tolist() == [True, False]
        apply(state, lease, at=moment(5, OPEN) + timedelta(minutes=2), halted=frozenset())
        assert snapshots.current().is_open.tolist() == [True, False], "its quote is of within the halt"
        apply(state, lease, quote("IBM", "102"), at=moment(5, OPEN) + timedelta(minutes=3))
        assert snapshots.current().is_open.tolist() == [True, True]
        assert not Quote.objects.filter(halted=True).exists()

    def test_a_restart_knows_it(self, lease):
        apply(load_state(), lease, quote("AAPL"), quote("IBM"))
        apply(load_state(), lease, at=moment(5, OPEN) + timedelta(minutes=1), halted=frozenset({"AAPL"}))
        apply(load_state(), lease, quote("AAPL"), at=moment(5, OPEN) + timedelta(minutes=2))
        assert snapshots.current().is_open.tolist() == [False, True]


class TestWhatIsKept:
    def test_duplicates_are_counted_and_leave_no_row(self, db):
        assert keep(rejected(reason=Reason.DUPLICATE), rejected(reason=Reason.DUPLICATE)) == []
        assert not QuarantinedQuote.objects.exists()
        assert selectors.quarantine_totals() == {"duplicate": 2}

    def test_a_flood_leaves_a_hundred_rows_a_minute_and_is_counted_in_full(self, db):
        minute = database_now().replace(second=0, microsecond=0)
        for second in (1, 2):
            keep(*[rejected()] * 70, rejected(reason=Reason.CROSSED), at=minute + timedelta(seconds=second))
        assert QuarantinedQuote.objects.filter(reason="zero").count() == 100
        assert QuarantinedQuote.objects.filter(reason="crossed").count() == 2
        keep(*[rejected()] * 70, at=minute + timedelta(seconds=60))
        assert QuarantinedQuote.objects.filter(reason="zero").count() == 170
        assert selectors.quarantine_totals() == {"zero": 210, "crossed": 2}

    def test_each_symbol_is_told_of_once_an_hour(self, db):
        now = database_now()
        (event,) = keep(rejected(), rejected("IBM", Reason.JUMP, "far away"), at=now)
        assert "AAPL (zero: bid is 0), IBM (jump: far away)" in event.alert.message
        assert keep(rejected(), at=now + timedelta(minutes=59)) == []
        (event,) = keep(rejected(), rejected("IBM"), at=now + timedelta(minutes=61))
        assert event.payload["symbols"] == ["AAPL", "IBM"]

    def test_symbols_that_nobody_knows_are_told_of_as_one(self, db):
        now = database_now()
        (event,) = keep(*[rejected(f"X{number}") for number in range(30)], at=now)
        assert event.payload["symbols"] == [""] and "unknown symbols" in event.alert.message
        assert keep(rejected("Y"), at=now + timedelta(minutes=1)) == []

    @pytest.mark.usefixtures("instruments")
    def test_staff_are_alerted_by_the_feed(self, lease):
        state = load_state()
        apply(state, lease, quote("AAPL", "0"))
        apply(state, lease, quote("AAPL", "0"), at=moment(5))
        (message,) = alerts()
        assert "AAPL (zero: bid is 0)" in message
        assert Entry.objects.get(kind="market.quarantined").payload.count("AAPL") == 1

    def test_it_is_forgotten_after_a_week(self, db):
        now = database_now()
        keep(rejected(), at=now - timedelta(days=7, minutes=1))
        keep(rejected("IBM"), at=now - timedelta(days=6))
        tasks.prune_snapshots()
        assert list(QuarantinedQuote.objects.values_list("symbol", flat=True)) == ["IBM"]
        assert selectors.quarantine_totals() == {"zero": 2}

    def test_a_long_symbol_is_shortened(self, db):
        Exchange.objects.create(code="X", name="X", timezone="UTC")
        keep(rejected("Z" * 5000, detail="d" * 5000))
        assert len(QuarantinedQuote.objects.get().payload["symbol"]) == 40
