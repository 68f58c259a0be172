"""Threads in which the event loop's database reads run.

Two pools: a thousand clients that replay after a reconnect must not stand in front of the one
reader that everybody who follows live is waiting for.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from channels.db import DatabaseSyncToAsync

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

HUB_THREADS = 2
CLIENT_THREADS = 4
_hub = ThreadPoolExecutor(HUB_THREADS, thread_name_prefix="journal-hub")
_clients = ThreadPoolExecutor(CLIENT_THREADS, thread_name_prefix="journal-client")


async def for_hub(
    function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Run a blocking read for everybody; idle connections go back to the pool afterwards."""
    return await DatabaseSyncToAsync(function, thread_sensitive=False, executor=_hub)(*args, **kwargs)


async def for_client(
    function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Run a blocking read for one client."""
    return await DatabaseSyncToAsync(function, thread_sensitive=False, executor=_clients)(*args, **kwargs)
