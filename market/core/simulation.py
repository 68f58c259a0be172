"""A market that never was: prices of many symbols that move together, now calmly and now wildly, jump, and halt.

Returns are a factor model: the market's, the sector's and the symbol's own Brownian motion, scaled by a volatility that
is in one of two regimes (a Markov chain by the day), a quarter of a day's variance overnight, the rest within the
session, more of it near open and close. Jumps are a Poisson process; a large one halts its symbol for minutes, and
some halts come without one. So returns have the fat tails, the clusters of volatility and the correlations that rules
and limits are made for.

All random numbers are counted, not drawn in turn: those of a name and a day come from Philox with a key of seed and
name and a counter of the day. So any day can be made without the days between being walked through tick by tick, a
feed that starts again goes on exactly where it was, and another symbol changes nothing of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import ceil

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Wholes = NDArray[np.int64]

BLOCK = 256
"""days whose numbers are made at once"""
_CHARACTER, _DAYS, _WITHIN = range(3)
"""what a stream of numbers is for; part of its counter"""

MARKET_SIGMA, SECTOR_SIGMA = 0.009, 0.005
OWN_SIGMA_LEAST, OWN_SIGMA_MOST = 0.008, 0.02
"""standard deviations of a day's logarithmic return in a regime of volatility 1"""
CALM, WILD = 0.8, 2.2
BECOMES_WILD, BECOMES_CALM = 0.02, 0.1
"""volatilities of the regimes, and the chances by calendar day of leaving them"""
OVERNIGHT = 0.25
"""share of a day's variance"""
DRIFT = 0.05 / 252
JUMP_CHANCE, JUMP_SIGMA, JUMP_MOST = 0.01, 0.06, 0.2
HALTING_JUMP, HALT_AFTER_JUMP_MINUTES = 0.05, 5.0
HALT_CHANCE, HALT_MINUTES_LEAST, HALT_MINUTES_MOST = 0.004, 10.0, 60.0
SPREAD_BPS_LEAST, SPREAD_BPS_MOST = 0.5, 4.0
"""half of it, in a regime of volatility 1"""


@dataclass(frozen=True, slots=True)
class SimulatedSymbol:
    """`base_price`: at the simulation's start; None: any between 20 and 200."""

    symbol: str
    sector: str
    base_price: float | None = None


@dataclass(frozen=True, slots=True)
class SimulatedDay:
    """One session of K steps, S symbols; row 0 is the open, row K the close."""

    prices: Floats
    """[K + 1, S]"""
    half_spread: Floats
    """[S] fraction of the price"""
    volume: Wholes
    """[K + 1, S] shares so far in the session"""
    halted: Flags
    """[K + 1, S] never at the close"""


