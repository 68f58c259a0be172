from django.apps import AppConfig


class PortfoliosConfig(AppConfig):
    """OWNS: portfolios, members, ledger, positions, reservations, limits, broker accounts."""

    name = "portfolios"
    label = "portfolios"
    verbose_name = "Portfolios"
