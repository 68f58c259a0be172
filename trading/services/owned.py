"""What is stored of many portfolios, read as columns without a lock, in a constant number of queries.

Who asks for the same portfolios again and again, as evaluations of a slice do, keeps the columns (`kept_columns`).
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import array_text
from foundation.columns import column, column_sql
from foundation.loading import selected
from portfolios.core.columns import NEVER, OwnedColumns
from portfolios.selectors import unsettled_splits

Columns = dict[str, NDArray[Any]]
_Named = Sequence[tuple[str, str, str]]

_PORTFOLIO: _Named = (
    ("cash", "portfolio.cash", "float8"),
    ("reserved_cash", "portfolio.reserved_cash", "float8"),
    ("mark_day", "coalesce((mark.day - DATE '1970-01-01')::float8, 'NaN')", "float8"),
    ("day_open_equity", "coalesce(mark.day_open_equity, 'NaN')", "float8"),
    ("peak_equity", "coalesce(mark.peak_equity, 'NaN')", "float8"),
    ("rules_revision", "portfolio.rules_revision", "bigint"),
)
_HELD: _Named = (
    ("owner", "asked.place - 1", "bigint"),
    ("instrument_id", "held.instrument_id", "bigint"),
    ("position_id", "held.id", "bigint"),
    ("quantity", "held.quantity", "float8"),
    ("average_cost", "held.average_cost", "float8"),
    ("opened_at", "coalesce(held.opened_at, '-infinity')", "timestamptz"),
)
_BOUGHT: _Named = (
    ("owner", "asked.place - 1", "bigint"),
    ("instrument_id", "bought.instrument_id", "bigint"),
    ("working_cash", "bought.cash", "float8"),
)
_MARKS: _Named = (
    ("position_id", "mark.position_id", "bigint"),
    ("opened_at", "mark.opened_at", "timestamptz"),
    ("peak_price", "mark.peak_price", "float8"),
)
_NOT_HELD: Mapping[str, float] = {"position_id": 0, "quantity": 0.0, "average_cost": 0.0, "opened_at": NEVER}


def _aggregated(columns: _Named, rows: str) -> str:
    """A query of one row: the columns over these rows. Each is computed below, where the rows are sorted."""
    inner = ", ".join(f"({expression})::{kind} AS {name}" for name, expression, kind in columns)
    outer = ", ".join(column_sql(name, kind) for name, _, kind in columns)
    return f"SELECT {outer} FROM (SELECT {inner} {rows}) AS rows"  # noqa: S608 - the texts here


_ASKED = "WITH asked AS MATERIALIZED (SELECT id, place FROM unnest(%s::uuid[]) WITH ORDINALITY AS asked (id, place))"
# An array of keys is looked up in the index, where a join with it may read the whole table.
_PORTFOLIOS = """FROM (SELECT * FROM portfolios_portfolio WHERE id = ANY(%s::uuid[])) AS portfolio
    LEFT JOIN (SELECT * FROM portfolios_portfoliomark WHERE portfolio_id = ANY(%s::uuid[])) AS mark
        ON mark.portfolio_id = portfolio.id
    ORDER BY portfolio.id"""
_OF_POSITIONS = _aggregated(
    _HELD,
    """FROM asked JOIN portfolios_position AS held ON held.portfolio_id = asked.id AND held.quantity > 0
    ORDER BY asked.place, held.instrument_id""",
)
_OF_RESERVATIONS = _aggregated(
    _BOUGHT,
    """FROM asked JOIN portfolios_reservation AS bought ON bought.portfolio_id = asked.id AND bought.cash > 0""",
)
# One statement, so that cash, positions and reservations are those of one moment.
_READ_ALL = f"""
    {_ASKED} SELECT * FROM ({_aggregated(_PORTFOLIO, _PORTFOLIOS)}) AS a,
        ({_OF_POSITIONS}) AS b, ({_OF_RESERVATIONS}) AS c
