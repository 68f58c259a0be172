"""Pages of portfolios, their books and their limits."""

from portfolios.admin import accounts, books, limits, permissions, portfolios

__all__ = ["accounts", "books", "limits", "permissions", "portfolios"]
