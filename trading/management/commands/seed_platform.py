from typing import Any

from django.core.management.base import BaseCommand

from market.services.baseline import ensure_source
from portfolios.services.limits import ensure_platform_limits
from trading.services.schedule import ensure_sweeps
from trading.services.staff_groups import ensure_groups


class Command(BaseCommand):
    help = (
        "What every installation needs: platform limits, the built-in recommender, the sweeps' schedule, groups for "
        "staff. Idempotent."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        ensure_platform_limits()
        ensure_source()
        ensure_sweeps()
        ensure_groups()
