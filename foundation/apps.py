from django.apps import AppConfig


class FoundationConfig(AppConfig):
    """CARRIES: idempotency keys, leases, heartbeats, required code version, problem details, money."""

    name = "foundation"
    label = "foundation"
    verbose_name = "Foundation"
