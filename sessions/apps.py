from importlib import import_module

from django.apps import AppConfig


class SessionsConfig(AppConfig):
    """PERMITS: when a portfolio trades automatically."""

    name = "sessions"
    label = "trading_sessions"
    verbose_name = "Trading sessions"

    def ready(self) -> None:
        import_module("sessions.events")  # it needs the models, which are there by now
