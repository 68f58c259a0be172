"""Many portfolios with positions, rules and a running session each, written by COPY; and a market that moves.

Five rules a session, each with thresholds of its own: the specification's entry, a momentum entry, a stop, a trailing
exit, and an entry that fires when the one symbol DRAW has a volume within a thousandth of its range that is nearly the
session's own. So one session in a thousand triggers at each tick, another one each time, and of the others every rule
was asked.
"""

import json
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from django.db import connection, transaction

from benchmarks.trading_world import SECTORS, user, widen_rates
from foundation.clock import database_now
from foundation.copying import StoredJson, copy_values
from market.core.snapshot import MarketSnapshot, RecommendationFrame
from market.models import Exchange, Instrument, RecommendationSource
from market.services import snapshots
from portfolios.models import BrokerAccount, Portfolio, PortfolioMark, Position
from rules.examples import EXAMPLES
from rules.models import RuleVersion, TradingRule
from sessions.models import SLICE_SESSIONS_MAX, EvaluationSlice, TradingSession

SYMBOLS, POSITIONS, RULES = 500, 5, 5
# Positions are not new: about one tick in so many sets a new high. A random walk does so as often after some hundred
# ticks: with probability 1 / sqrt(pi n) after n, by the arcsine law.
PAST_TICKS = 50
FIELDS = (
    "price",
    "volume",
    "relative_volume",
    "volatility",
    "rsi",
    "change_percentage_5d",
    "sma_20",
    "sma_50",
)
OPENING = datetime(2010, 3, 1, 14, 30, tzinfo=UTC)
BATCH_SESSIONS = 4 * SLICE_SESSIONS_MAX
TRIGGERING = 0.001
DRAWN = 1e9  # the volume of DRAW lies above it, that of any other symbol below
_ENTRY = json.loads(EXAMPLES[0])
_BUY = [{"type": "buy", "sizing_method": "fixed", "size_unit": "shares", "size_value": 1}]
_SELL = [{"type": "sell", "sizing_method": "full_position"}]


