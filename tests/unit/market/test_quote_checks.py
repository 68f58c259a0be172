"""What is believed of a provider's word, reason by reason, each at its boundary."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from market.core.plausibility import FUTURE, Reason
from market.core.quote_checks import QuoteChecker, Reference, Split
from market.core.ticks import BarTick, QuoteTick, Tick

NOON = datetime(2024, 3, 4, 17, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
NOW = NOON + timedelta(days=300)
"""of the clock that receives, well after the market times used here"""


def checker(*symbols, splits=None, as_of=None, **options):
    options = {"jump_percentage": Decimal(30), "confirmations": 2} | options
    return QuoteChecker(symbols=symbols or ("AAPL", "IBM"), splits=splits or {}, as_of=as_of, **options)


def quote(price="100", symbol="AAPL", at=None, **changes):
    price = Decimal(price)
    parts = {"bid": price, "ask": price, "last": price, "volume": Decimal(0)}
    return QuoteTick(symbol=symbol, at=at, **(parts | {k: Decimal(v) for k, v in changes.items()}))


def bar(symbol="AAPL", at=None, **changes):
    parts = {"open": "100", "high": "110", "low": "90", "close": "105", "volume": "1000"} | changes
    return BarTick(symbol=symbol, at=at, **{name: Decimal(value) for name, value in parts.items()})


def sift(subject, *quotes, at=NOON, bars=(), halted=None, received_at=NOW):
    tick = Tick(at=at, quotes=tuple(quotes), bars=tuple(bars), halted=halted)
    return subject.sift(tick, received_at=received_at)


def reasons(sifted):
    return [item.reason for item in sifted.rejected]


def prices(sifted):
    return {} if sifted.tick is None else {quote.symbol: quote.last for quote in sifted.tick.quotes}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bid": "100.00000001"}, Reason.CROSSED),
        ({"bid": "0"}, Reason.ZERO),
        ({"ask": "0", "bid": "0"}, Reason.ZERO),
        ({"last": "0.000000004"}, Reason.ZERO),  # it would be stored as 0
        ({"bid": "-0.01"}, Reason.NEGATIVE),
        ({"volume": "-1"}, Reason.NEGATIVE),
        ({"last": "NaN"}, Reason.NOT_FINITE),
        ({"last": "sNaN"}, Reason.NOT_FINITE),
        ({"ask": "Infinity"}, Reason.NOT_FINITE),
        ({"volume": "NaN"}, Reason.NOT_FINITE),
        ({"ask": "1000000000000"}, Reason.OUT_OF_RANGE),
        ({"ask": "999999999999.999999999"}, Reason.OUT_OF_RANGE),  # it would be stored as 10^12
        ({"volume": "1000000000000000"}, Reason.OUT_OF_RANGE),
        ({"volume": "1e999999"}, Reason.OUT_OF_RANGE),
    ],
)
def test_a_quote_that_cannot_be_true_is_refused_with_its_reason(changes, reason):
    sifted = sift(checker(), quote(**changes))
    assert reasons(sifted) == [reason]
    assert prices(sifted) == {}
    (item,) = sifted.rejected
    assert (item.symbol, item.at) == ("AAPL", NOON)
    assert item.detail and item.payload.keys() == {"bid", "ask", "last", "volume"}


@pytest.mark.parametrize(
    "changes",
    [
        {"bid": "100", "ask": "100"},  # locked, not crossed
        {"bid": "0.00000001", "ask": "0.00000001", "last": "0.00000001"},
        {"bid": "999999999999.99999999", "ask": "999999999999.99999999", "last": "999999999999.99999999"},
        {"volume": "999999999999999.9999"},
    ],
)
def test_what_is_just_possible_is_taken(changes):
    sifted = sift(checker(), quote(**changes))
    assert (reasons(sifted), len(sifted.tick.quotes)) == ([], 1)


def test_one_bad_quote_takes_none_of_the_others_with_it():
    names = [f"S{number:03}" for number in range(500)]
    good = [quote(symbol=name) for name in names]
    bad = replace(good[250], bid=Decimal("NaN"))
    sifted = sift(checker(*names), *good[:250], bad, *good[251:])
    assert reasons(sifted) == [Reason.NOT_FINITE]
    assert prices(sifted).keys() == set(names) - {"S250"}


def test_more_places_than_the_tables_have_are_rounded_before_anything_is_computed():
    sifted = sift(checker(), quote("100.123456785", volume="1.00005"))
    (taken,) = sifted.tick.quotes
    assert (taken.last, taken.volume) == (Decimal("100.12345678"), Decimal("1.0000"))


def test_a_number_that_is_no_decimal_is_refused():
    sifted = sift(checker(), replace(quote(), last=100.0), replace(quote(symbol="IBM"), bid=None))
    assert reasons(sifted) == [Reason.MALFORMED] * 2


def test_a_symbol_that_is_not_traded_here_is_refused():
    sifted = sift(checker(), quote(symbol="ZZZ"), quote())
    assert (reasons(sifted), prices(sifted)) == ([Reason.UNKNOWN_SYMBOL], {"AAPL": Decimal(100)})


def test_the_newest_of_several_quotes_of_a_symbol_is_taken():
    sifted = sift(checker(), quote("100", at=NOON - SECOND), quote("101", at=NOON))
    assert (reasons(sifted), prices(sifted)) == ([], {"AAPL": Decimal(101)})


class TestTimes:
    def test_each_quote_keeps_its_own_time(self):
        sifted = sift(checker(), quote(at=NOON - SECOND), quote(symbol="IBM"))
        assert {row.symbol: row.at for row in sifted.tick.quotes} == {"AAPL": NOON - SECOND, "IBM": NOON}

    def test_an_older_quote_than_the_last_of_its_symbol_is_out_of_order(self):
        subject = checker()
        sift(subject, quote(at=NOON))
        sifted = sift(subject, quote("101", at=NOON - SECOND), quote("50", "IBM", at=NOON - SECOND), at=NOON)
        assert (reasons(sifted), prices(sifted)) == ([Reason.OUT_OF_ORDER], {"IBM": Decimal(50)})

    def test_an_older_tick_gives_what_is_newer_for_its_symbols_at_the_newest_time(self):
        subject = checker(as_of=NOON)
        sifted = sift(subject, quote(), at=NOON - SECOND)
        assert sifted.tick.at == NOON
        assert sifted.tick.quotes[0].at == NOON - SECOND
        assert sift(subject, quote("101"), at=NOON - 2 * SECOND).tick is None

    def test_the_same_quote_once_more_is_a_duplicate_and_publishes_nothing(self):
        subject = checker()
        sift(subject, quote())
        again = sift(subject, quote())
        assert (reasons(again), again.tick) == ([Reason.DUPLICATE], None)

    def test_the_same_price_at_a_later_time_is_fresh_and_another_at_the_same_time_is_taken(self):
        subject = checker()
        sift(subject, quote())
        assert prices(sift(subject, quote(), at=NOON + SECOND)) == {"AAPL": Decimal(100)}
        assert prices(sift(subject, quote("101"), at=NOON + SECOND)) == {"AAPL": Decimal(101)}

    def test_after_a_restart_it_knows_the_stored_quote(self):
        subject = checker(as_of=NOON)
        subject.know_quote(quote(at=NOON))
        assert reasons(sift(subject, quote())) == [Reason.DUPLICATE]
        assert reasons(sift(subject, quote(at=NOON - SECOND), at=NOON)) == [Reason.OUT_OF_ORDER]

    def test_market_time_may_be_a_little_ahead_of_the_clock_and_no_more(self):
        received_at = NOON - FUTURE
        assert reasons(sift(checker(), quote(), received_at=received_at)) == []
        late = sift(checker(), quote(), received_at=received_at - SECOND)
        assert (reasons(late), late.tick) == ([Reason.FUTURE], None)

    def test_a_tick_stamped_tomorrow_moves_market_time_only_as_far_as_its_honest_quotes(self):
        tomorrow = NOW + timedelta(days=1)
        subject = checker()
        sifted = sift(subject, quote(), quote("50", "IBM", at=NOON), at=tomorrow)
        assert (reasons(sifted), sifted.tick.at) == ([Reason.FUTURE], NOON)
        assert sift(subject, quote(), at=NOON + SECOND).tick.at == NOON + SECOND

    @pytest.mark.parametrize(
        "at", [NOON.replace(tzinfo=None), datetime.min.replace(tzinfo=UTC)], ids=["no zone", "year one"]
    )
    def test_a_time_that_is_none_is_malformed(self, at):
        sifted = sift(checker(), quote(at=at), quote(symbol="IBM"))
        assert (reasons(sifted), prices(sifted).keys()) == ([Reason.MALFORMED], {"IBM"})
        assert sifted.rejected[0].at is None
        assert sift(checker(), quote(), at=at).tick is None

    def test_a_tick_without_quotes_says_that_time_went_on(self):
        subject = checker(as_of=NOON)
        assert sift(subject, at=NOON).tick is None
        assert sift(subject, at=NOON + SECOND).tick == Tick(at=NOON + SECOND, quotes=())

    def test_a_tick_whose_quotes_are_all_refused_still_moves_time(self):
        assert sift(checker(as_of=NOON), quote("0"), at=NOON + SECOND).tick.at == NOON + SECOND


class TestJumps:
    def level(self, price="100", **options):
        subject = checker(**options)
        assert reasons(sift(subject, quote(price))) == []
        self.at = NOON
        return subject

    def tell(self, subject, price, **changes):
        self.at += SECOND
        return reasons(sift(subject, quote(price, **changes), at=self.at))

    @pytest.mark.parametrize(
        ("price", "expected"),
        [("130", []), ("70", []), ("130.01", [Reason.JUMP]), ("69.99", [Reason.JUMP])],
    )
    def test_the_collar_is_a_percentage_of_the_last_price_believed(self, price, expected):
        assert self.tell(self.level(), price) == expected

    def test_bid_and_ask_are_held_to_it_too_for_orders_trade_at_them(self):
        subject = self.level()
        assert self.tell(subject, "100", ask="131") == [Reason.JUMP]
        assert self.tell(subject, "100", bid="69") == [Reason.JUMP]

    def test_it_is_believed_when_two_later_quotes_agree_with_it(self):
        subject = self.level()
        assert self.tell(subject, "50") == [Reason.JUMP]
        assert self.tell(subject, "52") == [Reason.JUMP]
        assert self.tell(subject, "51") == []
        assert self.tell(subject, "55") == []
        assert self.tell(subject, "100") == [Reason.JUMP]

    def test_a_return_to_the_old_level_forgets_it(self):
        subject = self.level()
        expected = {"1": [Reason.JUMP], "100": []}
        for price in ("1", "1", "100", "1", "1", "100"):
            assert self.tell(subject, price) == expected[price]

    def test_quotes_that_do_not_agree_with_each_other_confirm_nothing(self):
        subject = self.level()
        for price in ("1", "10", "1000", "1", "10", "1000"):
            assert self.tell(subject, price) == [Reason.JUMP]

    def test_the_same_moment_confirms_nothing(self):
        subject = self.level()
        sifted = sift(subject, *[quote(price, at=NOON + SECOND) for price in ("50", "51", "52", "53")])
        assert reasons(sifted) == [Reason.JUMP] * 4

    def test_without_confirmations_any_price_is_believed_and_with_one_the_second(self):
        assert self.tell(self.level(confirmations=0), "1") == []
        subject = self.level(confirmations=1)
        assert [self.tell(subject, "1"), self.tell(subject, "1")] == [[Reason.JUMP], []]

    def test_a_first_quote_is_measured_by_the_last_bar_and_taken_where_there_is_none(self):
        subject = checker()
        subject.know_bar("AAPL", Reference(NOON - timedelta(days=1), Decimal(100)))
        assert reasons(sift(subject, quote("131"), quote("131", "IBM"))) == [Reason.JUMP]

    def test_the_newer_of_quote_and_bar_is_the_measure(self):
        subject = self.level()
        subject.know_bar("AAPL", Reference(NOON + timedelta(hours=1), Decimal(50)))
        assert reasons(sift(subject, quote("50"), at=NOON + timedelta(hours=2))) == []

    def test_a_split_is_no_jump_and_its_absence_is_one(self):
        ex_at = NOON + timedelta(hours=1)
        splits = {"AAPL": [Split(ex_at, 10, 1)], "IBM": [Split(ex_at, 1, 4)]}
        subject = checker(splits=splits)
        sift(subject, quote("100"), quote("10", "IBM"))
        before = sift(subject, quote("10"), at=ex_at - SECOND)
        assert reasons(before) == [Reason.JUMP]
        after = sift(subject, quote("10.1"), quote("41", "IBM"), at=ex_at)
        assert (reasons(after), prices(after)) == ([], {"AAPL": Decimal("10.1"), "IBM": Decimal(41)})
        assert reasons(sift(subject, quote("100"), at=ex_at + SECOND)) == [Reason.JUMP]


class TestBars:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"high": "104.99"}, Reason.INCOHERENT_BAR),
            ({"low": "100.01"}, Reason.INCOHERENT_BAR),
            ({"low": "0"}, Reason.ZERO),
            ({"close": "NaN"}, Reason.NOT_FINITE),
            ({"volume": "-1"}, Reason.NEGATIVE),
            ({"high": "1000000000000"}, Reason.OUT_OF_RANGE),
        ],
    )
    def test_a_bar_that_cannot_be_true_is_refused(self, changes, reason):
        sifted = sift(checker(), bars=[bar(**changes), bar("IBM")])
        assert reasons(sifted) == [reason]
        assert [row.symbol for row in sifted.tick.bars] == ["IBM"]

    def test_a_bar_whose_prices_are_all_the_same_is_fine(self):
        assert reasons(sift(checker(), bars=[bar(open="5", high="5", low="5", close="5", volume="0")])) == []

    def test_the_time_of_a_bar_is_its_own_though_a_quote_is_newer(self):
        sifted = sift(checker(), quote(at=NOON + SECOND), bars=[bar()])
        assert (sifted.tick.at, sifted.tick.bars[0].at) == (NOON + SECOND, NOON)

    def test_it_comes_once_and_in_order(self):
        subject = checker()
        subject.know_bar("AAPL", Reference(NOON, Decimal(100)))
        assert reasons(sift(subject, bars=[bar()])) == [Reason.DUPLICATE]
        assert reasons(sift(subject, bars=[bar(at=NOON - SECOND)])) == [Reason.OUT_OF_ORDER]
        assert reasons(sift(subject, bars=[bar(at=NOON + SECOND)])) == []

    def test_a_price_far_from_the_last_close_needs_a_quote_that_was_believed(self):
        crash = bar(open="100", high="101", low="48", close="50", at=NOON + SECOND)
        subject = checker()
        subject.know_bar("AAPL", Reference(NOON - timedelta(days=1), Decimal(100)))
        assert reasons(sift(subject, bars=[crash])) == [Reason.JUMP]
        for number in (1, 2, 3):
            sift(subject, quote("50", at=NOON + number * SECOND))
        assert reasons(sift(subject, bars=[crash])) == []

    def test_the_first_bar_of_a_split_is_no_jump(self):
        subject = checker(splits={"AAPL": [Split(NOON, 10, 1)]})
        subject.know_bar("AAPL", Reference(NOON - timedelta(days=1), Decimal(1000)))
        assert reasons(sift(subject, bars=[bar()])) == []


class TestHalts:
    def test_halted_symbols_stay_so_until_something_else_is_said(self):
        subject = checker()
        assert sift(subject, halted=frozenset({"AAPL", "ZZZ"})).tick.halted == {"AAPL"}
        assert sift(subject, quote("50", "IBM"), at=NOON + SECOND).tick.halted is None
        assert subject.halted == {"AAPL"}
        end = NOON + 2 * SECOND
        assert sift(subject, quote("50"), at=end, halted=frozenset()).tick.halted == frozenset()
        assert subject.halted == frozenset()

    def test_a_halt_that_is_over_lasts_until_the_symbol_is_quoted_again(self):
        """Until then its bid and ask are of before the halt."""
        subject = checker()
        sift(subject, quote("50", "IBM"), halted=frozenset({"AAPL"}))
        sift(subject, quote("50", "IBM"), at=NOON + SECOND, halted=frozenset())
        assert subject.halted == {"AAPL"}
        assert sift(subject, quote("50"), at=NOON + 2 * SECOND).tick.halted == frozenset()
        assert subject.halted == frozenset()

    def test_a_quote_within_a_halt_does_not_end_it(self):
        subject = checker()
        sift(subject, quote("50"), halted=frozenset({"AAPL"}))
        sift(subject, quote("50"), at=NOON + SECOND)
        assert subject.halted == {"AAPL"}

    def test_a_halt_alone_is_news(self):
        subject = checker(as_of=NOON)
        assert sift(subject, halted=frozenset({"AAPL"})).tick is not None
        assert sift(subject, halted=frozenset({"AAPL"})).tick is None
