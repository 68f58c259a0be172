"""Columns that trades and positions' protections share."""

from typing import Any

from django.db import models
from django.db.models import Q

from trading.core.kept_findings import full_rows
from trading.core.protections import BELOW_ALL, TAKE_PROFIT_MAX


def percentage(help_text: str) -> models.DecimalField:
    """NUMERIC(20, 8), empty: not protected so."""
    return models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True, help_text=help_text)


class FindingsField(models.JSONField):
    """Findings of controls, read in full, whichever way they are kept (`trading.core.kept_findings`)."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return full_rows(super().from_db_value(value, expression, connection))


STOP_LOSS = "Percent below the average cost"
TAKE_PROFIT = "Percent above the average cost"
TRAILING_STOP = "Percent below the highest price since the position was opened"

UNPROTECTED = Q(
    stop_loss_percentage=None, take_profit_percentage=None, trailing_stop_percentage=None
)  # fmt: skip


def _absent_or(name: str, **within: object) -> Q:
    return Q(**{name: None}) | Q(**{f"{name}__{lookup}": bound for lookup, bound in within.items()})


PERCENTAGES_IN_RANGE = (
    _absent_or("stop_loss_percentage", gt=0, lt=BELOW_ALL)
    & _absent_or("take_profit_percentage", gt=0, lte=TAKE_PROFIT_MAX)
    & _absent_or("trailing_stop_percentage", gt=0, lt=BELOW_ALL)
)