class Simulation:
    """Of one exchange. `days`: its sessions as numbers of days since the start, ascending.

    Exchanges with the same seed share the market's and the sectors' motions day by day.
    """

    def __init__(self, *, seed: int, symbols: Sequence[SimulatedSymbol], days: Sequence[int]) -> None:
        self._seed = seed
        self._names = [f"symbol/{row.symbol}" for row in symbols]
        sectors = sorted({row.sector for row in symbols})
        self._sectors = [f"sector/{name}" for name in sectors]
        self._sector_of = np.array([sectors.index(row.sector) for row in symbols], dtype=np.int64)
        self._days = frozenset(days)
        draws = [_numbers(seed, name, _CHARACTER, 0).random(6) for name in self._names]
        character = np.array(draws).reshape(-1, 6).T
        self._beta = 0.6 + 0.8 * character[0]
        self._sector_beta = 0.7 + 0.6 * character[1]
        self._own_sigma = OWN_SIGMA_LEAST + (OWN_SIGMA_MOST - OWN_SIGMA_LEAST) * character[2]
        spread = SPREAD_BPS_LEAST + (SPREAD_BPS_MOST - SPREAD_BPS_LEAST) * character[3]
        self._half_spread = spread / 10_000
        self._shares = 10 ** (5.0 + 2.0 * character[4])
        base = [
            20.0 * 10**draw if row.base_price is None else row.base_price
            for row, draw in zip(symbols, character[5], strict=True)
        ]
        self._starts: list[Floats] = [np.log(np.array(base, dtype=np.float64))]
        """logarithms of prices before each block's first day"""
        self._wild: list[bool] = [False]
        """whether each block begins in the wild regime"""
        self._block = lru_cache(maxsize=2)(self._make_block)

    def day(self, number: int, *, steps: int, minutes: float) -> SimulatedDay:
        """The session on that day, of so many steps and minutes. AssertionError for a day without one."""
        assert number in self._days and steps >= 1
        block, place = divmod(number, BLOCK)
        of_block = self._block(block)
        before = self._start(block) + (of_block.levels[place - 1] if place else 0.0)
        time = _session_time(steps)
        path = self._motions(of_block, number, place, time)
        jumps, at = of_block.jumps[place], of_block.jump_step(place, steps)
        stages = np.arange(steps + 1)[:, None]
        path += np.where(stages >= at, jumps, 0.0) + DRIFT * time[:, None]
        turnover = self._shares * of_block.volatility[place] * np.exp(0.3 * of_block.normal[place, :, 3])
        return SimulatedDay(
            prices=np.exp(before + path),
            half_spread=self._half_spread * of_block.volatility[place],
            volume=np.floor(turnover * time[:, None]).astype(np.int64),
            halted=of_block.halts(place, steps, minutes),
        )

    def _motions(self, block: "_Block", number: int, place: int, time: Floats) -> Floats:
        """[K + 1, S] logarithmic return since the last close, without jumps and drift."""
        market = self._motion("market", block.market[place], number, time)
        sectors = [
            self._motion(name, block.sectors[place, position], number, time)
            for position, name in enumerate(self._sectors)
        ]
        own = [
            self._motion(name, block.normal[place, position], number, time)
            for position, name in enumerate(self._names)
        ]
        together = MARKET_SIGMA * self._beta * market[:, None]
        together += SECTOR_SIGMA * self._sector_beta * np.stack(sectors, axis=1)[:, self._sector_of]
        together += self._own_sigma * np.stack(own, axis=1)
        return block.volatility[place] * together

    def _motion(self, name: str, ends: Floats, number: int, time: Floats) -> Floats:
        """[K + 1] a Brownian motion that ends, by the close, where the day's numbers say: a bridge."""
        shocks = _numbers(self._seed, name, _WITHIN, number).standard_normal(len(time) - 1)
        free = np.concatenate([[0.0], np.cumsum(shocks * np.sqrt(np.diff(time)))])
        bridge = free - time * free[-1] + time * ends[1]
        return OVERNIGHT**0.5 * ends[0] + (1 - OVERNIGHT) ** 0.5 * bridge

    def _start(self, block: int) -> Floats:
        """Summed up block by block, always in the same order: to the last bit the same after a restart."""
        while len(self._starts) <= block:
            self._starts.append(self._starts[-1] + self._block(len(self._starts) - 1).levels[-1])
        return self._starts[block]

    def _make_block(self, block: int) -> "_Block":
        normal = np.empty((BLOCK, len(self._names), 4))
        uniform = np.empty((BLOCK, len(self._names), 4))
        for position, name in enumerate(self._names):
            numbers = _numbers(self._seed, name, _DAYS, block)
            normal[:, position], uniform[:, position] = (
                numbers.standard_normal((BLOCK, 4)),
                numbers.random((BLOCK, 4)),
            )
        market = _numbers(self._seed, "market", _DAYS, block).standard_normal((BLOCK, 2))
        sectors = np.stack(
            [_numbers(self._seed, name, _DAYS, block).standard_normal((BLOCK, 2)) for name in self._sectors],
            axis=1,
        )
        volatility = self._volatility(block)
        jumps = np.where(
            uniform[:, :, 0] < JUMP_CHANCE,
            np.clip(JUMP_SIGMA * normal[:, :, 2], -JUMP_MOST, JUMP_MOST),
            0.0,
        )
        total = volatility[:, None] * (
            MARKET_SIGMA * self._beta * _of_day(market)[:, None]
            + SECTOR_SIGMA * self._sector_beta * _of_day(sectors)[:, self._sector_of]
            + self._own_sigma * _of_day(normal)
        )
        trades = np.array([block * BLOCK + place in self._days for place in range(BLOCK)])
        levels = np.cumsum(np.where(trades[:, None], total + jumps + DRIFT, 0.0), axis=0)
        return _Block(market, sectors, normal, uniform, volatility, jumps, levels)

    def _volatility(self, block: int) -> Floats:
        """[BLOCK] by the regime of each day."""
        for earlier in range(len(self._wild) - 1, block):
            self._wild.append(self._regimes(earlier)[-1])
        return np.where(self._regimes(block)[:-1], WILD, CALM)

    def _regimes(self, block: int) -> list[bool]:
        """Whether each day of the block is wild, and the first of the next."""
        wild = [self._wild[block]]
        for draw in _numbers(self._seed, "regimes", _DAYS, block).random(BLOCK):
            wild.append(draw >= BECOMES_CALM if wild[-1] else draw < BECOMES_WILD)
        return wild


