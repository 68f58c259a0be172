from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """The operator's page over the public API. No models."""

    name = "console"
    label = "console"
    verbose_name = "Console"
