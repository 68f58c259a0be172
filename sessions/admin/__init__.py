"""Pages of trading sessions and of their evaluation."""

from sessions.admin import evaluation, sessions

__all__ = ["evaluation", "sessions"]
