"""What Prometheus is told of the market: read from PostgreSQL when it asks, by whichever process answers."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector, CollectorRegistry

from market.core.plausibility import Reason
from market.selectors import open_gaps, quarantine_totals

NAMESPACE = "autotrading"


class MarketMetrics(Collector):
    """What the feed refused, by reason, and what is missing."""

    def describe(self) -> Iterator[Metric]:
        """Nothing, so that registering asks no database."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        quarantined = CounterMetricFamily(
            f"{NAMESPACE}_market_quarantined", "Quotes and bars that were not believed", labels=["reason"]
        )
        totals = quarantine_totals()
        for reason in Reason:
            quarantined.add_metric([reason.value], totals.get(reason.value, 0))
        yield quarantined
        yield GaugeMetricFamily(
            f"{NAMESPACE}_market_open_gaps", "Stretches of trading days without a bar", value=open_gaps()
        )


def register(registry: CollectorRegistry = REGISTRY) -> None:
    registry.register(MarketMetrics())
