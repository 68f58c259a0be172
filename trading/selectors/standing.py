"""What is stopped, and what waits for a person, in numbers."""

from django.db.models import Count

from trading.core.order_states import OrderState
from trading.models import AutoTrade, Halt


def halts_by_scope_and_mode() -> dict[tuple[str, str], int]:
    """Of those in force; what there is none of is absent."""
    rows = Halt.objects.filter(released_at=None).order_by().values_list("scope", "mode")
    return {(scope, mode): count for scope, mode, count in rows.annotate(count=Count("id"))}


def undrained_halts() -> int:
    return Halt.objects.filter(drained_at=None, released_at=None).count()


def quarantined_trades() -> int:
    return AutoTrade.objects.filter(status=OrderState.QUARANTINED).count()
