from importlib import import_module

from django.apps import AppConfig


class PortfoliosConfig(AppConfig):
    """OWNS: portfolios, members, ledger, positions, reservations, limits, broker accounts."""

    name = "portfolios"
    label = "portfolios"
    verbose_name = "Portfolios"

    def ready(self) -> None:
        import_module("portfolios.events")  # it needs the models, which are there by now
