from importlib import import_module

from django.apps import AppConfig


class JournalConfig(AppConfig):
    """REMEMBERS: the append-only event log, its WebSocket, alerts."""

    name = "journal"
    label = "journal"
    verbose_name = "Journal"

    def ready(self) -> None:
        import_module("journal.events")
