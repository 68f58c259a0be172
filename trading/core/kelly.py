"""How much of one's wealth a bet deserves, and what the odds of a trade are believed to be. Pure.

The formula: J. L. Kelly, "A New Interpretation of Information Rate", Bell System Technical Journal 35 (1956); E. O.
Thorp, "The Kelly Criterion in Blackjack, Sports Betting, and the Stock Market", Handbook of Asset and Liability
Management 1 (2006), chapter 9. It takes the odds as known. They are not, and who believes too much bets too much, so
an estimate is rounded to its cautious side, and a short record counts little (R. D. Baker and I. G. McHale, "Optimal
Betting Under Parameter Uncertainty: Improving the Kelly Criterion", Decision Analysis 10 (2013): bet less than the
estimate says). A method that knows no odds gives none: nothing is sized on a guess.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from foundation.core.money import ZERO, rounded_down, rounded_up
from market.core.recommendation import RecommendationClass
from trading.core.track_record import TrackRecord

ONE = Decimal(1)
# Below this a record says nothing; that many trades without any edge are then added to it (see odds_of_record).
ROUND_TRIPS_MIN = 20
PRIOR_ROUND_TRIPS = 20


@dataclass(frozen=True)
class Odds:
    """What a trade is believed to promise.

    win_probability 0..1; gain and loss, both above 0, as fractions of what is staked; `source` says where they come
    from and `basis` how, for the decision record.
    """

    source: str
    win_probability: Decimal
    gain: Decimal
    loss: Decimal
    basis: Mapping[str, Any] = field(default_factory=dict)

    @property
    def edge(self) -> Decimal:
        """Expected result of one unit staked."""
        return self.win_probability * self.gain - (ONE - self.win_probability) * self.loss


@dataclass(frozen=True)
class NoOdds:
    """Why the odds are unknown."""

    reason: str
    basis: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Advice:
    """A recommendation; its confidence is the source's probability that the target is reached before the stop.

    price_factor: what its prices, which count in the units of when it was given, are multiplied by to count in the
    market's present ones. Not 1 after a split; None: unknown.
    """

    id: str
    recommendation: str
    confidence: Decimal
    target: Decimal | None
    stop: Decimal | None
    price_factor: Fraction | None = Fraction(1)


def full_kelly(*, win_probability: Decimal, gain: Decimal, loss: Decimal) -> Decimal:
    """f* = p/a - q/b: the fraction of wealth that makes it grow fastest, rounded down to 8 places.

    The bet gains b or loses a of each unit staked (both above 0) with the probabilities p and q = 1 - p: f* is where
    the growth p·ln(1 + b·f) + q·ln(1 - a·f) is greatest. With a = 1 it is (b·p - q)/b, at even money p - q. It is
    negative or 0 when there is no edge, and above 1 when even the whole wealth would be too little.
    """
    assert gain > 0 and loss > 0 and 0 <= win_probability <= 1
    return rounded_down(win_probability / loss - (ONE - win_probability) / gain)


def odds_of_advice(advice: Advice | None, *, price: Decimal) -> Odds | NoOdds:
    """Odds by a recommendation to buy: p its confidence, b = (target - price)/price, a = (price - stop)/price.

    Its confidence is the chance that its own target is reached before its own stop, and says nothing of other exits
    (a target twice as far is reached less often): where it lacks one of them, it gives no odds. A target below or a
    stop above the price is what the market has made of it: no odds.
    """
    if advice is None:
        return NoOdds("there is no recommendation")
    if advice.recommendation not in (RecommendationClass.BUY.name, RecommendationClass.STRONG_BUY.name):
        return NoOdds(f"the recommendation is {advice.recommendation}")
    if not (advice.confidence.is_finite() and 0 <= advice.confidence <= 1):
        return NoOdds("the recommendation's confidence is unknown")
    if advice.target is None or advice.stop is None:
        exits = (("target", advice.target), ("stop", advice.stop))
        named = " and no ".join(name for name, price_of_exit in exits if price_of_exit is None)
        return NoOdds(f"the recommendation has no {named}, and its confidence says nothing of other exits")
    factor = advice.price_factor
    if factor is None:
        return NoOdds(
            "a split is at hand: in which units the recommendation's target and stop count is unknown"
        )
    target, stop = _in_present_units(advice.target, factor), _in_present_units(advice.stop, factor)
    if target <= price:
        return NoOdds(f"the recommendation's target {target:f} is not above the price {price:f}")
    if stop >= price:
        return NoOdds(f"the recommendation's stop {stop:f} is not below the price {price:f}")
    basis: dict[str, Any] = {"recommendation_id": advice.id, "target_price": target, "stop_price": stop}
    if factor != 1:
        basis["split_since"] = f"{factor.denominator}:{factor.numerator}"
    return _odds("recommendation", advice.confidence, (target - price) / price, (price - stop) / price, basis)


def _in_present_units(price: Decimal, factor: Fraction) -> Decimal:
    """Rounded down: a target and a stop that are too low bet less."""
    return price if factor == 1 else rounded_down(price * factor.numerator / factor.denominator)


def odds_of_record(record: TrackRecord) -> Odds | NoOdds:
    """Odds by the rule's closed round trips, shrunk towards no edge.

    Of n round trips w gained, by the mean fraction G of their cost, and l = n - w did not, by the mean L. The pay-off
    ratio G/L is moved to the ratio l/w at which those wins would be worth nothing:

        R = l/w + (G/L - l/w) · n/(n + k)

    and the win probability is the posterior mean under the prior Beta(k·m, k·(1 - m)), whose mean m = 1/(1 + R) is
    the one at which R gives no edge:

        p = (w + k·m)/(n + k)

    with k = PRIOR_ROUND_TRIPS. So the edge is the record's own mean result times (n/(n + k))², a quarter of it at
    n = k, and it is positive only where the record's is: shrinking both towards ½ and 1 instead would give a rule that
    wins often and loses more an edge that it never had. a = L, b = R·L. Kelly knows one size of loss; that a loss may
    be greater than the mean is what max_position_size is for.
    """
    trips, wins = record.round_trips, record.wins
    basis: dict[str, Any] = {"round_trips": trips, "wins": wins}
    if trips < ROUND_TRIPS_MIN:
        missing = ROUND_TRIPS_MIN - trips
        closed = f"{trips} closed round trip{'' if trips == 1 else 's'}"
        return NoOdds(f"the rule has {closed}, {missing} fewer than the {ROUND_TRIPS_MIN} needed", basis)
    if record.mean_gain is None:
        return NoOdds(f"none of the rule's {trips} closed round trips gained", basis)
    if record.mean_loss is None or record.mean_loss == 0:
        return NoOdds(f"none of the rule's {trips} closed round trips lost: a loss is unknown", basis)
    weight = Decimal(trips) / (trips + PRIOR_ROUND_TRIPS)
    even = Decimal(trips - wins) / wins
    ratio = even + (record.mean_gain / record.mean_loss - even) * weight
    mean = ONE / (ONE + ratio)
    chance = (wins + PRIOR_ROUND_TRIPS * mean) / (trips + PRIOR_ROUND_TRIPS)
    basis |= {
        "mean_gain": rounded_down(record.mean_gain),
        "mean_loss": rounded_up(record.mean_loss),
        "prior_round_trips": PRIOR_ROUND_TRIPS,
        "prior_win_probability": rounded_down(mean),
        "shrunk_payoff_ratio": rounded_down(ratio),
    }
    return _odds("track record", chance, ratio * record.mean_loss, record.mean_loss, basis)


def _odds(
    source: str, chance: Decimal, gain: Decimal, loss: Decimal, basis: Mapping[str, Any]
) -> Odds | NoOdds:
    """Chance and gain rounded down, loss up."""
    odds = Odds(source, rounded_down(chance), rounded_down(gain), rounded_up(loss), basis)
    return odds if odds.gain > 0 else NoOdds(f"the gain by the {source} is less than can be counted", basis)


def preferred_odds(advised: Odds | NoOdds, record: Callable[[], TrackRecord]) -> Odds | NoOdds:
    """Odds by the recommendation, else by the rule's record, which is read only then; else both reasons."""
    if isinstance(advised, Odds):
        return advised
    recorded = odds_of_record(record())
    told = {**recorded.basis, "no_odds_by_recommendation": advised.reason}
    if isinstance(recorded, Odds):
        return replace(recorded, basis=told)
    return NoOdds(f"Kelly knows no odds: {advised.reason}, and {recorded.reason}", told)


def kelly_bet(odds: Odds, *, fraction: Decimal) -> tuple[Decimal, dict[str, Any]]:
    """(fraction of wealth to hold, 0 without an edge; its arithmetic). `fraction` of full Kelly, at most 1.

    Half of it gives three quarters of the growth for half of the deviation (Thorp 2006, section 7.3).
    """
    full = full_kelly(win_probability=odds.win_probability, gain=odds.gain, loss=odds.loss)
    arithmetic = {
        "odds_by": odds.source,
        **odds.basis,
        "win_probability": odds.win_probability,
        "gain_fraction": odds.gain,
        "loss_fraction": odds.loss,
        "edge": odds.edge,
        "full_kelly": full,
        "kelly_fraction": fraction,
    }
    return max(full, ZERO) * fraction, arithmetic


def no_edge(odds: Odds) -> str:
    """Why nothing is bet, with its numbers."""
    return (
        f"no edge by the {odds.source}: {odds.win_probability.normalize():f} × {odds.gain.normalize():f} − "
        f"{(ONE - odds.win_probability).normalize():f} × {odds.loss.normalize():f} = {odds.edge.normalize():f}"
    )
