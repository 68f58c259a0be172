"""Pages of rules and their versions."""

from rules.admin import rules, versions

__all__ = ["rules", "versions"]
