"""The cadence of equity curves, beside the evaluation: a point of each portfolio in each interval of market time."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db import transaction

from market.core.prices import anything_fresh, last_prices
from portfolios.core.equity import bucket_of
from portfolios.services.equity import note_points
from trading.services.facts import MarketView


@dataclass
class Tried:
    """What this process has seen to in the present interval. A hint only, which spares a statement for each slice and
    tick: that there is one point and no more, the table's own constraint says."""

    bucket: datetime | None = None
    portfolios: set[int] = field(default_factory=set)

    def left(self, portfolio_ids: Iterable[uuid.UUID], bucket: datetime) -> list[uuid.UUID]:
        if bucket != self.bucket:
            return list(portfolio_ids)
        return [key for key in portfolio_ids if key.int not in self.portfolios]

    def add(self, portfolio_ids: Iterable[uuid.UUID], bucket: datetime) -> None:
        if bucket != self.bucket:
            self.bucket, self.portfolios = bucket, set()
        self.portfolios.update(key.int for key in portfolio_ids)


_tried = Tried()


def note_equity_points(
    portfolio_ids: Iterable[uuid.UUID], *, in_other_units: Collection[uuid.UUID], view: MarketView
) -> None:
    """One statement when an interval begins or a portfolio is new to this process, else none.

    It is tried once: of whom nothing is known at that moment, there is a point in the next interval. While nothing is
    quoted there are none. `in_other_units` are those whose books count something in other units than the prices do.
    """
    bucket = bucket_of(view.snapshot.as_of, minutes=settings.EQUITY_POINT_MINUTES)
    due = _tried.left(portfolio_ids, bucket)
    if not due or not anything_fresh(view.snapshot, now_epoch=view.now_epoch):
        return
    prices = last_prices(view.snapshot, now_epoch=view.now_epoch)
    note_points([key for key in due if key not in in_other_units], prices, bucket=bucket)
    transaction.on_commit(partial(_tried.add, due, bucket))  # what is rolled back was not noted
