"""When rules disagree the winner is always the same, and every loser knows why."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rules.core.conflicts import Candidate, Loss, resolve

OLD = datetime(2026, 1, 1, tzinfo=UTC)
NEW = OLD + timedelta(days=1)


def candidate(key, *, rule_type="entry", priority=0, created_at=OLD, symbol="AAPL", side=None, owner="s1"):
    side = side or ("buy" if rule_type == "entry" else "sell")
    return Candidate(key, rule_type, priority, created_at, symbol, side, owner)


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


candidates = st.builds(
    candidate,
    st.sampled_from("abc"),
    rule_type=st.sampled_from(("entry", "exit", "risk")),
    priority=st.integers(-1, 1),
    created_at=st.sampled_from((OLD, NEW)),
    symbol=st.sampled_from(("AAPL", "MSFT")),
    side=st.sampled_from(("buy", "sell")),
    owner=st.sampled_from(("s1", "s2")),
)


@given(
    st.lists(candidates, max_size=12).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some)))
)
def test_shuffling_the_input_changes_nothing(two_orders):
    one, other = two_orders
    assert resolve(one) == resolve(other)


@given(st.lists(candidates, max_size=12))
def test_everybody_wins_or_loses_to_the_winner_of_the_same_symbol(some):
    resolution = resolve(some)
    places = [(winner.owner, winner.symbol) for winner in resolution.winners]
    assert len(places) == len(set(places)), "one trade for each owner and symbol"
    assert len(resolution.winners) + len(resolution.losses) == len(some)
    for loss in resolution.losses:
        assert loss.beaten_by in resolution.winners
        assert (loss.candidate.owner, loss.candidate.symbol) == (loss.beaten_by.owner, loss.beaten_by.symbol)