@dataclass
class World:
    """The market and its clock; prices stay within 2 % of where they began."""

    rng: np.random.Generator
    instruments: Sequence[Instrument]
    base: np.ndarray[tuple[int], np.dtype[np.float64]]
    past: np.ndarray[Any, np.dtype[np.float64]]
    """float64[PAST_TICKS, SYMBOLS]: the prices before the first tick"""
    as_of: datetime = OPENING

    @classmethod
    def make(cls, *, seed: int) -> "World":
        exchange = Exchange.objects.create(code="XBEN", name="Benchmark", timezone="UTC")
        rows = [
            Instrument(
                symbol=f"S{number:03}" if number else "DRAW", name=f"S{number}", exchange=exchange,
                sector=f"Sector {number % SECTORS}", tick_size=Decimal("0.01"), lot_size=Decimal(1),
            )
            for number in range(SYMBOLS)
        ]  # fmt: skip
        RecommendationSource.objects.create(name="benchmark")
        widen_rates()
        rng = np.random.default_rng(seed)
        base = np.round(rng.uniform(20, 200, SYMBOLS), 2)
        past = np.round(base * rng.uniform(0.98, 1.02, (PAST_TICKS, SYMBOLS)), 2)
        return cls(rng, Instrument.objects.bulk_create(rows), base, past)

    def tick(self) -> int:
        """Every price moves; returns the snapshot's version."""
        self.as_of += timedelta(minutes=1)
        price = np.round(self.base * self.rng.uniform(0.98, 1.02, SYMBOLS), 2)
        values = np.array([
            price, self.rng.uniform(1e5, 1e7, SYMBOLS), self.rng.uniform(0.5, 3, SYMBOLS),
            self.rng.uniform(0.1, 0.5, SYMBOLS), self.rng.uniform(20, 80, SYMBOLS),
            self.rng.uniform(-4, 4, SYMBOLS), self.base, self.base,
        ])  # fmt: skip
        values[1, 0] = DRAWN * (1 + self.rng.uniform(0, 1))
        day = self.as_of.replace(hour=0, minute=0).timestamp()
        return snapshots.publish(
            snapshot=MarketSnapshot(
                version=0, as_of=self.as_of, symbols=tuple(row.symbol for row in self.instruments),
                instrument_ids=tuple(row.id for row in self.instruments), fields=FIELDS, values=values,
                completed=np.array([values * 0.98, values * 1.01]),
                market_time=np.full(SYMBOLS, self.as_of.timestamp()),
                price_received_at=np.full(SYMBOLS, database_now().timestamp() + 3600),  # a slow run must not age it
                bid=np.round(price * 0.9995, 2), ask=np.round(price * 1.0005, 2),
                is_open=np.ones(SYMBOLS, dtype=np.bool_), opens_at=np.full(SYMBOLS, day),
                closes_at=np.full(SYMBOLS, day + 86_399), recommendations={"benchmark": self._advice()},
            )
        )  # fmt: skip

    def _advice(self) -> RecommendationFrame:
        return RecommendationFrame(
            codes=self.rng.integers(0, 5, SYMBOLS).astype(np.float64),
            confidence=self.rng.uniform(0.3, 0.72, SYMBOLS),
            expected_return=self.rng.uniform(-5, 5, SYMBOLS),
            as_of=np.full(SYMBOLS, self.as_of.timestamp() - 60.0),
            ids=(None,) * SYMBOLS,
        )

    def open_sessions(self, count: int, *, seed: int) -> None:
        """So many more portfolios, each with five positions, five rules and a running session."""
        rng, alice = random.Random(seed), user("alice")
        for start in range(0, count, BATCH_SESSIONS):
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 0")
                self._open(min(BATCH_SESSIONS, count - start), rng, alice.pk)
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("ANALYZE")
            cursor.execute("RESET statement_timeout")

    def _open(self, count: int, rng: random.Random, user_id: int) -> None:
        ids = [uuid.UUID(int=rng.getrandbits(128), version=4) for _ in range(count)]
        copy_values(
            Portfolio, ("id", "name", "base_currency", "cash", "reserved_cash", "realised_pnl"),
            ((key, f"Portfolio {key}", "USD", 100_000, 0, 0) for key in ids),
        )  # fmt: skip
        copy_values(
            BrokerAccount,
            ("id", "portfolio_id", "broker", "is_live", "account_number", "fee_bps", "fee_minimum", "slippage_bps"),
            ((uuid.UUID(int=rng.getrandbits(128), version=4), key, "paper", False, "", 1, 0, 1) for key in ids),
        )  # fmt: skip
        self._hold(ids, rng)
        rules = [
            (uuid.UUID(int=rng.getrandbits(128), version=4), key, *rule)
            for key in ids
            for rule in _rules(rng)
        ]
        said = ("name", "rule_type", "conditions", "actions")
        copy_values(
            TradingRule, ("id", "portfolio_id", *said, "created_by_id"), ((*row, user_id) for row in rules)
        )
        copy_values(
            RuleVersion, ("rule_id", "version", *said, "created_by_id"),
            ((key, 1, *row, user_id) for key, _, *row in rules),
        )  # fmt: skip
        for start in range(0, count, SLICE_SESSIONS_MAX):
            part = EvaluationSlice.objects.create()
            copy_values(
                TradingSession,
                ("id", "portfolio_id", "session_name", "status", "total_trades", "successful_trades", "total_pnl",
                 "config", "slice_id", "stop_reason"),
                (
                    (uuid.UUID(int=rng.getrandbits(128), version=4), key, "", "active", 0, 0, 0, StoredJson("{}"),
                     part.pk, "")
                    for key in ids[start : start + SLICE_SESSIONS_MAX]
                ),
            )  # fmt: skip

    def _hold(self, ids: Sequence[uuid.UUID], rng: random.Random) -> None:
        """Positions bought where the prices began."""
        opened = OPENING - timedelta(days=30)
        rows = []
        places = [rng.sample(range(1, SYMBOLS), POSITIONS) for _ in ids]
        units = [[rng.randrange(10, 100) for _ in range(POSITIONS)] for _ in ids]
        for key, held, counts in zip(ids, places, units, strict=True):
            for place, count in zip(held, counts, strict=True):
                price = Decimal(str(self.base[place]))
                row = key, self.instruments[place].id, count, 0, count * price, price, 0, opened
                rows.append(row)
        columns = (
            "portfolio_id", "instrument_id", "quantity", "reserved_quantity", "cost", "average_cost", "realised_pnl",
            "opened_at",
        )  # fmt: skip
        copy_values(Position, columns, rows)
        self._mark(ids, np.array(places), np.array(units))

    def _mark(
        self, ids: Sequence[uuid.UUID], places: np.ndarray[Any, Any], units: np.ndarray[Any, Any]
    ) -> None:
        """The peaks of what they were worth at the ticks before, so that few rise at the next."""
        peaks = dict(zip([row.id for row in self.instruments], self.past.max(axis=0).tolist(), strict=True))
        equity = 100_000 + (self.past[:, places] * units).sum(axis=2).max(axis=0)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO portfolios_positionmark (position_id, opened_at, peak_price)"
                " SELECT held.id, held.opened_at, peak.price FROM portfolios_position AS held"
                " JOIN unnest(%s::bigint[], %s::numeric[]) AS peak (instrument_id, price) USING (instrument_id)"
                " WHERE held.portfolio_id = ANY(%s)",
                [list(peaks), list(peaks.values()), list(ids)],
            )
        copy_values(
            PortfolioMark, ("portfolio_id", "day", "day_open_equity", "peak_equity"),
            ((key, OPENING.date(), 100_000, round(peak, 8)) for key, peak in zip(ids, equity.tolist(), strict=True)),
        )  # fmt: skip


def _rules(rng: random.Random) -> Iterator[tuple[str, str, StoredJson, StoredJson]]:
    """(name, type, conditions, actions) of one session's rules."""
    drawn = DRAWN * (1 + rng.random())
    confidence = {"field": "confidence_score", "operator": "greater_than", "value": rng.uniform(0.73, 0.98)}
    cash = _is("portfolio_cash_percentage", "greater_than", rng.uniform(4, 20))
    momentum = [
        _is("change_percentage_5d", "greater_than", rng.uniform(4.1, 9)),
        _is("rsi", "between", [rng.uniform(40, 58), rng.uniform(62, 75)]),
        {
            "field": "price",
            "operator": "greater_than",
            "value": {"field": "sma_50", "times": rng.uniform(0.99, 1.06)},
        },
        cash,
    ]
    trailing = [
        _is("drawdown_from_peak_percentage", "greater_than", rng.uniform(5, 15)),
        _is("position_pnl_percentage", "greater_than", rng.uniform(0, 8)),
    ]
    for name, rule_type, conditions, actions in (
        ("Specified", "entry", [_ENTRY["conditions"][0], confidence, cash], _ENTRY["actions"]),
        ("Momentum", "entry", momentum, _BUY),
        ("Draw", "entry", [_is("volume", "between", [drawn, drawn + DRAWN * TRIGGERING])], _BUY),
        ("Stop", "exit", [_is("position_pnl_percentage", "less_than", -rng.uniform(6, 16))], _SELL),
        ("Trailing", "exit", trailing, _SELL),
    ):
        yield name, rule_type, StoredJson(json.dumps(conditions)), StoredJson(json.dumps(actions))


def _is(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}
