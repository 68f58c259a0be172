from django.apps import AppConfig
from django.db.backends.signals import connection_created

from foundation import lookups
from foundation.timestamps import read_fast
from foundation.version import code_version


class FoundationConfig(AppConfig):
    """CARRIES: idempotency keys, leases, heartbeats, required code version, problem details, money."""

    name = "foundation"
    label = "foundation"
    verbose_name = "Foundation"

    def ready(self) -> None:
        lookups.register()
        code_version()  # of the files that this process was started from: a deploy may replace them under it
        connection_created.connect(read_fast, dispatch_uid="foundation.timestamps")
