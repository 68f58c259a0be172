from importlib import import_module

from django.apps import AppConfig


class RulesConfig(AppConfig):
    """DECIDES: facts in, decisions out; has never heard of an order."""

    name = "rules"
    label = "rules"
    verbose_name = "Rules"

    def ready(self) -> None:
        import_module("rules.events")  # it needs the models, which are there by now
