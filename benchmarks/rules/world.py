"""Markets and portfolios to judge rules on: invented, but spread as real ones are."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from rules.core.facts import MarketFacts, PortfolioFacts, SymbolFacts, Vector

HELD = 5
SECTORS = 11
UNIVERSE_SYMBOLS = 200
_RECOMMENDED = (0.06, 0.20, 0.48, 0.22, 0.04)  # STRONG_SELL … STRONG_BUY
_ZONES = 3


@dataclass(frozen=True)
class World:
    """The facts of one evaluation."""

    market: MarketFacts
    owners: dict[Hashable, PortfolioFacts]


class SectorFacts(SymbolFacts):
    """Sector exposures of one owner, for every symbol of the market."""

    def __init__(self, sector_of: dict[str, int], exposures: Vector) -> None:
        self._sector_of = sector_of
        self._exposures = exposures

    def __getitem__(self, symbol: str) -> dict[str, float]:
        return {"sector_exposure_percentage": float(self._exposures[self._sector_of[symbol]])}

    def __iter__(self) -> Iterator[str]:
        return iter(self._sector_of)

    def __len__(self) -> int:
        return len(self._sector_of)

    def vector(self, field: str, symbols: Sequence[str]) -> Vector:
        if field != "sector_exposure_percentage":
            return np.full(len(symbols), np.nan)
        return self._exposures[[self._sector_of[symbol] for symbol in symbols]]


def owner_names(count: int) -> list[UUID]:
    """So many owners, the same ones every time, but new objects, as sessions are when they are read again."""
    return [UUID(int=number + 1) for number in range(count)]


def make_world(seed: int, *, symbols: int, owners: int, universes: bool = False) -> World:
    """A market of so many symbols and owners who hold five of them each; another seed, other facts.

    Rates and ratios have few decimals, as facts have. Some facts are unknown. With
    `universes` every fourth owner's rules may touch 200 symbols only.
    """
    rng = np.random.default_rng(seed)
    names = tuple(f"S{place:05d}" for place in range(symbols))
    values = _market_values(rng, symbols)
    market = MarketFacts(names, values, _completed(rng, values))
    sector_of = dict(zip(names, rng.integers(0, SECTORS, symbols).tolist(), strict=True))
    held = rng.random((owners, symbols)).argpartition(HELD, axis=1)[:, :HELD]
    portfolio_values = _portfolio_values(rng, owners)
    position_values = _position_values(rng, owners)
    exposures = rng.gamma(1.5, 8.0, (owners, SECTORS))
    portfolios: dict[Hashable, PortfolioFacts] = {}
    for owner, name in enumerate(owner_names(owners)):
        universe = None
        if universes and owner % 4 == 0:
            chosen = rng.choice(symbols, min(UNIVERSE_SYMBOLS, symbols), replace=False)
            universe = frozenset(names[place] for place in chosen)
        portfolios[name] = PortfolioFacts(
            values={field: float(vector[owner]) for field, vector in portfolio_values.items()},
            positions={
                names[place]: {field: float(table[owner, slot]) for field, table in position_values.items()}
                for slot, place in enumerate(held[owner])
            },
            universe=universe,
            symbols=SectorFacts(sector_of, exposures[owner]),
        )
    return World(market, portfolios)


def _market_values(rng: np.random.Generator, symbols: int) -> dict[str, Vector]:
    def normal(mean: float, deviation: float) -> Vector:
        return rng.normal(mean, deviation, symbols)

    price = np.exp(normal(4.2, 0.8))
    volatility = np.exp(normal(-1.3, 0.4))
    zone = rng.integers(0, _ZONES, symbols)
    opened = rng.integers(30, 300) + 45.0 * zone
    unrated = rng.random(symbols) < 0.1

    def rated(vector: Vector) -> Vector:
        return np.where(unrated, np.nan, vector)

    values = {
        "price": price,
        "change_percentage_1d": normal(0.03, 1.6),
        "change_percentage_5d": normal(0.2, 3.6),
        "change_percentage_20d": normal(0.8, 7.5),
        "volume": np.floor(np.exp(normal(14, 1.2))),
        "relative_volume": np.exp(normal(-0.1, 0.45)),
        "volatility": volatility,
        "atr": price * volatility / 16 * np.exp(normal(0.2, 0.2)),
        "rsi": np.clip(normal(51, 11), 0, 100),
        "sma_20": price * np.exp(normal(-0.004, 0.035)),
        "sma_50": price * np.exp(normal(-0.01, 0.06)),
        "sma_200": price * np.exp(normal(-0.04, 0.13)),
        "spread_bps": np.where(rng.random(symbols) < 0.03, np.nan, np.exp(normal(1.1, 0.7))),
        "high_52w_distance": -np.abs(normal(0, 18)).clip(0, 99),
        "ai_recommendation": rated(rng.choice(5, symbols, p=_RECOMMENDED).astype(np.float64)),
        "confidence_score": rated(rng.beta(9, 6, symbols)),
        "expected_return_percentage": rated(normal(1.5, 5)),
        "recommendation_age_minutes": rated(rng.exponential(240, symbols)),
        "source_hit_rate": rated(np.where(zone % 2 == 0, 0.54, 0.61)),  # two sources
        "time_of_day": 570.0 + opened,
        "weekday": np.full(symbols, float(rng.integers(0, 5))),
        "minutes_since_open": opened,
        "minutes_to_close": 480.0 - opened,
    }
    return {name: np.round(vector, 4) for name, vector in values.items()}


def _completed(rng: np.random.Generator, values: dict[str, Vector]) -> dict[str, tuple[Vector, Vector]]:
    """The last two bars: near the value of now, and a little apart from each other."""
    bars = {}
    for name in ("price", "rsi", "sma_20", "sma_50", "sma_200", "relative_volume", "volatility"):
        spread = 0.015 if name != "rsi" else 0.05
        last = values[name] * np.exp(rng.normal(0, spread / 2, len(values[name])))
        previous = last * np.exp(rng.normal(0, spread, len(values[name])))
        bars[name] = (np.round(previous, 4), np.round(last, 4))
    return bars


def _portfolio_values(rng: np.random.Generator, owners: int) -> dict[str, Vector]:
    cash = rng.uniform(2, 60, owners)
    values = {
        "portfolio_cash_percentage": cash,
        "portfolio_equity": np.exp(rng.normal(11.5, 1, owners)),
        "daily_pnl_percentage": rng.normal(0.05, 1.1, owners),
        "drawdown_percentage": np.abs(rng.normal(0, 6, owners)),
        "open_positions": np.full(owners, float(HELD)),
        "gross_exposure_percentage": 100 - cash,
    }
    return {name: np.round(vector, 4) for name, vector in values.items()}


def _position_values(rng: np.random.Generator, owners: int) -> dict[str, Vector]:
    shape = (owners, HELD)
    values = {
        "position_pnl_percentage": rng.normal(1, 6, shape),
        "position_weight_percentage": rng.uniform(1, 16, shape),
        "holding_days": np.floor(rng.exponential(25, shape)),
        "drawdown_from_peak_percentage": np.abs(rng.normal(0, 5, shape)),
        "position_quantity": np.floor(np.exp(rng.normal(4, 1, shape))) + 1,
    }
    return {name: np.round(vector, 4) for name, vector in values.items()}
