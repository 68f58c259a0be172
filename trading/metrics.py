"""What Prometheus is told of brokers: read from PostgreSQL when it asks, by whichever process answers."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector, CollectorRegistry

from trading.models import ReconciliationBreak
from trading.selectors.accounts import followers_of_accounts, open_breaks_by_kind, streams_heard_seconds_ago

NAMESPACE = "autotrading"


class BrokerMetrics(Collector):
    """Open breaks by kind, accounts with and without a follower, and how long ago a follower's process was heard."""

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing, so that registering asks no database."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        breaks = GaugeMetricFamily(
            f"{NAMESPACE}_open_breaks", "On which a broker and the books do not agree", labels=["kind"]
        )
        found = open_breaks_by_kind()
        for kind in ReconciliationBreak.Kind.values:
            breaks.add_metric([kind], found.get(kind, 0))
        yield breaks
        accounts = GaugeMetricFamily(
            f"{NAMESPACE}_broker_accounts", "Accounts at real brokers", labels=["followed"]
        )
        followed, total = followers_of_accounts()
        accounts.add_metric(["yes"], followed)
        accounts.add_metric(["no"], total - followed)
        yield accounts
        heard = GaugeMetricFamily(
            f"{NAMESPACE}_streams_heard_seconds_ago", "Since a streams process last showed a sign of life"
        )
        seconds = streams_heard_seconds_ago()
        if seconds is not None:
            heard.add_metric([], seconds)
        yield heard


def register(registry: CollectorRegistry = REGISTRY) -> None:
    registry.register(BrokerMetrics())
