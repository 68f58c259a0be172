from django.apps import AppConfig


class MarketConfig(AppConfig):
    """KNOWS: instruments, calendars, bars, quotes, indicators, the snapshot, recommendations."""

    name = "market"
    label = "market"
    verbose_name = "Market"
