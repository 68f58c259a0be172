from django.apps import AppConfig


class RulesConfig(AppConfig):
    """DECIDES: facts in, decisions out; has never heard of an order."""

    name = "rules"
    label = "rules"
    verbose_name = "Rules"
