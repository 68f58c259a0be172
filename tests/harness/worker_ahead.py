"""A Celery program on a machine whose clock is ahead: `<module> SECONDS <what follows the word celery>`."""

import datetime
import sys
import time

import celery.worker.request

AHEAD_SECONDS = float(sys.argv[1])
real_time = time.time


class Ahead(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "Ahead":
        return super().now(tz) + datetime.timedelta(seconds=AHEAD_SECONDS)


if __name__ == "__main__":
    time.time = lambda: real_time() + AHEAD_SECONDS
    setattr(celery.worker.request, "datetime", Ahead)  # noqa: B010

    from celery.__main__ import main

    sys.argv = ["celery", *sys.argv[2:]]
    main()
