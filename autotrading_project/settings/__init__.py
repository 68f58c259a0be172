"""Settings, read from the environment and checked at start.

`DATA_DIR/run.env` (there while `make run` runs, so that `manage.py` in another
terminal works with the same servers, as the application's role) and then `.env`
beside manage.py fill in what the environment does not set; READ_DOT_ENV=0 ignores
both. A bad value stops the start with its name (see `validation.py`).
"""

# Whoever loads the settings gets the Celery application, too: a process that only sends wake-ups would
# otherwise send them through Celery's default application, to nowhere.
from autotrading_project.celery import app as celery_application  # noqa: F401
from autotrading_project.settings.base import *  # noqa: F403
from autotrading_project.settings.validation import refuse_toys

refuse_toys(globals())
