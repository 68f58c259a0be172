"""Pages of trading sessions and of their evaluation."""

from sessions.admin import evaluation, plans, sessions

__all__ = ["evaluation", "plans", "sessions"]
