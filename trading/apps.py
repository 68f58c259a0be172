from django.apps import AppConfig


class TradingConfig(AppConfig):
    """ACTS: sizing, risk, orders, brokers, execution, bookkeeping, emergency stop."""

    name = "trading"
    label = "trading"
    verbose_name = "Trading"
