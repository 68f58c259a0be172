from django.apps import AppConfig


class SessionsConfig(AppConfig):
    """PERMITS: when a portfolio trades automatically."""

    name = "sessions"
    label = "trading_sessions"
    verbose_name = "Trading sessions"
