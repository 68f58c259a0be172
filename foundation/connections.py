"""Database connections that live longer than one piece of work.

Connecting costs more than most pieces of work do: the login itself, and then each query's first plan, for which a new
server process has to read the catalogue. So a worker keeps its connection from task to task, and looks after it between
two of them as Django does between two requests.
"""

from django.db import close_old_connections, connections


def tidy_connections() -> None:
    """Close what is too old or broken, and let the next query see whether the server is still there.

    A connection that was left inside a transaction (a time limit may strike between a block's end and its commit) is
    thrown away with it: kept, it would take in the next task's work and never commit it.
    """
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            del connections[connection.alias]
            if connection.connection is not None:
                connection.connection.close()
    close_old_connections()
