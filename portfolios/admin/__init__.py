"""Pages of portfolios, their books and their limits."""

from portfolios.admin import books, limits, permissions, portfolios

__all__ = ["books", "limits", "permissions", "portfolios"]
