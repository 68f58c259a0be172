"""The kinds of conditions in the mixed set: what people ask for, each with other thresholds every time.

Thresholds come from continuous distributions, so that hardly two rules share one.
"""

import json
from random import Random
from typing import Any

from rules.examples import EXAMPLES

Rule = dict[str, Any]
Condition = dict[str, Any]

_STRONG_BUY: Condition = json.loads(EXAMPLES[0])["conditions"][0]


def _is(field: str, operator: str, value: Any) -> Condition:
    return {"field": field, "operator": operator, "value": value}


def _above(field: str, threshold: float) -> Condition:
    return _is(field, "greater_than", round(threshold, 4))


def _below(field: str, threshold: float) -> Condition:
    return _is(field, "less_than", round(threshold, 4))


def _between(field: str, low: float, high: float) -> Condition:
    return _is(field, "between", [round(low, 4), round(high, 4)])


def _times(field: str, operator: str, other: str, factor: float) -> Condition:
    return _is(field, operator, {"field": other, "times": round(factor, 5)})


def _advised(*classes: str) -> Condition:
    return _is("ai_recommendation", "in", list(classes))


def _cash(rng: Random) -> Condition:
    return _above("portfolio_cash_percentage", rng.uniform(4, 20))


def _time(rng: Random, from_hour: int, to_hour: int) -> str:
    return f"{rng.randrange(from_hour, to_hour):02d}:{rng.randrange(60):02d}"


def specified(rng: Random) -> list[Condition]:
    return [_STRONG_BUY, _above("confidence_score", rng.uniform(0.73, 0.98)), _cash(rng)]


def other_entry(rng: Random) -> list[Condition]:
    return rng.choice((_momentum, _reversal, _trend, _breakout, _quality, _quiet))(rng)


def _momentum(rng: Random) -> list[Condition]:
    return [
        _above("change_percentage_5d", rng.gauss(7, 1.5)),
        _between("rsi", rng.uniform(50, 58), rng.uniform(62, 75)),
        _above("relative_volume", rng.uniform(1.1, 2.2)),
        _times("price", "greater_than", "sma_50", rng.uniform(0.99, 1.06)),
        _cash(rng),
    ]


def _reversal(rng: Random) -> list[Condition]:
    return [
        _below("rsi", rng.uniform(22, 34)),
        _times("price", "less_than", "sma_20", rng.uniform(0.93, 1.0)),
        {
            "any": [
                _advised("BUY", "STRONG_BUY"),
                _above("expected_return_percentage", rng.uniform(5, 12)),
                _below("high_52w_distance", rng.uniform(-45, -25)),
            ]
        },
        _cash(rng),
    ]


def _trend(rng: Random) -> list[Condition]:
    return [
        _times("sma_50", "crosses_above", "sma_200", rng.uniform(0.96, 1.02)),
        _below("volatility", rng.uniform(0.14, 0.28)),
        {"not": _above("change_percentage_20d", rng.uniform(3, 12))},
        _above("change_percentage_5d", rng.uniform(0, 5)),
    ]


def _breakout(rng: Random) -> list[Condition]:
    return [
        _is("price", "crosses_above", {"field": "sma_20", "times": round(rng.uniform(1.0, 1.05), 5)}),
        _above("relative_volume", rng.uniform(1.4, 2.7)),
        _is("time_of_day", "between", [_time(rng, 9, 11), _time(rng, 14, 17)]),
        _is("weekday", "not_in", rng.choice((["FRIDAY"], ["MONDAY"], ["MONDAY", "FRIDAY"]))),
        _cash(rng),
    ]


def _quality(rng: Random) -> list[Condition]:
    return [
        _advised("BUY", "STRONG_BUY"),
        _is("confidence_score", "greater_or_equal", round(rng.uniform(0.78, 0.94), 4)),
        _below("spread_bps", rng.lognormvariate(1.0, 0.5)),
        _below("recommendation_age_minutes", rng.uniform(30, 400)),
        {
            "not": {
                "any": [
                    _above("volatility", rng.uniform(0.3, 0.6)),
                    _below("minutes_to_close", rng.uniform(5, 60)),
                ]
            }
        },
        _cash(rng),
    ]


def _quiet(rng: Random) -> list[Condition]:
    atr = _times("atr", "less_than", "price", rng.uniform(0.006, 0.012))
    return [
        atr,
        _above("volume", rng.lognormvariate(15.5, 0.7)),
        {"any": [_above("confidence_score", rng.uniform(0.8, 0.95)), _below("rsi", rng.uniform(20, 30))]},
        _is("open_positions", "less_than", rng.randint(4, 12)),
    ]