@dataclass(frozen=True, slots=True)
class _Block:
    """The numbers of BLOCK days: D days, S symbols."""

    market: Floats
    """[D, 2] overnight, within"""
    sectors: Floats
    """[D, sectors, 2]"""
    normal: Floats
    """[D, S, 4] overnight, within, size of a jump, turnover"""
    uniform: Floats
    """[D, S, 4] whether a jump, when, whether a halt, when and how long"""
    volatility: Floats
    jumps: Floats
    """[D, S] mostly 0"""
    levels: Floats
    """[D, S] what the prices' logarithms have gained since the block's beginning"""

    def jump_step(self, place: int, steps: int) -> Wholes:
        """[S] the first step after the jump, never the open."""
        return (1 + np.floor(self.uniform[place, :, 1] * steps)).astype(np.int64)

    def halts(self, place: int, steps: int, minutes: float) -> Flags:
        """[K + 1, S]"""
        halted = np.zeros((steps + 1, self.jumps.shape[1]), dtype=np.bool_)
        a_minute = steps / minutes
        when = self.jump_step(place, steps)
        for position in np.flatnonzero(np.abs(self.jumps[place]) >= HALTING_JUMP):
            first = int(when[position])
            halted[first : min(first + ceil(HALT_AFTER_JUMP_MINUTES * a_minute), steps), position] = True
        for position in np.flatnonzero(self.uniform[place, :, 2] < HALT_CHANCE):
            draw = self.uniform[place, position, 3]
            first = 1 + int(draw * steps)
            long = HALT_MINUTES_LEAST + (HALT_MINUTES_MOST - HALT_MINUTES_LEAST) * (draw * 97 % 1)
            halted[first : min(first + ceil(long * a_minute), steps), position] = True
        return halted


def _of_day(ends: Floats) -> Floats:
    """A day's motion: overnight and within together, of variance 1."""
    return OVERNIGHT**0.5 * ends[..., 0] + (1 - OVERNIGHT) ** 0.5 * ends[..., 1]


def _session_time(steps: int) -> Floats:
    """[K + 1] from 0 to 1: the share of a session's variance and turnover so far, U-shaped over its steps."""
    middles = (np.arange(steps) + 0.5) / steps
    intensity = 0.6 + 1.2 * (2 * middles - 1) ** 2
    time = np.concatenate([[0.0], np.cumsum(intensity)])
    return np.asarray(time / time[-1])


def _numbers(seed: int, name: str, part: int, number: int) -> np.random.Generator:
    digest = blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
    key = np.frombuffer(digest, dtype="<u8").astype(np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, number, part]))