"""  # noqa: S608 - the texts here
_READ_MARKS = _aggregated(
    _MARKS,
    "FROM portfolios_positionmark AS mark WHERE mark.position_id = ANY(%s::bigint[]) ORDER BY mark.position_id",
)


def read_columns(portfolio_ids: Sequence[uuid.UUID]) -> OwnedColumns:
    """All that is stored of these portfolios, which exist, given by rising id.

    Splits are asked for first: one that is booked in between leaves a price unknown, and never a quantity in other
    units than its price.
    """
    unsettled = unsettled_splits(portfolio_ids)
    return with_unsettled(read_stored(portfolio_ids), unsettled)


def read_stored(portfolio_ids: Sequence[uuid.UUID]) -> OwnedColumns:
    """The same, but for splits."""
    assert sorted(portfolio_ids) == list(portfolio_ids)
    of_portfolios, holdings = _read_all(portfolio_ids)
    assert len(of_portfolios["cash"]) == len(portfolio_ids), "portfolios are never deleted"
    return OwnedColumns(
        portfolio_ids=portfolio_ids,
        peak_price=_peaks(holdings),
        unsettled=np.zeros(len(holdings["owner"]), dtype=np.bool_),
        **of_portfolios,
        **holdings,
    )


def with_unsettled(columns: OwnedColumns, unsettled: Iterable[tuple[uuid.UUID, int]]) -> OwnedColumns:
    """With the holdings marked of which a split is in the prices and not in the quantity."""
    if not unsettled:
        return columns
    marked = np.zeros(len(columns.owner), dtype=np.bool_)
    place_of = {key: place for place, key in enumerate(columns.portfolio_ids)}
    for owner, instrument_id in unsettled:
        marked |= (columns.owner == place_of[owner]) & (columns.instrument_id == instrument_id)
    return replace(columns, unsettled=marked)


def _peaks(holdings: Columns) -> NDArray[np.float64]:
    """The highest price of each holding since it was opened; NaN where none is known."""
    held = holdings["position_id"]
    marks = _split(_MARKS, selected(_READ_MARKS, [array_text(held.tolist())])[0])
    known = marks["position_id"]
    if not len(known):
        return np.full(len(held), np.nan)
    found = np.minimum(np.searchsorted(known, held), len(known) - 1)
    same = (known[found] == held) & (marks["opened_at"][found] == holdings["opened_at"])
    return np.where(same, marks["peak_price"][found], np.nan)


def _split(columns: _Named, row: Sequence[bytes | None]) -> Columns:
    return {name: column(raw, kind) for (name, _, kind), raw in zip(columns, row, strict=True)}


def _read_all(portfolio_ids: Sequence[uuid.UUID]) -> tuple[Columns, Columns]:
    """(columns of the portfolios, columns of their holdings)."""
    asked = array_text(portfolio_ids)
    (row,) = selected(_READ_ALL, [asked, asked, asked])
    positions, reservations = len(_PORTFOLIO), len(_PORTFOLIO) + len(_HELD)
    held, bought = _split(_HELD, row[positions:reservations]), _split(_BOUGHT, row[reservations:])
    held["working_cash"] = np.zeros(len(held["owner"]))
    return _split(_PORTFOLIO, row[:positions]), _with_bought(held, bought) if len(bought["owner"]) else held


def _with_bought(held: Columns, bought: Columns) -> Columns:
    """Working buys, added to the holdings of the same instrument or as holdings of their own."""
    more = len(bought["owner"])
    filled = {name: np.full(more, nothing, dtype=held[name].dtype) for name, nothing in _NOT_HELD.items()}
    joined = {name: np.concatenate([values, {**filled, **bought}[name]]) for name, values in held.items()}
    order = np.lexsort((joined["instrument_id"], joined["owner"]))  # stable: what is held comes first
    joined = {name: values[order] for name, values in joined.items()}
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (np.diff(joined["owner"]) != 0) | (np.diff(joined["instrument_id"]) != 0)
    cash = np.bincount(np.cumsum(first) - 1, joined["working_cash"])
    return {**{name: values[first] for name, values in joined.items()}, "working_cash": cash}
