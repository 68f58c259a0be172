from importlib import import_module

from django.apps import AppConfig


class TradingConfig(AppConfig):
    """ACTS: sizing, risk, orders, brokers, execution, bookkeeping, emergency stop."""

    name = "trading"
    label = "trading"
    verbose_name = "Trading"

    def ready(self) -> None:
        metrics = import_module("trading.metrics")  # it needs the models, which are there by now
        metrics.register()
        import_module("trading.events")
