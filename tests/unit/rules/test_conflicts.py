"""When rules disagree the winner is always the same, and every loser knows why."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.core.conflicts import Block, Candidate, Loss, resolve
from rules.models import TradingRule
from rules.services.rule_engine import prioritize_rules

OLD = datetime(2026, 1, 1, tzinfo=UTC)
NEW = OLD + timedelta(days=1)


def candidate(
    key, *, rule_type="entry", priority=0, created_at=OLD, symbol="AAPL", side=None, owner="s1", version_id=1
):
    side = side or ("buy" if rule_type == "entry" else "sell")
    return Candidate(key, rule_type, priority, created_at, symbol, side, owner, version_id)


def block(key, *, symbol=None, rule_type="risk", priority=0, created_at=OLD, owner="s1"):
    return Block(key, rule_type, priority, created_at, symbol, owner)


def test_a_sell_beats_a_buy_whatever_the_priority():
    buy, sell = candidate("buy", priority=100), candidate("sell", rule_type="exit")
    resolution = resolve([buy, sell])
    assert resolution.winners == (sell,)
    assert resolution.losses == (Loss(buy, sell, "rule_type"),)


def test_risk_goes_before_exit():
    risk, leave = candidate("risk", rule_type="risk"), candidate("exit", rule_type="exit", priority=9)
    assert resolve([leave, risk]).winners == (risk,)


def test_a_sell_beats_a_buy_within_one_rule_type():
    buy, sell = candidate("buy", priority=5), candidate("sell", side="sell")
    assert resolve([buy, sell]).losses == (Loss(buy, sell, "side"),)


def test_the_higher_priority_wins():
    low, high = candidate("low", priority=1), candidate("high", priority=2, created_at=NEW)
    assert resolve([low, high]).losses == (Loss(low, high, "priority"),)


def test_the_older_rule_wins_a_tie():
    old, new = candidate("z", created_at=OLD), candidate("a", created_at=NEW)
    assert resolve([new, old]).losses == (Loss(new, old, "age"),)


def test_the_key_decides_between_twins():
    assert resolve([candidate("b"), candidate("a")]).losses == (Loss(candidate("b"), candidate("a"), "key"),)


def test_of_one_rule_the_older_version_wins_and_is_compared_as_a_number():
    nine, ten = candidate("a", version_id=9), candidate("a", version_id=10)
    assert resolve([ten, nine]).losses == (Loss(ten, nine, "version"),)


def test_one_rule_that_asks_twice_gets_one_trade():
    twice = candidate("a")
    resolution = resolve([twice, twice])
    assert resolution.winners == (twice,)
    assert resolution.losses == (Loss(twice, twice, "same_rule"),)


def test_different_symbols_and_different_owners_do_not_compete():
    candidates = [candidate("a"), candidate("a", symbol="MSFT"), candidate("a", owner="s2")]
    assert len(resolve(candidates).winners) == 3


def test_winners_stand_in_the_order_in_which_they_may_spend():
    low = candidate("low", symbol="AAPL")
    high = candidate("high", symbol="XOM", priority=5)
    sell = candidate("sell", symbol="MSFT", rule_type="exit")
    assert resolve([low, high, sell]).winners == (sell, high, low)


@pytest.mark.parametrize("symbol", [None, "AAPL"])
def test_a_block_beats_a_buy_whatever_the_priority(symbol):
    buy, blocking = candidate("buy", priority=100), block("block", symbol=symbol)
    resolution = resolve([buy], [blocking])
    assert resolution.winners == ()
    assert resolution.losses == (Loss(buy, blocking, "blocked"),)


@pytest.mark.parametrize(
    ("blocking", "why"),
    [
        (block("block", symbol="MSFT"), "of another symbol"),
        (block("block", owner="s2"), "of another owner"),
    ],
)
def test_a_block_covers_nothing_else(blocking, why):
    buy = candidate("buy")
    assert resolve([buy], [blocking]).winners == (buy,), why


def test_a_block_stops_no_sell():
    sell = candidate("sell", rule_type="exit")
    assert resolve([sell], [block("block")]).winners == (sell,)


def test_a_blocked_buy_is_told_of_the_block_and_not_of_the_sell_that_wins():
    buy, sell, blocking = candidate("buy"), candidate("sell", rule_type="exit"), block("block")
    resolution = resolve([buy, sell], [blocking])
    assert resolution.winners == (sell,)
    assert resolution.losses == (Loss(buy, blocking, "blocked"),)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (block("b", symbol="AAPL", priority=1), block("a")),
        (block("b", symbol="AAPL"), block("a", created_at=NEW)),
        (block("a", symbol="AAPL"), block("b")),
        (block("a"), block("a", symbol="AAPL")),
    ],
    ids=["priority", "age", "key", "the whole portfolio"],
)
def test_of_several_blocks_the_first_in_rank_is_named(first, second):
    assert resolve([candidate("buy")], [second, first]).losses[0].beaten_by == first


# --- what comes to nothing ---------------------------------------------------------------------------


class Market:
    """Lets trades of these keys come to nothing, and remembers who was tried."""

    def __init__(self, *nothing, block=None):
        self.nothing, self.block, self.tried = nothing, block, []

    def __call__(self, candidate):
        self.tried.append(candidate)
        return self.block or candidate.key not in self.nothing


def test_where_the_first_comes_to_nothing_the_next_is_tried():
    trim, stop = candidate("trim", rule_type="risk"), candidate("stop", rule_type="exit")
    late = candidate("late", rule_type="exit", created_at=NEW)
    market = Market("trim")
    resolution = resolve([late, stop, trim], attempt=market)
    assert market.tried == [trim, stop]
    assert (resolution.winners, resolution.failed) == ((stop,), (trim,))
    assert resolution.losses == (Loss(late, stop, "age"),), "only who trades outranks"


def test_what_a_rule_wants_sold_is_not_bought_even_if_the_sell_comes_to_nothing():
    sells = [candidate("trim", rule_type="risk"), candidate("stop", rule_type="exit")]
    buy, other = candidate("buy"), candidate("buy", symbol="XOM")
    market = Market("trim", "stop")
    resolution = resolve([buy, other, *sells], attempt=market)
    assert market.tried == [*sells, other]
    assert resolution.losses == (Loss(buy, sells[0], "rule_type"),)


def test_a_buy_may_be_blocked_when_its_turn_comes():
    buy, blocking = candidate("buy"), block("block")
    resolution = resolve([buy], attempt=Market(block=blocking))
    assert (resolution.winners, resolution.failed) == ((), ())
    assert resolution.losses == (Loss(buy, blocking, "blocked"),)


candidates = st.builds(
    candidate,
    st.sampled_from("abc"),
    rule_type=st.sampled_from(("entry", "exit", "risk")),
    priority=st.integers(-1, 1),
    created_at=st.sampled_from((OLD, NEW)),
    symbol=st.sampled_from(("AAPL", "MSFT")),
    side=st.sampled_from(("buy", "sell")),
    owner=st.sampled_from(("s1", "s2")),
    version_id=st.sampled_from((9, 10)),
)
nothing = st.frozensets(st.sampled_from("abc"))
blocks = st.builds(
    block,
    st.sampled_from("abc"),
    symbol=st.sampled_from((None, "AAPL", "MSFT")),
    priority=st.integers(-1, 1),
    created_at=st.sampled_from((OLD, NEW)),
    owner=st.sampled_from(("s1", "s2")),
)


def two_orders(strategy, size):
    """A list, and the same list shuffled."""
    some = st.lists(strategy, max_size=size)
    return some.flatmap(lambda items: st.tuples(st.just(items), st.permutations(items)))


def covers(blocking, buy):
    return blocking.owner == buy.owner and blocking.symbol in (None, buy.symbol)


@given(two_orders(candidates, 12), two_orders(blocks, 3), nothing)
def test_shuffling_the_input_changes_nothing(asked, blocking, fails):
    one, other = zip(asked, blocking, strict=True)
    assert resolve(*one, Market(*fails)) == resolve(*other, Market(*fails))


@given(st.lists(candidates, max_size=12), st.lists(blocks, max_size=3), nothing)
def test_everybody_wins_or_loses_or_fails_once(asked, blocking, fails):
    resolution = resolve(asked, blocking, Market(*fails))
    places = [(winner.owner, winner.symbol) for winner in resolution.winners]
    assert len(places) == len(set(places)), "one trade for each owner and symbol"
    ended = [*resolution.winners, *resolution.failed, *(loss.candidate for loss in resolution.losses)]
    assert sorted(map(repr, ended)) == sorted(map(repr, asked))


@given(st.lists(candidates, max_size=12), st.lists(blocks, max_size=3), nothing)
def test_a_loser_was_beaten_in_its_own_place_by_a_block_the_winner_or_a_sell(asked, blocking, fails):
    resolution = resolve(asked, blocking, Market(*fails))
    for loss in resolution.losses:
        if loss.reason == "blocked":
            assert loss.beaten_by in blocking and covers(loss.beaten_by, loss.candidate)
        else:
            assert loss.beaten_by in resolution.winners or (loss.candidate.side, loss.beaten_by.side) == (
                "buy",
                "sell",
            )
            assert (loss.candidate.owner, loss.candidate.symbol) == (
                loss.beaten_by.owner,
                loss.beaten_by.symbol,
            )


@given(st.lists(candidates, max_size=12), st.lists(blocks, max_size=3))
def test_a_buy_is_blocked_exactly_when_a_block_covers_it(asked, blocking):
    resolution = resolve(asked, blocking)
    blocked = [loss.candidate for loss in resolution.losses if loss.reason == "blocked"]
    covered = [one for one in asked if one.side == "buy" and any(covers(b, one) for b in blocking)]
    assert sorted(map(repr, blocked)) == sorted(map(repr, covered))
    assert not [winner for winner in resolution.winners if winner in covered]


@given(st.lists(candidates, max_size=12), st.lists(blocks, max_size=3), nothing)
def test_no_sell_that_could_go_out_stays_behind_one_that_could_not(asked, blocking, fails):
    resolution = resolve(asked, blocking, Market(*fails))
    sold = {(winner.owner, winner.symbol) for winner in resolution.winners if winner.side == "sell"}
    could = {(one.owner, one.symbol) for one in asked if one.side == "sell" and one.key not in fails}
    bought_first = {(winner.owner, winner.symbol) for winner in resolution.winners if winner.side == "buy"}
    assert could - bought_first == sold


rules = st.builds(
    TradingRule,
    id=st.integers(0, 3).map(lambda number: UUID(int=number)),
    rule_type=st.sampled_from(("entry", "exit", "risk")),
    priority=st.integers(-1, 1),
    created_at=st.sampled_from((OLD, NEW)),
)


@given(two_orders(rules, 8))
def test_the_order_of_rules_is_total(shuffled):
    def told(some):
        return [(rule.rule_type, rule.priority, rule.created_at, rule.pk) for rule in prioritize_rules(some)]

    one, other = shuffled
    assert told(one) == told(other)


@given(st.lists(rules, max_size=8, unique_by=lambda rule: rule.pk))
def test_conflicts_are_decided_in_the_order_in_which_rules_are_told(some):
    def sell(rule, version_id):
        return Candidate(
            str(rule.pk), rule.rule_type, rule.priority, rule.created_at, "AAPL", "sell", "s1", version_id
        )

    every = Market(*(str(rule.pk) for rule in some))
    resolve([sell(rule, 100 - place) for place, rule in enumerate(some)], attempt=every)
    assert [tried.key for tried in every.tried] == [str(rule.pk) for rule in prioritize_rules(some)]
