"""A split and a dividend come while the feed runs: what is known of the past is in the units of the present."""

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from market.core.adjustment import DayBar
from market.core.ticks import BarTick, QuoteTick, Tick
from market.models import Bar
from market.selectors import recent_bars
from market.services import snapshots
from market.services.corporate_actions import NewCorporateAction, record
from market.services.feed_state import build_snapshot, load_state
from market.services.history import import_bars
from market.services.ingest import apply_tick
from market.services.returns import returns_of

from .conftest import OPEN, moment

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("instruments")]
BEFORE, AFTER = (5, 6, 7, 8, 9), (12, 13, 14)
FIELDS = ("change_percentage_1d", "change_percentage_5d")


def worth(number):
    """What one share of the beginning is worth on a day, whatever became of it."""
    return Decimal(100 + 3 * (number % 4))


def close_of(number, symbol):
    """AAPL is split 2:1 over the weekend, and IBM is not."""
    return worth(number) / 2 if symbol == "AAPL" and number in AFTER else worth(number)


def live(state, lease, days):
    for number in days:
        ticks = []
        for symbol in ("AAPL", "IBM"):
            close = close_of(number, symbol)
            units = 2 if symbol == "AAPL" and number in AFTER else 1
            ticks.append(BarTick(symbol, close, close + 1, close - 1, close, Decimal(1000 * units)))
        quotes = tuple(QuoteTick(bar.symbol, bar.close, bar.close, bar.close, bar.volume) for bar in ticks)
        apply_tick(
            state=state,
            tick=Tick(at=moment(number), quotes=quotes, bars=tuple(ticks)),
            lease=lease,
            lease_seconds=60,
        )


def split(**changes):
    item = {"external_id": "split", "symbol": "AAPL", "kind": "split", "ex_at": moment(12, OPEN), "new_units": 2,
            "old_units": 1}  # fmt: skip
    return record(NewCorporateAction(**(item | changes)), actor=None)


def features(symbol):
    snapshot = snapshots.current()
    return [float(snapshot.column(name)[snapshot.index(symbol)]) for name in FIELDS]


@pytest.mark.parametrize("recorded", ["before it", "after it"])
def test_a_split_moves_no_feature_and_no_correlation(lease, recorded, settings):
    settings.FEED_JUMP_PERCENTAGE = 1000.0  # a halved price is believed even if nobody knows of a split yet
    state = load_state()
    live(state, lease, BEFORE)
    if recorded == "before it":
        split()
        state = load_state()
        live(state, lease, AFTER)
    else:
        live(state, lease, AFTER)
        split()
        assert state.is_outdated(), "the feed rebuilds what it knows of the past"
        state = load_state()
        snapshots.publish(snapshot=build_snapshot(load_state(), as_of=moment(14)))
    assert features("AAPL") == pytest.approx(features("IBM"))
    assert not np.isnan(features("AAPL")).any()
    returns = returns_of(snapshots.current(), ["AAPL", "IBM"])
    assert returns["AAPL"] == pytest.approx(returns["IBM"], nan_ok=True)
    assert np.isfinite(returns["AAPL"]).sum() == len(BEFORE) + len(AFTER) - 1


def test_the_ex_date_comes_while_the_feed_runs_and_needs_no_restart(lease):
    split()
    state = load_state()
    live(state, lease, BEFORE)
    assert features("AAPL") == pytest.approx(features("IBM"), nan_ok=True)
    live(state, lease, AFTER)
    running = features("AAPL")
    assert running == pytest.approx(features("IBM"))
    again = load_state()
    assert np.array_equal(again.features.completed(), state.features.completed(), equal_nan=True)


def test_stored_bars_are_never_rewritten_and_an_earlier_moment_sees_them_as_they_were(lease, instruments):
    split()
    live(load_state(), lease, (*BEFORE, *AFTER))
    aapl = instruments[0]
    assert list(
        Bar.objects.filter(instrument=aapl, at__lt=moment(12, OPEN))
        .order_by("at")
        .values_list("close", flat=True)
    ) == [worth(number) for number in BEFORE]
    then = recent_bars(instrument_ids=[aapl.pk], count_max=10, as_of=moment(9))[aapl.pk]
    now = recent_bars(instrument_ids=[aapl.pk], count_max=10)[aapl.pk]
    assert then.bars[: len(BEFORE), 3].tolist() == [float(worth(number)) for number in BEFORE]
    assert now.bars[: len(BEFORE), 3].tolist() == [float(worth(number)) / 2 for number in BEFORE]


def test_a_withdrawn_split_is_none(lease, instruments):
    row, _ = split()
    live(load_state(), lease, (*BEFORE, *AFTER))
    row.withdrawn_at = row.created_at
    row.save()
    bars = recent_bars(instrument_ids=[instruments[0].pk], count_max=10)[instruments[0].pk].bars
    assert bars[0, 3] == float(worth(5))


def test_a_dividend_lowers_what_was_paid_before_it(lease, instruments):
    live(load_state(), lease, BEFORE)
    split(kind="dividend", amount=Decimal("1.00"), new_units=None, old_units=None)
    live(load_state(), lease, (12,))
    bars = recent_bars(instrument_ids=[instruments[0].pk], count_max=10)[instruments[0].pk].bars
    kept = 1 - 1 / float(worth(9))
    assert bars[:5, 3].tolist() == pytest.approx([float(worth(number)) * kept for number in BEFORE])


def test_imported_bars_say_up_to_when_they_are_adjusted(lease, instruments):
    live(load_state(), lease, AFTER)
    split()
    plain = [DayBar("AAPL", date(2004, 1, n), *[worth(n)] * 4, Decimal(1)) for n in (5, 6)]
    ready = [DayBar("AAPL", date(2004, 1, n), *[worth(n) / 2] * 4, Decimal(1)) for n in (7, 8)]
    assert import_bars(plain, actor=None, source="test").stored == 2
    assert import_bars(ready, actor=None, source="test", adjusted_through=date(2004, 1, 30)).stored == 2
    bars = recent_bars(instrument_ids=[instruments[0].pk], count_max=10)[instruments[0].pk].bars
    assert bars[:4, 3].tolist() == [float(worth(n)) / 2 for n in (5, 6, 7, 8)]
