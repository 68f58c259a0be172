"""The pages of foundation, and what all other admin pages are built on (`base`, `presentation`)."""

from foundation.admin import accounts, processes, schedules

__all__ = ["accounts", "processes", "schedules"]
