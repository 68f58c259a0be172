"""Settings, read from the environment and checked at start.

`.env` beside manage.py and then `DATA_DIR/run.env` (written by `make run`, so
that `manage.py` finds the embedded servers) fill in what the environment does
not set. A bad value stops the start with its name (see `validation.py`).
"""

from autotrading_project.settings.base import *  # noqa: F403
from autotrading_project.settings.validation import refuse_toys

refuse_toys(globals())
