"""Pages of portfolios, their books and their limits."""

from portfolios.admin import books, limits, portfolios

__all__ = ["books", "limits", "portfolios"]
