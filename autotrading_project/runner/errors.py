class RunnerError(Exception):
    """`make run` cannot go on; the message is a sentence that says what to do."""


class StopRequested(BaseException):
    """Ctrl-C or SIGTERM came while we were still starting."""
