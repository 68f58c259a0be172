"""From when on the market's prices count in a split's new units.

Exchanges split at an open, but what is quoted before it, from the small hours of the ex day on, is in new units
already. Nobody says when that begins. So from the last close before the ex time on a price may be of either units.
"""

import uuid
from collections.abc import Collection
from datetime import datetime
from fractions import Fraction

from foundation.arrays import array_text
from foundation.loading import selected
from market.models import CorporateAction

UNQUOTED_AT_MOST = "7 days"
"""of market time a quote of the instrument is awaited after its split: what is silent for longer is worth its last
price, told in the new units, as what is silent without a split"""


def begins_before(as_of: str) -> str:
    """SQL: whether prices at `as_of` (an expression, market time) may count in new units of the split `action`.

    An exchange that opens again at its close, as one that never closes does each midnight, has no close before it.
    """
    return f"""(action.ex_at <= {as_of} OR EXISTS (
        SELECT FROM market_instrument AS split_one CROSS JOIN LATERAL (
            SELECT * FROM market_calendarday
            WHERE exchange_id = split_one.exchange_id AND closes_at <= action.ex_at
                AND day <= (action.ex_at AT TIME ZONE 'UTC')::date + 1
            ORDER BY day DESC LIMIT 1
        ) AS last_day
        WHERE split_one.id = action.instrument_id AND last_day.closes_at < {as_of} AND NOT EXISTS (
            SELECT FROM market_calendarday AS next_day
            WHERE next_day.exchange_id = last_day.exchange_id AND next_day.day = last_day.day + 1
                AND next_day.opens_at = last_day.closes_at)))"""  # noqa: S608 - the text here


_AT_HAND = f"""
    SELECT action.id, action.instrument_id FROM market_corporateaction AS action
    WHERE action.kind = %(kind)s AND action.withdrawn_at IS NULL AND action.ex_at > %(now)s::timestamptz
        AND {begins_before("%(now)s::timestamptz")}
"""  # noqa: S608 - the text above


def splits_at_hand(now: datetime) -> dict[uuid.UUID, int]:
    """Splits that a market time has not reached, of whose exchange the last close before them is over: the action, and
    its instrument."""
    return actions_at_hand(now, CorporateAction.Kind.SPLIT)


def actions_at_hand(now: datetime, kind: str) -> dict[uuid.UUID, int]:
    """The same of another kind, for whose prices, too, the open is the next thing that comes."""
    return dict(selected(_AT_HAND, {"kind": str(kind), "now": now}))


_SINCE_ADVICE = f"""
    SELECT advice.id, action.old_units, action.new_units,
           action.ex_at > %(now)s::timestamptz OR {begins_before("advice.as_of")}
    FROM market_recommendation AS advice
    JOIN market_corporateaction AS action ON action.instrument_id = advice.instrument_id
        AND action.kind = %(kind)s AND action.withdrawn_at IS NULL AND action.ex_at > advice.as_of
        AND {begins_before("%(now)s::timestamptz")}
    WHERE advice.id = ANY(%(ids)s::uuid[])
"""  # noqa: S608 - the text above


def price_factors(advice_ids: Collection[uuid.UUID], *, now: datetime) -> dict[uuid.UUID, Fraction | None]:
    """What the target and the stop of recommendations are multiplied by to count in the units of the prices of market
    time `now`; those since which nothing was split are absent.

    None where nobody can tell: the advice, or the price now, is of between the last close before a split and its open.
    """
    kind = CorporateAction.Kind.SPLIT.value
    asked = {"kind": kind, "now": now, "ids": array_text(advice_ids)}
    factors: dict[uuid.UUID, Fraction | None] = {}
    for advice_id, old_units, new_units, is_doubtful in selected(_SINCE_ADVICE, asked):
        known = factors.get(advice_id, Fraction(1))
        factors[advice_id] = None if is_doubtful or known is None else known * Fraction(old_units, new_units)
    return factors
