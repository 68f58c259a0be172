"""What Prometheus is told of processes, stops, alerts and brokers: read from PostgreSQL when it asks, by whichever
process answers."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector, CollectorRegistry

from foundation import heartbeats
from journal.models import AlertDelivery
from journal.selectors import undelivered_alerts
from trading.models import Halt, ReconciliationBreak
from trading.selectors.accounts import followers_of_accounts, open_breaks_by_kind, streams_heard_seconds_ago
from trading.selectors.standing import halts_by_scope_and_mode, quarantined_trades, undrained_halts
from trading.services.missing import clocks_off

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


class PlatformMetrics(Collector):
    """Who was heard when, what is stopped, and what waits for a person."""

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing, so that registering asks no database."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        heard = GaugeMetricFamily(
            f"{NAMESPACE}_heartbeat_age_seconds",
            "Since any process of a component last showed a sign of life",
            labels=["component"],
        )
        for component, seconds in heartbeats.ages_seconds().items():
            heard.add_metric([component], seconds)
        yield heard
        clocks = GaugeMetricFamily(
            f"{NAMESPACE}_clock_ahead_seconds",
            "Of machines whose clocks are not the database's; below 0: behind",
            labels=["host"],
        )
        for host, ahead in clocks_off().items():
            clocks.add_metric([host], ahead)
        yield clocks
        halts = GaugeMetricFamily(
            f"{NAMESPACE}_halts_in_force", "Emergency stops not yet released", labels=["scope", "mode"]
        )
        found = halts_by_scope_and_mode()
        for scope in Halt.Scope.values:
            for mode in Halt.Mode.values:
                halts.add_metric([scope, mode], found.get((scope, mode), 0))
        yield halts
        yield GaugeMetricFamily(
            f"{NAMESPACE}_halts_undrained",
            "Emergency stops in whose scope something may still be in flight",
            value=undrained_halts(),
        )
        yield GaugeMetricFamily(
            f"{NAMESPACE}_trades_quarantined",
            "Orders of which the broker cannot say what became of them",
            value=quarantined_trades(),
        )
        undelivered = GaugeMetricFamily(
            f"{NAMESPACE}_alerts_undelivered",
            "Alerts on their way (pending) or given up (failed) that nobody has acknowledged",
            labels=["channel", "state"],
        )
        for state in (AlertDelivery.State.PENDING, AlertDelivery.State.FAILED):
            counts = undelivered_alerts(state=state)
            for channel in AlertDelivery.Channel.values:
                undelivered.add_metric([channel, state.value], counts.get(channel, 0))
        yield undelivered


def register(registry: CollectorRegistry = REGISTRY) -> None:
    registry.register(PlatformMetrics())
    registry.register(BrokerMetrics())
