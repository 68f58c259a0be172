"""Positions that differ because a split is in the one's units and not yet in the other's.

A broker splits what it holds some time between the last close before the ex time and the morning after it; our books
do at the opening, once nothing of the instrument works any more. Between the two a position may be of either units, and
of no other number. That is so until a day after the ex time, and while our booking waits, which people are told of, for
a week at most. From then on it is a difference as any other.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Q

from foundation.core.money import ZERO
from market.models import CorporateAction
from market.selectors import market_now
from market.splits import splits_at_hand
from portfolios.core.corporate_actions import split
from portfolios.models import CorporateActionBooking
from portfolios.models.corporate_actions import IN_FORCE
from portfolios.selectors import held_before, unsettled_splits
from trading.core.reconciliation import UNIT_TOLERANCE, Finding, Holdings
from trading.models import ReconciliationBreak
from trading.services.reconciling import Run

LATE, WAITS_AT_MOST = timedelta(days=1), timedelta(days=7)


def of_splits(
    run: Run, found: Iterable[Finding], *, ours: Holdings, theirs: Holdings, besides: Mapping[str, Decimal]
) -> frozenset[tuple[str, str]]:
    """(kind, key) of the positions that differ by just a split of these days. Market time counts. besides: units by
    symbol that the broker has more, as people have explained; it splits them, too."""
    kind, now = ReconciliationBreak.Kind.POSITION, market_now()
    symbols = {one.key for one in found if one.kind == kind}
    if not symbols or now is None:
        return frozenset()
    return frozenset(
        (str(kind), action.instrument.symbol)
        for action in _splits(run, symbols, now)
        if any(
            abs(theirs.units.get(action.instrument.symbol, ZERO) - units - more) <= UNIT_TOLERANCE
            for units in _either_units(run, action, ours.units.get(action.instrument.symbol, ZERO))
            for more in _either_more(action, besides.get(action.instrument.symbol, ZERO))
        )
    )


def _splits(run: Run, symbols: Collection[str], now: datetime) -> Iterable[CorporateAction]:
    waiting = [instrument_id for _, instrument_id in unsettled_splits([run.account.portfolio_id])]
    come = Q(ex_at__lte=now) & (
        Q(ex_at__gt=now - LATE) | Q(ex_at__gt=now - WAITS_AT_MOST, instrument_id__in=waiting)
    )
    rows = CorporateAction.objects.filter(
        come | Q(pk__in=list(splits_at_hand(now))),
        kind=CorporateAction.Kind.SPLIT, instrument__symbol__in=symbols, withdrawn_at=None,
    )  # fmt: skip
    return rows.select_related("instrument")


def _either_units(run: Run, action: CorporateAction, mine: Decimal) -> list[Decimal]:
    """What we would hold without the split, with it, and with it where the broker keeps parts of the lot."""
    assert action.new_units is not None and action.old_units is not None
    portfolio_id = run.account.portfolio_id
    booked = CorporateActionBooking.objects.filter(IN_FORCE, action=action, portfolio_id=portfolio_id).first()
    entitled = booked.quantity if booked is not None else _entitled(run, action)
    terms = split(
        entitled, new_units=action.new_units, old_units=action.old_units, lot=action.instrument.lot_size
    )
    before = mine if booked is None else mine - terms.added + terms.fraction
    return [before, before + terms.added, before + terms.added - terms.fraction]


def _either_more(action: CorporateAction, besides: Decimal) -> set[Decimal]:
    assert action.new_units is not None and action.old_units is not None
    return {ZERO, besides, besides * action.new_units / action.old_units}


def _entitled(run: Run, action: CorporateAction) -> Decimal:
    portfolio_id = run.account.portfolio_id
    held = held_before(instrument_id=action.instrument_id, moment=action.ex_at, portfolio_ids=[portfolio_id])
    return held.get(portfolio_id, ZERO)
