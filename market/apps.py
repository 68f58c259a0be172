from importlib import import_module

from django.apps import AppConfig


class MarketConfig(AppConfig):
    """KNOWS: instruments, calendars, bars, quotes, indicators, the snapshot, recommendations."""

    name = "market"
    label = "market"
    verbose_name = "Market"

    def ready(self) -> None:
        metrics = import_module("market.metrics")  # it needs the models, which are there by now
        metrics.register()
        import_module("market.events")
