"""What is for staff only."""

from typing import Any

from foundation.errors import Forbidden


def require_staff(user: Any) -> None:
    """For what concerns every portfolio. Raises Forbidden."""
    if not getattr(user, "is_staff", False):
        raise Forbidden("This is for staff.", code="staff_required")