def exits(rng: Random) -> list[Condition]:
    return rng.choice((_stop, _trailing, _profit, _tired, _broken, _heavy, _either))(rng)


def _stop(rng: Random) -> list[Condition]:
    return [_below("position_pnl_percentage", rng.uniform(-16, -6))]


def _trailing(rng: Random) -> list[Condition]:
    peak = _above("drawdown_from_peak_percentage", rng.uniform(5, 15))
    return [peak, _above("position_pnl_percentage", rng.uniform(0, 8))]


def _profit(rng: Random) -> list[Condition]:
    over = {"any": [_above("rsi", rng.uniform(60, 80)), _advised("STRONG_SELL", "SELL")]}
    return [_above("position_pnl_percentage", rng.uniform(5, 18)), over]


def _tired(rng: Random) -> list[Condition]:
    slack = _between("position_pnl_percentage", rng.uniform(-4, -1), rng.uniform(0, 3))
    return [_is("holding_days", "greater_than", rng.randint(20, 120)), slack]


def _broken(rng: Random) -> list[Condition]:
    return [
        _times("price", "less_than", "sma_200", rng.uniform(0.8, 0.97)),
        _below("position_pnl_percentage", rng.uniform(-8, 0)),
    ]


def _heavy(rng: Random) -> list[Condition]:
    return [
        _above("position_weight_percentage", rng.uniform(11, 16)),
        {"not": _is("ai_recommendation", "greater_or_equal", "BUY")},
    ]


def _either(rng: Random) -> list[Condition]:
    late = {
        "all": [
            _above("drawdown_from_peak_percentage", rng.uniform(4, 12)),
            _is("holding_days", "greater_than", rng.randint(10, 60)),
        ]
    }
    return [{"any": [_below("position_pnl_percentage", rng.uniform(-18, -8)), late]}]


def risk(rng: Random) -> list[Condition]:
    return rng.choice((_drawdown, _bad_day, _concentration))(rng)


def _drawdown(rng: Random) -> list[Condition]:
    return [_above("drawdown_percentage", rng.uniform(8, 25))]


def _bad_day(rng: Random) -> list[Condition]:
    bad = [
        _below("daily_pnl_percentage", rng.uniform(-5, -2)),
        _above("drawdown_percentage", rng.uniform(10, 25)),
    ]
    return [{"any": bad}, _above("gross_exposure_percentage", rng.uniform(40, 80))]


def _concentration(rng: Random) -> list[Condition]:
    wild = _above("volatility", rng.uniform(0.3, 0.6))
    return [_above("position_weight_percentage", rng.uniform(8, 15)), wild]


def guard(rng: Random) -> list[Condition]:
    """What keeps others from buying: told of every symbol, not only of those held."""
    return rng.choice((_wide, _wild))(rng)


def _wide(rng: Random) -> list[Condition]:
    return [_above("spread_bps", rng.uniform(12, 50))]


def _wild(rng: Random) -> list[Condition]:
    return [_above("volatility", rng.uniform(0.55, 1)), _below("high_52w_distance", rng.uniform(-40, -20))]


def watch(rng: Random) -> list[Condition]:
    return rng.choice((_falls_through, _turns_hot, _sags, _idle))(rng)


def _falls_through(rng: Random) -> list[Condition]:
    return [
        _times("price", "crosses_below", "sma_200", rng.uniform(0.9, 1.0)),
        _above("volume", rng.lognormvariate(15, 0.7)),
        _below("change_percentage_1d", rng.uniform(-3, -0.5)),
    ]


def _turns_hot(rng: Random) -> list[Condition]:
    calm = {"not": _between("spread_bps", rng.uniform(4, 7), rng.uniform(9, 30))}
    return [_is("rsi", "crosses_above", round(rng.uniform(70, 86), 4)), calm]


def _sags(rng: Random) -> list[Condition]:
    return [
        _below("change_percentage_1d", rng.uniform(-7, -3.5)),
        _above("minutes_since_open", rng.uniform(5, 60)),
    ]


def _idle(rng: Random) -> list[Condition]:
    return [_above("portfolio_cash_percentage", rng.uniform(50, 70))]


def owned_entry(rng: Random) -> list[Condition]:
    strong = _above("confidence_score", rng.uniform(0.75, 0.92))
    sector = _below("sector_exposure_percentage", rng.uniform(10, 30))
    calm = {
        "any": [
            _below("drawdown_percentage", rng.uniform(2, 10)),
            _below("volatility", rng.uniform(0.1, 0.3)),
        ]
    }
    return [_advised("STRONG_BUY"), strong, rng.choice((sector, calm))]
