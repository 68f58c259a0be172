"""A ledger, folded: the books that it says, and the identity that always holds."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.core.money import round_money
from portfolios.core.corporate_actions import dividend, in_cents, split
from portfolios.core.positions import PositionState
from portfolios.core.replay import Entry, Line, replay

D = Decimal
ZERO = D(0)
AT = datetime(2010, 3, 1, tzinfo=UTC)


def deposit(amount: str) -> Entry:
    return Entry("deposit", [Line("deposit", "cash", "capital", D(amount))])


def fill(
    side: str, quantity: Decimal, amount: Decimal, *, fee: Decimal = ZERO, realised: Decimal = ZERO
) -> Entry:
    money, units = (
        (("market", "cash"), ("holdings", "market"))
        if side == "buy"
        else (("cash", "market"), ("market", "holdings"))
    )
    lines = [Line("fill", *money, amount, market_at=AT), Line("fill", *units, quantity, 1, AT)]
    if fee:
        lines.append(Line("fee", "fees", "cash", fee))
    return Entry(side, lines, realised=realised)


def splitting(added: Decimal, fraction: Decimal, cash: Decimal, *, realised: Decimal = ZERO) -> Entry:
    accounts = ("holdings", "market") if added > 0 else ("market", "holdings")
    lines = [Line("split", *accounts, abs(added), 1, AT)]
    if fraction:
        lines.append(Line("cash_in_lieu", "market", "holdings", fraction, 1, AT))
    if cash:
        lines.append(Line("cash_in_lieu", "cash", "market", cash, market_at=AT))
    return Entry("split", lines, realised=realised)


def reversing(entry: Entry, *, reversal: Decimal = ZERO) -> Entry:
    lines = [replace(line, debit=line.credit, credit=line.debit) for line in entry.lines]
    return replace(entry, name=f"reversal of {entry.name}", lines=lines, reverses=True, reversal=reversal)


def test_a_small_ledger() -> None:
    books = replay(
        [
            deposit("10000"),
            fill("buy", D(100), D(5000), fee=D("0.50")),
            Entry("dividend", [Line("dividend", "cash", "income", D(24))]),
            splitting(D(50), D(0), D(0)),
            fill("sell", D(50), D(2000), fee=D("0.20"), realised=D("333.33333333")),
        ]
    )
    assert books.differences == []
    assert books.cash == D("7023.30")
    assert books.positions == {
        1: PositionState(D(100), D("3333.33333333"), D("333.33333333"), AT),
    }
    assert books.realised_pnl == D("333.33333333") + 24 - D("0.70")
    assert (books.paid_in, books.imbalance) == (D(10000), D(0))


def test_a_profit_that_is_recorded_otherwise_is_named() -> None:
    books = replay([fill("buy", D(1), D(100)), fill("sell", D(1), D(110), realised=D(9))])
    assert books.differences == ["sell: recorded as realising 9, the entries say 10"]


def test_units_from_nowhere_are_named() -> None:
    assert replay([fill("sell", D(1), D(110))]).differences == ["sell: instrument 1: sells 1, holds 0"]
    lonely = Entry("odd", [Line("fill", "cash", "market", D(5))])
    assert replay([lonely]).differences == ["odd: moved 5 of cash with the market, and no units"]


def test_cash_that_moves_the_wrong_way_is_an_imbalance() -> None:
    wrong = fill("buy", D(1), D(100))
    lines = [replace(wrong.lines[0], debit="cash", credit="market"), wrong.lines[1]]
    assert replay([replace(wrong, lines=lines)]).imbalance == 100


def test_a_reversal_takes_everything_back() -> None:
    start = [deposit("1000"), fill("buy", D(3), D(100), fee=D(1))]
    sell = fill("sell", D(1), D(50), fee=D(1), realised=D("16.66666667"))
    before = replay(start)
    after = replay([*start, sell, reversing(sell, reversal=D("-16.66666667"))])
    assert after.differences == []
    assert (after.cash, after.positions, after.realised_pnl) == (
        before.cash,
        before.positions,
        before.realised_pnl,
    )


@pytest.mark.parametrize(
    ("new", "old", "price", "quantity", "cash"),
    [(2, 1, None, "60", "0"), (3, 2, None, "45", "0"), (1, 20, "400", "1", "200.00")],
)
def test_splits_of_thirty(new: int, old: int, price: str | None, quantity: str, cash: str) -> None:
    terms = split(D(30), new_units=new, old_units=old, lot=D(1))
    paid = in_cents(terms.fraction * D(price)) if price else D(0)
    # 1:20 of 30 units that cost 900: 1.5 are left, half a unit of which cost 300 and is sold at 400 each
    realised = D(-100) if price else D(0)
    books = replay(
        [fill("buy", D(30), D(900)), splitting(terms.added, terms.fraction, paid, realised=realised)]
    )
    assert books.differences == []
    assert (books.positions[1].quantity, books.cash + 900) == (D(quantity), D(cash))
    assert books.positions[1].cost == (600 if price else 900)


steps = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "sell_all", "split", "reverse", "dividend", "deposit"]),
        st.integers(1, 997),
        st.decimals(min_value="0.0001", max_value="999", places=4),
        st.tuples(st.integers(1, 7), st.integers(1, 7)),
    ),
    max_size=15,
)


@settings(max_examples=100)
@given(steps=steps)
def test_the_identity_holds_to_the_last_place(steps: list[tuple[str, int, Decimal, tuple[int, int]]]) -> None:
    """cash + Σ cost = paid in + realised profit, whatever is filled, split, paid and reversed; a reversal is undone
    within the books, and nothing is ever negative."""
    entries: list[Entry] = []
    undone: set[int] = set()

    def book(entry: Entry) -> None:
        """As the books do: what it realises is found out and recorded with it."""
        state = replay([*entries, replace(entry)])
        before = replay(entries)
        effect = state.realised_pnl - before.realised_pnl
        money = sum((line.amount for line in entry.lines if line.kind == "fee"), D(0))
        income = sum((line.into("income") for line in entry.lines), D(0))
        found = effect + (-money if entry.reverses else money) + income
        entries.append(replace(entry, **{"reversal" if entry.reverses else "realised": found}))

    for what, number, price, ratio in steps:
        books = replay(entries)
        held = books.positions.get(1, PositionState()).quantity
        if what == "buy":
            book(fill("buy", D(number), round_money(number * price), fee=D("0.01")))
        elif what in ("sell", "sell_all") and held > 0:
            units = min(D(number), held) if what == "sell" else held
            book(fill("sell", units, round_money(units * price), fee=D("0.01")))
        elif what == "split" and held > 0 and ratio[0] != ratio[1]:
            terms = split(held, new_units=ratio[0], old_units=ratio[1], lot=D(1))
            book(splitting(terms.added, terms.fraction, in_cents(terms.fraction * price)))
            undone.update(range(len(entries) - 1))  # units of before a split are not reversed after it
        elif what == "dividend" and held > 0 and (cash := dividend(held, amount=price)):
            entries.append(Entry("dividend", [Line("dividend", "cash", "income", cash)]))
        elif what == "deposit":
            entries.append(deposit(str(number)))
        elif what == "reverse":
            _reverse_one(entries, undone, held, number, book)
    books = replay(entries)
    assert books.differences == []
    assert books.imbalance == 0
    assert all(state.cost >= 0 and state.quantity >= 0 for state in books.positions.values())


def _reverse_one(entries, undone, held, number, book) -> None:
    open_ones = [
        index
        for index, entry in enumerate(entries)
        if index not in undone
        and not entry.reverses
        and sum(line.into("holdings") for line in entry.lines if line.instrument_id) <= held
    ]
    if open_ones:
        index = open_ones[number % len(open_ones)]
        undone.add(index)
        book(reversing(entries[index]))
