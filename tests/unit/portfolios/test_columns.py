"""Many portfolios valued in columns are worth what each is worth by itself."""

import uuid
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portfolios.core.columns import NEVER, OwnedColumns, microseconds, value_many
from portfolios.core.facts import Holding, Marks, value

AS_OF = datetime(2010, 3, 10, 15, 0, 0, 123_457, tzinfo=UTC)
TODAY = (AS_OF.date() - date(1970, 1, 1)).days
INSTRUMENTS = 6
UNKNOWN = Decimal("NaN")
money = st.decimals(min_value=0, max_value=10**7, places=2)
some_money = st.decimals(min_value=1, max_value=10**5, places=2)
# To the microsecond, and whole days: there the number of days held changes.
moments = st.one_of(
    st.integers(min_value=0, max_value=400).map(lambda days: AS_OF - timedelta(days=days)),
    st.timedeltas(timedelta(0), timedelta(days=400)).map(lambda age: AS_OF - age),
)
holdings = st.fixed_dictionaries(
    {
        "quantity": st.one_of(st.just(Decimal(0)), some_money),
        "average_cost": some_money,
        "working_cash": st.one_of(st.just(Decimal(0)), some_money),
        "opened_at": st.one_of(st.none(), moments),
        "peak_price": st.one_of(st.none(), some_money),
        "unsettled": st.sampled_from([False, False, False, True]),
    }
).filter(lambda row: row["quantity"] > 0 or row["working_cash"] > 0)
portfolios = st.fixed_dictionaries(
    {
        "cash": money,
        "reserved_cash": money,
        "marks": st.one_of(st.none(), st.tuples(st.integers(TODAY - 2, TODAY + 1), some_money, some_money)),
        "holdings": st.dictionaries(st.integers(0, INSTRUMENTS - 1), holdings),
    }
)
prices = st.lists(st.one_of(st.just(UNKNOWN), some_money), min_size=INSTRUMENTS, max_size=INSTRUMENTS)


def column(rows: list[Any], dtype: type = np.float64) -> Any:
    return np.array([np.nan if row is None else row for row in rows], dtype=dtype)


def in_columns(given_portfolios: list[dict[str, Any]]) -> OwnedColumns:
    marks = [row["marks"] or (None, None, None) for row in given_portfolios]
    held = [
        (owner, key, row)
        for owner, portfolio in enumerate(given_portfolios)
        for key, row in sorted(portfolio["holdings"].items())
    ]
    rows = [row for _, _, row in held]
    return OwnedColumns(
        portfolio_ids=[uuid.UUID(int=place) for place in range(len(given_portfolios))],
        cash=column([row["cash"] for row in given_portfolios]),
        reserved_cash=column([row["reserved_cash"] for row in given_portfolios]),
        mark_day=column([day for day, _, _ in marks]),
        day_open_equity=column([opened for _, opened, _ in marks]),
        peak_equity=column([peak for _, _, peak in marks]),
        rules_revision=column([0] * len(marks), np.int64),
        owner=column([owner for owner, _, _ in held], np.int64),
        instrument_id=column([key for _, key, _ in held], np.int64),
        position_id=column([0] * len(held), np.int64),
        quantity=column([row["quantity"] for row in rows]),
        average_cost=column([row["average_cost"] if row["quantity"] else 0 for row in rows]),
        opened_at=column(
            [NEVER if row["opened_at"] is None else microseconds(row["opened_at"]) for row in rows], np.int64
        ),
        peak_price=column([row["peak_price"] for row in rows]),
        working_cash=column([row["working_cash"] for row in rows]),
        unsettled=column([row["unsettled"] for row in rows], np.bool_),
    )


def one_by_one(portfolio: dict[str, Any], known: list[Decimal]) -> Any:
    seen = {str(key): float(price) for key, price in enumerate(known)}
    seen |= {str(key): np.nan for key, row in portfolio["holdings"].items() if row["unsettled"]}
    marks = None
    if portfolio["marks"] is not None:
        day, opened, peak = portfolio["marks"]
        marks = Marks(day_open_equity=opened if day >= TODAY else None, peak_equity=peak)
    return value(
        cash=portfolio["cash"],
        reserved_cash=portfolio["reserved_cash"],
        holdings=[
            Holding(
                symbol=str(key), sector="Any", quantity=row["quantity"],
                average_cost=row["average_cost"] if row["quantity"] else Decimal(0),
                working_cash=row["working_cash"], opened_at=row["opened_at"], peak_price=row["peak_price"],
            )
            for key, row in sorted(portfolio["holdings"].items())
        ],
        prices=seen,
        marks=marks,
        as_of=AS_OF,
    )  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(portfolios, max_size=5), prices)
def test_columns_say_what_each_portfolio_says(rows: list[dict[str, Any]], known: list[Decimal]) -> None:
    columns = in_columns(rows)
    found = value_many(
        columns, prices=column([float(price) for price in known])[columns.instrument_id], as_of=AS_OF
    )
    held = columns.owner[found.held], columns.instrument_id[found.held]
    for place, portfolio in enumerate(rows):
        alone = one_by_one(portfolio, known)
        np.testing.assert_allclose(found.equity[place], alone.equity, rtol=1e-12)
        assert found.portfolio.keys() == alone.portfolio.keys()
        for name, fact in alone.portfolio.items():
            # Differences of large numbers: what is lost is lost of the numbers, not of the difference.
            np.testing.assert_allclose(found.portfolio[name][place], fact, rtol=1e-9, atol=1e-9, err_msg=name)
        mine = np.flatnonzero(held[0] == place)
        assert [str(held[1][row]) for row in mine] == list(alone.positions)
        for row, facts in zip(mine, alone.positions.values(), strict=True):
            assert found.positions.keys() == facts.keys()
            for name, fact in facts.items():
                np.testing.assert_array_equal(found.positions[name][row], fact, err_msg=name)
        stands = found.holdings_of(place)
        assert columns.owner[stands].tolist() == [place] * len(portfolio["holdings"])


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(portfolios, portfolios, st.booleans()), max_size=6))
def test_what_is_renewed_is_as_if_all_were_read_anew(
    rows: list[tuple[dict[str, Any], dict[str, Any], bool]],
) -> None:
    changed = [place for place, (_, _, has_changed) in enumerate(rows) if has_changed]
    before = in_columns([old for old, _, _ in rows])
    fresh = in_columns([new for _, new, has_changed in rows if has_changed])
    expected = in_columns([new if has_changed else old for old, new, has_changed in rows])
    renewed = before.renewed(changed, fresh)
    assert renewed.portfolio_ids == expected.portfolio_ids
    for field in fields(OwnedColumns):
        if field.name != "portfolio_ids":
            np.testing.assert_array_equal(
                getattr(renewed, field.name), getattr(expected, field.name), err_msg=field.name
            )


@pytest.mark.parametrize(
    ("day", "profit"),
    [
        (TODAY, 10.0),
        (TODAY - 1, 0.0),  # a day that has not begun for it counts from its present equity
    ],
)
def test_a_new_day_has_lost_nothing_yet(day: int, profit: float) -> None:
    row = {"cash": Decimal(110), "reserved_cash": Decimal(0), "marks": (day, 100, 100), "holdings": {}}
    found = value_many(in_columns([row]), prices=np.empty(0), as_of=AS_OF)
    assert found.portfolio["daily_pnl_percentage"].tolist() == pytest.approx([profit])
