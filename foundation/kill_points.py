"""Where the tests end a process in the middle of its work.

With `PAUSE_POINT=name=/path` in the environment, the first process that reaches the named
point writes its process id into the file and waits there to be killed. Without, nothing happens.
"""

import os
import time
from pathlib import Path

PAUSE_SECONDS_MAX = 60.0


def reach(name: str) -> None:
    setting = os.environ.get("PAUSE_POINT")
    if setting is None:
        return
    wanted, _, file = setting.partition("=")
    if wanted != name:
        return
    try:
        descriptor = os.open(Path(file), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return
    os.write(descriptor, str(os.getpid()).encode())
    os.close(descriptor)
    time.sleep(PAUSE_SECONDS_MAX)
